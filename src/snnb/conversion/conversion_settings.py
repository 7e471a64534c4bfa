"""Settings of conversion and normalisation."""

from typing import Literal, Optional

from pydantic import Field
from typing_extensions import Annotated

from snnb.conversion.toolbox_config import ToolboxKey
from snnb.core.options import Count, Flag, Options
from snnb.core.recommendation import MAX_CALIBRATED_STEPS, MAX_WEIGHT_BITS

# Panels of the help
NORMALISATION = "Normalisation and layers"
FEW_STEPS = "Few time steps"
INTEGERS = "Integers and pruning"
# Parts of help texts
_OF_ACTIVATIONS = "non-zero activations of a layer"
_SEPARATED = "in successive windows"
Parser = Literal["own", "toolbox"]


class ConversionSettings(Options):
    """Settings of conversion and normalisation."""

    percentile: Annotated[
        float,
        Flag(panel=NORMALISATION),
        ToolboxKey("normalization", "percentile"),
    ] = Field(
        default=99.9,
        gt=0,
        le=100,
        description=f"Percentile of the {_OF_ACTIVATIONS} that maps to a rate of 1.",
    )
    max_pool: Annotated[
        Literal["exact", "average", "toolbox"],
        Flag(panel=NORMALISATION),
        ToolboxKey(
            "conversion",
            "max2avg_pool",
            {"exact": "False", "average": "True", "toolbox": "False"},
        ),
    ] = Field(
        default="exact",
        description="Max pooling: exact, by averages, or by snntoolbox's rule.",
    )
    rectify_linear: Annotated[bool, Flag(panel=NORMALISATION)] = Field(
        default=False,
        description="Accept hidden linear layers, with negative values set to 0.",
    )
    exact_clip: Annotated[bool, Flag(panel=NORMALISATION)] = Field(
        default=False,
        description="Use max_value of a clipped ReLU as its scale factor.",
    )
    parser: Parser = Field(
        default="own",
        description="Parser: of snnb, or of snntoolbox.",
    )
    batch_size: Annotated[Count, ToolboxKey("simulation", "batch_size")] = Field(
        default=50,
        description="Samples per batch.",
    )
    calibrate: Annotated[Optional[int], Flag(panel=FEW_STEPS)] = Field(
        default=None,
        ge=1,
        le=MAX_CALIBRATED_STEPS,
        description="Calibrate for this number of time steps.",
    )
    calibration_samples: Annotated[Optional[int], Flag(panel=FEW_STEPS)] = Field(
        default=None,
        ge=1,
        description="Calibration samples. Default: 1000, with free firing 250.",
    )
    firing: Annotated[Literal["separated", "free"], Flag(panel=FEW_STEPS)] = Field(
        default="separated",
        description=f"Firing of calibrated populations: {_SEPARATED}, or unrestricted.",
    )
    spike_weight: Annotated[float, Flag(panel=FEW_STEPS)] = Field(
        default=0.0,
        ge=0,
        description="Weight of few spikes against accuracy.",
    )
    weight_bits: Annotated[Optional[int], Flag(panel=INTEGERS)] = Field(
        default=None,
        ge=2,
        le=MAX_WEIGHT_BITS,
        description="Bit width of integer weights.",
    )
    threshold_bits: Annotated[int, Flag(panel=INTEGERS)] = Field(
        default=24,
        ge=8,
        le=24,
        description="Bit width of integer thresholds.",
    )
    scale_per: Annotated[Literal["channel", "layer"], Flag(panel=INTEGERS)] = Field(
        default="channel",
        description="Scope of a scale factor.",
    )
    prune: Annotated[float, Flag(panel=INTEGERS)] = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Fraction of the weights of each layer to set to 0.",
    )

    @property
    def samples_to_calibrate(self) -> int:
        """Number of training samples for the calibration."""
        return self.calibration_samples or (250 if self.firing == "free" else 1000)
