"""Parameters of each stage, as the manifest records them: all values in force, defaults included.

Fields with `exclude=True` say how to work, not what comes out: they are not recorded and never make a stage stale.
"""

from pathlib import Path
from typing import Any, Dict, Literal, Mapping, Optional, Tuple, Type, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

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
        raise _usage_error(error.errors()[0]) from None


def refuse_bad_values(kind: Type[Params], values: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a value that its option does not take; others may still be missing."""
    try:
        kind.model_validate(values)
    except ValidationError as error:
        for wrong in error.errors():
            if wrong["type"] != "missing":
                raise _usage_error(wrong) from None


def _usage_error(wrong: Mapping[str, Any]) -> UsageError:
    option, reason = str(wrong["loc"][0]).replace("_", "-"), wrong["msg"]
    if wrong["type"] == "value_error":  # of a validator below; pydantic puts words before its message
        reason = wrong["ctx"]["error"]
    return UsageError(f"--{option} {wrong.get('input')!r}: {str(reason)[:1].lower()}{str(reason)[1:]}")


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
    spike_code: str = Field(default="temporal_mean_rate", exclude=True)

    @field_validator("warm_up")
    @classmethod
    def _leaves_steps_to_count(cls, warm_up: int, others: ValidationInfo) -> int:
        duration = others.data.get("duration")
        if duration is not None and warm_up >= duration:
            raise ValueError(f"leaves no step of --duration {duration} to count; make it shorter")
        return warm_up

    @field_validator("record_spikes")
    @classmethod
    def _records_what_is_simulated(cls, record_spikes: int, others: ValidationInfo) -> int:
        samples = others.data.get("samples")
        if samples is not None and record_spikes > samples:
            raise ValueError(f"only --samples {samples} are simulated; record at most that many")
        return record_spikes

    @field_validator("spike_code")
    @classmethod
    def _is_a_rate(cls, spike_code: str) -> str:
        if spike_code != "temporal_mean_rate":
            raise ValueError(
                "only temporal_mean_rate is simulated; in the toolbox's other codes (ttfs, temporal_pattern ...) a "
                "spike stands for a time or a bit, while the graph is made of firing rates"
            )
        return spike_code


class GraphParams(Params):
    """Which simulation the graph is weighted with, and how."""

    simulation: Optional[str] = None
    weights_only: bool = False
    pool_weight: Literal["one", "mean"] = "one"
    rate_unit: Literal["step", "hz", "sample"] = "step"
    networkx_limit: int = Field(default=2_000_000, ge=0)
