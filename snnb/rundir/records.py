"""The manifest's schema, version 1: typed records of the stages, validated whenever they are read."""

from pathlib import PurePosixPath
from typing import Any, Dict, List, Literal, Optional, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)
from typing_extensions import Annotated

from snnb.rundir.params import GraphParams, Params, ParseParams, PrepareParams, SimulateParams, TrainParams

SCHEMA_VERSION = 1
Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
LARGEST = 2**63 - 1
Bytes = Annotated[int, Field(ge=0, le=LARGEST)]
Stamp = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}T[0-9]{6}Z$")]
GraphName = Annotated[str, StringConstraints(pattern=r"^([0-9]{8}T[0-9]{6}Z|weights)$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")]


class Record(BaseModel):
    """Closed and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class FileRecord(Record):
    """A file by content. `path` is relative to the run directory unless the file is `external`.

    An external folder is one record: `rundir.external` says what its hashes are of.
    """

    path: str
    sha256: str = Sha256
    size_bytes: Bytes
    external: bool = False
    listing: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @model_serializer(mode="wrap")
    def _say_only_what_is_there(self, plain: SerializerFunctionWrapHandler) -> Dict[str, Any]:
        data: Dict[str, Any] = plain(self)
        if not self.external:
            del data["external"]
        if self.listing is None:
            del data["listing"]
        return data

    @model_validator(mode="after")
    def _stays_inside(self) -> "FileRecord":
        path = PurePosixPath(self.path)
        if "\0" in self.path:
            raise ValueError(f"path {self.path!r} has a zero byte")
        if not self.external and (path.is_absolute() or ".." in path.parts or "\\" in self.path or not path.parts):
            raise ValueError(f"path {self.path!r} leaves the run directory")
        return self


class Environment(Record):
    """What computed the stage; another version later is a warning, never a reason to run again."""

    python: str
    snnb: str
    numpy: str
    tensorflow: Optional[str] = None
    snntoolbox: Optional[str] = None
    device: Literal["cpu", "gpu"]


class Timing(Record):
    """Wall time in seconds; `peak_rss_bytes` is the largest resident memory while the stage ran."""

    started_utc: str
    wall_s: float = Field(ge=0)
    peak_rss_bytes: Bytes


class Split(Record):
    """One part of a data set: array shape, dtype and the number of samples of each class."""

    shape: List[int]
    dtype: str
    class_counts: Dict[str, int]


class PrepareDetails(Record):
    """What the arrays are: pixel = stored value / `scale`, in [0, 1]."""

    dataset: str
    version: str
    licence: str
    source: str
    scale: float = Field(gt=0)
    class_names: List[str]
    splits: Dict[str, Split]


class TrainDetails(Record):
    """What was trained."""

    epochs_run: int


class ParseDetails(Record):
    """The conversion: scale factors λ by layer, and how far the parsed network is from the trained one."""

    verified_samples: int
    largest_difference: float
    scale_factors: Dict[str, float]
    negative_shares: Dict[str, float] = Field(default_factory=dict)


class SimulateDetails(Record):
    """The engine that ran, why, and the mean firing rate of each population in spikes a step and neuron."""

    engine: str
    engine_reason: str
    mean_rates: Dict[str, float]


class GraphDetails(Record):
    """The graph's size, and whether the networkx file was written."""

    simulation: Optional[Stamp]
    neurons: int
    nodes: int
    synapses: int
    networkx: bool


class StageRecord(Record):
    """What every stage records, whatever it did."""

    status: Literal["complete"] = "complete"
    command: List[str]
    params: Params
    inputs: List[FileRecord]
    outputs: List[FileRecord]
    metrics: Dict[str, Union[int, float, None]] = Field(default_factory=dict)
    environment: Environment
    timing: Timing
    warnings: List[str] = Field(default_factory=list)
    details: Record


class PrepareRecord(StageRecord):
    params: PrepareParams
    details: PrepareDetails


class TrainRecord(StageRecord):
    params: TrainParams
    details: TrainDetails


class ParseRecord(StageRecord):
    params: ParseParams
    details: ParseDetails


class SimulateRecord(StageRecord):
    params: SimulateParams
    details: SimulateDetails


class GraphRecord(StageRecord):
    params: GraphParams
    details: GraphDetails

    @model_validator(mode="after")
    def _names_one_simulation(self) -> "GraphRecord":
        if self.params.simulation != self.details.simulation:
            raise ValueError("params and details name different simulations")
        return self


AnyStageRecord = Union[PrepareRecord, TrainRecord, ParseRecord, SimulateRecord, GraphRecord]


class Stages(Record):
    """The complete stages. Simulations and graphs by their UTC stamp (`weights` for a graph without simulation)."""

    prepare: Optional[PrepareRecord] = None
    train: Optional[TrainRecord] = None
    parse: Optional[ParseRecord] = None
    simulations: Dict[Stamp, SimulateRecord] = Field(default_factory=dict)
    graphs: Dict[GraphName, GraphRecord] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_wrote_into_its_own_directory(self) -> "Stages":
        records: Dict[str, Optional[StageRecord]] = {"dataset": self.prepare, "train": self.train, "parse": self.parse}
        records.update({f"simulations/{stamp}": record for stamp, record in self.simulations.items()})
        records.update({f"graphs/{name}": record for name, record in self.graphs.items()})
        for directory, record in records.items():
            for file in record.outputs if record is not None else ():
                if file.external or not file.path.startswith(f"{directory}/"):
                    raise ValueError(f"output {file.path!r} is not in {directory}/")
        return self


class RunInfo(Record):
    """What the run is about. `model_source` names the file of a user's own model."""

    model: ModelName
    dataset: str
    model_source: Optional[str] = None
    created_utc: str
    snnb_version: str


class Manifest(Record):
    schema_version: Literal[1] = 1
    run: RunInfo
    stages: Stages = Field(default_factory=Stages)


RECORD_TYPES = {
    "prepare": PrepareRecord,
    "train": TrainRecord,
    "parse": ParseRecord,
    "simulate": SimulateRecord,
    "graph": GraphRecord,
}
