"""How a network is converted and normalised."""

from typing import Literal, Optional

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.options import Count, Options, ToolboxKey

Parser = Literal["auto", "toolbox", "own"]
MaxPool = Literal["error", "average", "spiking"]
Firing = Literal["separated", "free"]
Starts = Literal["half", "zero"]


class ConversionSettings(Options):
    """How a network is converted and normalised."""

    percentile: Annotated[float, ToolboxKey("normalization", "percentile")] = Field(
        default=99.9, gt=0, le=100, description="Percentile of a layer's non-zero activations that becomes a rate of 1."
    )
    normalization_schedule: Annotated[bool, ToolboxKey("normalization", "normalization_schedule")] = Field(
        default=False, description="Lower the percentile with depth, as in the toolbox."
    )
    max_pool: Annotated[
        MaxPool, ToolboxKey("conversion", "max2avg_pool", {"error": "False", "average": "True", "spiking": "False"})
    ] = Field(
        default="error",
        description="Max pooling: refuse, replace by average pooling, or convert to spiking max pooling.",
    )
    rectify_linear: bool = Field(
        default=False, description="Accept hidden linear layers; their negative activations become 0."
    )
    exact_clip: bool = Field(
        default=False,
        description="Let a clipped ReLU fire at every step where it clips: its scale factor is max_value.",
    )
    parser: Parser = Field(
        default="auto", description="Parser: the toolbox's, that of snnb, or the toolbox's where it can read the model."
    )
    batch_size: Annotated[Count, ToolboxKey("simulation", "batch_size")] = Field(
        default=50, description="Samples per batch."
    )
    calibrate: Optional[int] = Field(
        default=None,
        ge=1,
        le=1000,
        description="Calibrate biases, scale factors and initial potentials for this number of time steps.",
    )
    calibration_samples: Count = Field(
        default=256, description="Training samples of the calibration, or all of the normalisation if there are fewer."
    )
    firing: Firing = Field(
        default="separated",
        description="Calibrated network: populations fire one after the other, or all at once (free).",
    )
    starts: Starts = Field(
        default="half",
        description="With --firing free: initial potentials around half the threshold, or zero for all neurons.",
    )
    least_squares: bool = Field(
        default=False, description="With --calibrate: fit kernels to the rates of the calibrated populations."
    )
