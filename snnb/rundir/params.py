"""Parameters of each stage, as the manifest records them: all values in force, defaults included.

Fields with `exclude=True` say how to work, not what comes out: they are not recorded and never make a stage stale.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Dict, Literal, Mapping, Optional, Tuple, Type, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator
from typing_extensions import Annotated

from snnb.errors import UsageError

LARGEST_SEED = 2**32 - 1  # numpy's legacy generator, which TensorFlow and the toolbox use, takes 32 bits
LONGEST_DURATION = 10_000_000
MOST = 2**31 - 1
Count = Annotated[int, Field(ge=1, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Setting = Union[bool, int, float, str, Tuple[Union[int, float], ...]]


class Params(BaseModel):
    """Closed, typed and immutable; what is not known is an error that names the field."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


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
        raise _usage_error(kind, error.errors()[0]) from None


def typed(kind: Type[Params], given: Mapping[str, Any]) -> Dict[str, Any]:
    """The options given, each as its field's type: a text `"3"` for a count becomes 3.

    Raises
    ------
    UsageError
        An option does not exist, or does not take its value.
    """
    refuse_bad_values(kind, given)
    values: Dict[str, Any] = {}
    for name, value in given.items():
        field = kind.model_fields[name]
        annotation = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        values[name] = TypeAdapter(annotation).validate_python(value)
    return values


def over(recorded: Mapping[str, Any], given: Mapping[str, Any]) -> Dict[str, Any]:
    """Recorded values with those that are given in their place; of settings by name, each by itself."""
    together = {**recorded, **given}
    for name, value in given.items():
        if isinstance(value, Mapping) and isinstance(recorded.get(name), Mapping):
            together[name] = {**recorded[name], **value}
    return together


def fitting(
    kind: Type[Params], recorded: Mapping[str, Any], given: Mapping[str, Any]
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Split recorded values into those that fit together with the ones that are given, and those that do not.

    A `--record-spikes 50` of the last simulation does not fit `--samples 20`: its default is used then.
    """
    kept, dropped = dict(recorded), {}
    while True:
        try:
            kind.model_validate(over(kept, given))
        except ValidationError as error:
            names = {str(wrong["loc"][0]) for wrong in error.errors() if wrong["type"] != "missing"}
            unfit = [name for name in names if name in kept and name not in given]
            if unfit:
                dropped.update({name: kept.pop(name) for name in unfit})
                continue
        return kept, dropped


def refuse_bad_values(kind: Type[Params], values: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a value that its option does not take; others may still be missing."""
    try:
        kind.model_validate(values)
    except ValidationError as error:
        for wrong in error.errors():
            if wrong["type"] != "missing":
                raise _usage_error(kind, wrong) from None


def _usage_error(kind: Type[Params], wrong: Mapping[str, Any]) -> UsageError:
    option, reason = str(wrong["loc"][0]).replace("_", "-"), wrong["msg"]
    if wrong["type"] == "extra_forbidden":
        near = get_close_matches(str(wrong["loc"][0]), kind.model_fields, n=1)
        there = ", ".join(sorted(f"--{name.replace('_', '-')}" for name in kind.model_fields))
        hint = f"did you mean --{near[0].replace('_', '-')}?" if near else f"there are {there}"
        return UsageError(f"no such option: --{option}; {hint}")
    if wrong["type"] == "value_error":  # of a validator below; pydantic puts words before its message
        reason = wrong["ctx"]["error"]
    return UsageError(f"--{option} {wrong.get('input')!r}: {str(reason)[:1].lower()}{str(reason)[1:]}")


class PrepareParams(Params):
    """What `prepare` makes of a data set."""

    dataset: str
    source: Optional[Path] = None
    shape: Tuple[int, int, int]
    fit: Literal["exact", "pad", "resize"] = "exact"
    norm_samples: Count
    limit: Optional[Count] = None
    seed: Seed = 0
    data_dir: Optional[Path] = Field(default=None, exclude=True)


class TrainParams(Params):
    """The training recipe in force; `settings` are the architecture's own hyper-parameters."""

    settings: Dict[str, Setting] = Field(default_factory=dict)
    epochs: Count
    batch_size: Count
    optimizer: str
    learning_rate: float = Field(gt=0)
    schedule: str = "constant"
    momentum: float = Field(default=0, ge=0, lt=1)
    nesterov: bool = False
    flip: bool = False
    shift: float = Field(default=0, ge=0, lt=1)
    validation_split: float = Field(gt=0, lt=1)
    early_stopping: Optional[Count] = None
    steps_per_epoch: Optional[Count] = None
    seed: Seed = 0
    resume: Optional[bool] = Field(default=None, exclude=True)


class ParseParams(Params):
    """How the network is converted and normalised."""

    percentile: float = Field(default=99.9, gt=0, le=100)
    normalization_schedule: bool = False
    batch_size: Count = 50
    max_pool: Literal["error", "average", "spiking"] = "error"
    rectify_linear: bool = False


class SimulateParams(Params):
    """What is simulated; durations in time steps of dt = 1 ms, rates in Hz, thresholds in normalised units."""

    engine: Literal["auto", "toolbox", "tensorflow", "event"] = "auto"
    samples: Count
    duration: int = Field(default=100, ge=1, le=LONGEST_DURATION)
    warm_up: int = Field(default=0, ge=0, le=LONGEST_DURATION)
    batch_size: Count = 50
    input: Literal["constant", "poisson"] = "constant"
    input_rate: Count = 1000
    threshold: float = Field(default=1.0, gt=0)
    reset: Literal["subtraction", "zero"] = "subtraction"
    workers: int = Field(default=1, ge=1, le=4096, exclude=True)
    repair: Optional[str] = Field(default=None, exclude=True)
    record_spikes: int = Field(default=0, ge=0, le=MOST)
    seed: Seed = 0
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

    @field_validator("record_spikes", "workers")
    @classmethod
    def _not_in_the_toolbox(cls, value: int, others: ValidationInfo) -> int:
        if others.data.get("engine") == "toolbox" and value > (1 if others.field_name == "workers" else 0):
            raise ValueError("not with --engine toolbox; choose another engine")
        return value

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
    networkx_limit: int = Field(default=2_000_000, ge=0, le=2**63 - 1)
