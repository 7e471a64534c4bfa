"""Settings of a simulation."""

from typing import Dict, Literal, Optional, TypeVar

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import Annotated

from snnb.cluster.connect import checked_address, require_dask
from snnb.conversion.toolbox_config import ToolboxKey, require_toolbox
from snnb.core.errors import InputError, UsageError
from snnb.core.options import MOST, Count, Flag, Options, Seed

LONGEST_DURATION = 10_000_000
# Panels of the help
INPUT = "Input and time"
NEURONS = "Neurons and output"
RECORDING = "Recording"

# Options of a converted network, which a network from a NIR file defines
OF_CONVERTED = ("threshold", "reset", "initial_potential", "output")
T = TypeVar("T")
Engine = Literal["auto", "event", "tensorflow", "toolbox"]
InputCoding = Literal["constant", "poisson", "events", "steps"]
Reset = Literal["subtraction", "zero"]
Output = Literal["auto", "softmax", "spikes", "membrane"]


class SimulationSettings(Options):
    """Settings of a simulation.

    A time step is 1 ms, or the one of a NIR file or of the bins of events.

    With `poisson` input, a pixel spikes with amplitude 1 and probability pixel *
    input_rate / 1000 in each time step. The threshold is also the amplitude of a spike,
    as in the toolbox. An initial potential of half the threshold minimises the expected
    error of a rate (Bu, Ding, Yu, Huang 2022, Optimized potential initialization for
    low-latency spiking neural networks, AAAI); a softmax layer, which has no threshold,
    starts at 0. The results do not depend on `workers` and `scheduler`.
    """

    engine: Engine = Field(default="auto", description="Engine.")
    samples: Annotated[
        Count,
        Flag(panel=INPUT),
        ToolboxKey("simulation", "num_to_test"),
    ] = Field(default=100, description="Number of test samples.")
    first: Annotated[int, Flag(panel=INPUT)] = Field(
        default=0,
        ge=0,
        le=MOST,
        description="Index of the first test sample.",
    )
    duration: Annotated[
        int,
        Flag(panel=INPUT),
        ToolboxKey("simulation", "duration"),
    ] = Field(
        default=100,
        ge=1,
        le=LONGEST_DURATION,
        description="Time steps per sample.",
    )
    warm_up: Annotated[int, Flag(panel=INPUT)] = Field(
        default=0,
        ge=0,
        le=LONGEST_DURATION,
        description="Initial time steps excluded from all counts.",
    )
    batch_size: Annotated[Count, ToolboxKey("simulation", "batch_size")] = Field(
        default=50,
        description="Samples per batch (toolbox engine only).",
    )
    input: Annotated[
        InputCoding,
        Flag(panel=INPUT),
        ToolboxKey("input", "poisson_input", {"constant": "False", "poisson": "True"}),
    ] = Field(
        default="constant",
        description=(
            "Input coding: constant current, Poisson spikes, events, or a current per "
            "time step."
        ),
    )
    input_rate: Annotated[int, Flag(panel=INPUT), ToolboxKey("input", "input_rate")] = (
        Field(
            default=1000,
            ge=1,
            le=1000,
            description="Spikes per 1000 steps of a pixel of 1.",
        )
    )
    threshold: Annotated[float, Flag(panel=NEURONS), ToolboxKey("cell", "v_thresh")] = (
        Field(default=1.0, gt=0, description="Firing threshold.")
    )
    reset: Annotated[
        Reset,
        Flag(panel=NEURONS),
        ToolboxKey(
            "cell",
            "reset",
            {"subtraction": "Reset by subtraction", "zero": "Reset to zero"},
        ),
    ] = Field(default="subtraction", description="Reset mode.")
    initial_potential: Annotated[float, Flag(panel=NEURONS)] = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Initial potential as a fraction of the threshold.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=4096,
        exclude=True,
        description="Number of processes.",
    )
    scheduler: Annotated[Optional[str], Flag(metavar="ADDRESS")] = Field(
        default=None,
        exclude=True,
        description="Dask scheduler; the samples are distributed over its workers.",
    )
    output: Annotated[Output, Flag(panel=NEURONS)] = Field(
        default="auto",
        description=(
            "Output layer: stochastic softmax spikes, integrate-and-fire spikes, or "
            "membrane (accumulated input). auto: spikes if calibrated, else softmax."
        ),
    )
    record_spikes: Annotated[int, Flag(panel=RECORDING)] = Field(
        default=0,
        ge=0,
        le=MOST,
        description="Number of samples with recorded spike times.",
    )
    seed: Seed = Field(default=0, description="Random seed.")

    @property
    def counted_steps(self) -> int:
        """Number of steps after the warm-up."""
        return self.duration - self.warm_up

    @field_validator("warm_up")
    @classmethod
    def _leaves_steps_to_count(cls, warm_up: int, values: ValidationInfo) -> int:
        duration = values.data.get("duration")
        if duration is not None and warm_up >= duration:
            raise ValueError(
                f"leaves no step of --duration {duration} to count; reduce it",
            )
        return warm_up

    @field_validator("record_spikes")
    @classmethod
    def _records_what_is_simulated(
        cls,
        record_spikes: int,
        values: ValidationInfo,
    ) -> int:
        samples = values.data.get("samples")
        if samples is not None and record_spikes > samples:
            raise ValueError(
                f"only --samples {samples} are simulated; record at most that many",
            )
        return record_spikes

    @field_validator("scheduler")
    @classmethod
    def _is_an_address(
        cls,
        scheduler: Optional[str],
        values: ValidationInfo,
    ) -> Optional[str]:
        if scheduler is None:
            return None
        if values.data.get("workers", 1) > 1:
            raise ValueError("not with --workers: the cluster has its own workers")
        return checked_address(scheduler)

    @field_validator(
        "initial_potential",
        "record_spikes",
        "workers",
        "scheduler",
        "output",
    )
    @classmethod
    def _not_in_the_toolbox(cls, value: T, values: ValidationInfo) -> T:
        valid_values = (cls.model_fields[str(values.field_name)].default, "softmax")
        if values.data.get("engine") == "toolbox" and value not in valid_values:
            raise ValueError(
                "not with --engine toolbox; use --engine tensorflow or event",
            )
        return value


def defined_by_network(
    *, is_integer: bool, is_calibrated: bool, trained_spiking: bool
) -> Dict[str, str]:
    """Return why options have no effect on a kind of network, by option."""
    reasons: Dict[str, str] = {}
    if trained_spiking:
        reason = "a trained spiking network defines it; omit it"
        reasons.update(dict.fromkeys(OF_CONVERTED, reason))
    if is_calibrated:
        reasons["initial_potential"] = (
            "a calibrated network defines its initial potentials; omit it"
        )
    if is_integer:
        reasons["threshold"] = "an integer network defines its thresholds; omit it"
    return reasons


def refuse_unsuitable(
    settings: SimulationSettings,
    *,
    is_integer: bool,
    is_calibrated: bool,
    has_windows: bool,
    is_pruned: bool,
    trained_spiking: bool = False,
) -> None:
    """Raise `UsageError` or `InputError` for settings that are not supported.

    A kind of network, or this machine, may not support them.
    """
    if settings.engine == "toolbox":
        kinds = {
            "an integer": is_integer,
            "a calibrated": is_calibrated,
            "a pruned": is_pruned,
        }
        refused_kind = next((kind for kind, applies in kinds.items() if applies), None)
        if refused_kind is not None:
            raise InputError(
                f"the toolbox cannot simulate {refused_kind} network: use --engine "
                "tensorflow or event",
            )
        require_toolbox("--engine toolbox", "--engine tensorflow or event")
    if settings.scheduler is not None or settings.workers > 1:
        require_dask("--workers" if settings.scheduler is None else "--scheduler")
    reasons = defined_by_network(
        is_integer=is_integer,
        is_calibrated=is_calibrated,
        trained_spiking=trained_spiking,
    )
    for name, reason in reasons.items():
        if getattr(settings, name) != type(settings).model_fields[name].default:
            raise UsageError(f"--{name.replace('_', '-')}: {reason}")
    if has_windows and settings.warm_up:
        raise UsageError(
            "--warm-up: a population with a firing window has no warm-up; omit it",
        )
    if has_windows and settings.reset != "subtraction":
        raise UsageError(
            "--reset zero: a network with firing windows needs --reset subtraction",
        )
