"""How a network is converted and normalised."""

from typing import Literal

from pydantic import Field

from snnb.options import Count, Options

MaxPool = Literal["error", "average", "spiking"]


class ConversionSettings(Options):
    """How a network is converted and normalised."""

    percentile: float = Field(
        default=99.9,
        gt=0,
        le=100,
        description="Percentile of a layer's non-zero activations that becomes a rate of 1.",
    )
    normalization_schedule: bool = Field(
        default=False, description="Lower the percentile with depth, as the toolbox can."
    )
    max_pool: MaxPool = Field(
        default="error", description="What to do about max pooling: refuse it, replace it, or keep it spiking."
    )
    rectify_linear: bool = Field(
        default=False, description="Accept hidden linear layers, whose negative activations spikes cut off."
    )
    batch_size: Count = Field(default=50, description="Samples at a time.")
