"""What `--json` prints, as a type for each command. `make site` writes their JSON schemas to schemas/ of the site.

Importing this module imports what the types are made of, so commands do not.
"""

from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple, Union, get_type_hints

from pydantic import ConfigDict, TypeAdapter, create_model
from typing_extensions import TypedDict

from snnb.crosscheck.spike_differences import Compared as ComparedPopulation
from snnb.datasets.definition import DatasetSpec
from snnb.io.text import JsonValue
from snnb.mapping.hardware import Hardware
from snnb.pipeline.all import CHAIN, STAGES
from snnb.results.compare import Compared, MappingCost
from snnb.rundir.records import Record, Timing

CLOSED = ConfigDict(extra="forbid")


class Failure(TypedDict):
    """What every command prints when it fails: the line that is also on stderr, and the exit code."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    error: str
    exit_code: int


class StageOfStatus(TypedDict):
    """A result of the run, or a stage that has not run."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    stage: str
    up_to_date: bool
    reason: Optional[str]
    started_utc: Optional[str]
    wall_s: Optional[float]
    label: Optional[str]
    class_name: Optional[str]
    overfull_cores: Optional[int]
    samples: Optional[int]
    snn_accuracy: Optional[float]
    snn_mean_squared_error: Optional[float]
    differs: Dict[str, JsonValue]


class Status(TypedDict):
    """`snnb status`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    run_dir: Path
    model: str
    dataset: str
    stale_exports: List[str]
    stages: List[StageOfStatus]
    mappings: List[MappingCost]


class Verify(TypedDict):
    """`snnb verify`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    run_dir: Path
    files: int
    size_bytes: int
    problems: List[str]
    damaged: List[str]
    notes: List[str]


class Export(TypedDict):
    """`snnb export`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    path: Path
    graph: Optional[str]
    edges: int
    size_bytes: int
    format: str


class Report(TypedDict):
    """`snnb report`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    report: Path
    size_bytes: int


class Compare(TypedDict):
    """`snnb compare`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    figure: Optional[Path]
    simulations: List[Compared]


class Crosscheck(TypedDict):
    """`snnb crosscheck`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    passed: bool
    simulator: str
    stamp: str
    samples: int
    recorded: bool
    populations: List[ComparedPopulation]


class Remove(TypedDict):
    """`snnb remove`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    run_dir: Path
    removed: List[str]
    size_bytes: int
    exports: List[str]


class ModelOfList(TypedDict):
    """A model of `snnb models`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    name: str
    dataset: str
    input_shape: Tuple[int, int, int]
    classes: Optional[int]
    neurons: int
    synapses: int
    settings: Dict[str, JsonValue]
    source: str


class Place(TypedDict):
    """A folder of `snnb doctor`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    path: Path
    free_bytes: int
    writable: bool


class Doctor(TypedDict):
    """`snnb doctor`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    python: str
    snnb: str
    numpy: str
    tensorflow: Optional[str]
    snntoolbox: Optional[str]
    tensorflow_imports: str
    gpus: List[str]
    torch: Optional[str]
    torch_gpus: List[str]
    cores: int
    memory_bytes: int
    memory_available_bytes: int
    runs: Place
    data: Place


class PointOfSweep(TypedDict):
    """A point of the grid, and what its simulation gave."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    values: Dict[str, JsonValue]
    ran: bool
    simulation: str
    samples: int
    ann_accuracy: Optional[float]
    snn_accuracy: Optional[float]
    snn_accuracy_low: Optional[float]
    snn_accuracy_high: Optional[float]
    ann_mean_squared_error: Optional[float]
    snn_mean_squared_error: Optional[float]
    spikes_per_step_and_neuron: Optional[float]
    synaptic_operations_per_sample: Optional[float]


class Sweep(TypedDict):
    """`snnb sweep`."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    run_dir: Path
    table: Path
    figure: Path
    points: List[PointOfSweep]


def _stage(name: str) -> Any:
    """Return the type of a stage's part of the document: its parameters and details are its own."""
    kind = STAGES[name].kind
    return create_model(
        f"{name.title()}Result",
        __base__=Record,
        stage=(Literal[name], ...),
        directory=(Path, ...),
        ran=(bool, ...),
        reason=(Optional[str], ...),
        params=(kind.params, ...),
        metrics=(Dict[str, Union[int, float, None]], ...),
        timing=(Timing, ...),
        warnings=(List[str], ...),
        details=(kind.details, ...),
    )


def _run_of(names: List[str], **more: Any) -> Any:
    results: Any = Union[tuple(_stage(name) for name in names)]
    return create_model(
        "Run", __base__=Record, run_dir=(Path, ...), model=(str, ...), stages=(List[results], ...), **more
    )


_OF_DATASET: Dict[str, Any] = {name: (of, ...) for name, of in get_type_hints(DatasetSpec).items()}
_OF_HARDWARE: Dict[str, Any] = {name: (field.annotation, field) for name, field in Hardware.model_fields.items()}
_DATASET: Any = create_model("DatasetOfList", __base__=Record, path=(Optional[Path], ...), **_OF_DATASET)
_HARDWARE: Any = create_model("HardwareOfList", __base__=Record, cores=(int, ...), **_OF_HARDWARE)
DOCUMENTS: Dict[str, Any] = {
    **{name: _run_of(list(STAGES)[: i + 1]) for i, name in enumerate(STAGES)},
    "run": _run_of(CHAIN, report=(Optional[Path], ...)),
    "sweep": Sweep,
    "export": Export,
    "status": Status,
    "report": Report,
    "compare": Compare,
    "crosscheck": Crosscheck,
    "remove": Remove,
    "verify": Verify,
    "models": List[ModelOfList],
    "datasets": List[_DATASET],
    "hardware": List[_HARDWARE],
    "doctor": Doctor,
}


def schema_of(command: str) -> Dict[str, JsonValue]:
    """Return the JSON schema of what a command prints with `--json` when it succeeds; see `Failure` for the rest."""
    title = f"What `snnb {command} --json` prints"
    return {"title": title, **TypeAdapter(DOCUMENTS[command]).json_schema(mode="serialization")}
