"""How a network is converted and normalised."""

from typing import Literal, Optional

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.options import Count, Options, ToolboxKey

Parser = Literal["auto", "toolbox", "own"]


class ConversionSettings(Options):
    """How a network is converted and normalised."""

    percentile: Annotated[float, ToolboxKey("normalization", "percentile")] = Field(
        default=99.9, gt=0, le=100, description="Percentile of a layer's non-zero activations that becomes a rate of 1."
    )
    max_pool: Annotated[
        Literal["error", "average", "spiking"],
        ToolboxKey("conversion", "max2avg_pool", {"error": "False", "average": "True", "spiking": "False"}),
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
    parser: Parser = Field(default="auto", description="Parser; auto is the toolbox's if that reads the model.")
    batch_size: Annotated[Count, ToolboxKey("simulation", "batch_size")] = Field(
        default=50, description="Samples per batch."
    )
    calibrate: Optional[int] = Field(default=None, ge=1, le=1000, description="Number of time steps to calibrate for.")
    calibration_samples: Count = Field(default=256, description="Training samples of the calibration.")
    firing: Literal["separated", "free"] = Field(
        default="separated", description="Calibrated populations fire in turn, or all at once."
    )
    least_squares: bool = Field(default=False, description="With --calibrate: fit kernels to calibrated rates.")
    weight_bits: Optional[int] = Field(default=None, ge=2, le=16, description="Bit width of integer weights.")
    threshold_bits: int = Field(default=24, ge=8, le=24, description="Bit width of integer thresholds.")
    scale_per: Literal["channel", "layer"] = Field(
        default="channel", description="Factor to integers: for each channel or each layer."
    )
    prune: float = Field(default=0.0, ge=0, lt=1, description="Share of each layer's weights made 0.")
