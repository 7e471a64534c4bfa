"""Parameters of each stage, as the manifest records them: all values in force, defaults included.

Fields with `exclude=True` say how to work, not what comes out: they are not recorded and never make a stage stale.
"""

from pathlib import Path
from typing import Any, Dict, Literal, Mapping, Optional, Tuple, Type, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snnb.errors import UsageError

Setting = Union[bool, int, float, str, Tuple[Union[int, float], ...]]


class Params(BaseModel):
    """Closed, typed and immutable; what is not known is an error that names the field."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


P = TypeVar("P", bound=Params)


def validated(kind: Type[P], values: Mapping[str, Any]) -> P:
    """Parameters of a stage from options.

    Raises
    ------
    UsageError
        A value is not one that its option takes.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"{option} {first.get('input')!r}: {first['msg'].lower()}") from None


class PrepareParams(Params):
    """What `prepare` makes of a data set."""

    dataset: str
    source: Optional[Path] = None
    shape: Tuple[int, int, int]
    fit: Literal["exact", "pad", "resize"] = "exact"
    norm_samples: int = Field(ge=1)
    limit: Optional[int] = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    data_dir: Optional[Path] = Field(default=None, exclude=True)


class TrainParams(Params):
    """The training recipe in force; `settings` are the architecture's own hyper-parameters."""

    settings: Dict[str, Setting] = Field(default_factory=dict)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: str
    learning_rate: float = Field(gt=0)
    schedule: str = "constant"
    momentum: float = Field(default=0, ge=0, lt=1)
    nesterov: bool = False
    flip: bool = False
    shift: float = Field(default=0, ge=0, lt=1)
    validation_split: float = Field(gt=0, lt=1)
    early_stopping: Optional[int] = Field(default=None, ge=1)
    steps_per_epoch: Optional[int] = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    resume: Optional[bool] = Field(default=None, exclude=True)


class ParseParams(Params):
    """How the network is converted and normalised."""

    percentile: float = Field(default=99.9, gt=0, le=100)
    normalization_schedule: bool = False
    batch_size: int = Field(default=50, ge=1)
    max_pool: Literal["error", "average", "spiking"] = "error"
    rectify_linear: bool = False


class SimulateParams(Params):
    """What is simulated; durations in time steps of dt = 1 ms, rates in Hz, thresholds in normalised units."""

    engine: Literal["auto", "toolbox", "tensorflow", "event"] = "auto"
    samples: int = Field(ge=1)
    duration: int = Field(default=100, ge=1)
    warm_up: int = Field(default=0, ge=0)
    batch_size: int = Field(default=50, ge=1)
    input: Literal["constant", "poisson"] = "constant"
    input_rate: int = Field(default=1000, ge=1)
    threshold: float = Field(default=1.0, gt=0)
    reset: Literal["subtraction", "zero"] = "subtraction"
    workers: int = Field(default=1, ge=1, exclude=True)
    record_spikes: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)


class GraphParams(Params):
    """Which simulation the graph is weighted with, and how."""

    simulation: Optional[str] = None
    weights_only: bool = False
    pool_weight: Literal["one", "mean"] = "one"
    rate_unit: Literal["step", "hz", "sample"] = "step"
    networkx_limit: int = Field(default=2_000_000, ge=0)
