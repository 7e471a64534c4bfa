"""The options of an export."""

from typing import Literal, Optional

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import Annotated

from snnb.cluster.connect import checked_address
from snnb.core.options import Flag, Options

RateUnit = Literal["step", "hz", "sample"]
SOME = "Options of some formats"  # panel of the help


class ExportOptions(Options):
    """Contents and units of an export. An option that only some formats have is in their `Format.own_options`."""

    rate_unit: RateUnit = Field(
        default="step",
        description="Unit of rates: spikes per time step, Hz, or spikes per sample.",
    )
    with_input: Annotated[bool, Flag(panel=SOME)] = Field(
        default=False,
        description="Include a constant-current input in partition and spike formats.",
    )
    exact: bool = Field(
        default=False,
        description="Write numbers with float64 digits instead of float32.",
    )
    integers: Annotated[bool, Flag(panel=SOME)] = Field(
        default=False,
        description="Write the integer weights, biases and thresholds of an integer network.",
    )
    scale: Annotated[Optional[float], Flag(panel=SOME)] = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description=(
            "metis, hmetis: factor from rates (metis) or spike counts (hmetis) to "
            "integer weights. Default: weights are spike counts, times the smallest "
            "power of ten that keeps fractions, halved until their sum is below 2^31. "
            "noxim: factor from spikes per time step to packets per cycle. Default: a "
            "cycle per ns of a time step."
        ),
    )
    workers: Annotated[Optional[int], Flag(panel=SOME)] = Field(
        default=None,
        ge=1,
        le=256,
        description="parts: number of writing threads. Default: one per processor core.",
    )
    scheduler: Annotated[Optional[str], Flag(metavar="ADDRESS", panel=SOME)] = Field(
        default=None,
        description=(
            "parts: Dask scheduler whose workers write; they must share the output "
            "folder."
        ),
    )
    map: Annotated[Optional[str], Flag(metavar="STAMP", panel=SOME)] = Field(
        default=None,
        description=(
            "Stamp of a mapping. sanafe: its cores and an architecture file are "
            "written. noxim: its traffic."
        ),
    )
    idx64: Annotated[bool, Flag(panel=SOME)] = Field(
        default=False, description="metis: allow 64-bit indices."
    )

    @field_validator("scheduler")
    @classmethod
    def _is_an_address(
        cls, scheduler: Optional[str], others: ValidationInfo
    ) -> Optional[str]:
        if scheduler is not None and others.data.get("workers") is not None:
            raise ValueError("not with --workers: the cluster has its own workers")
        return scheduler if scheduler is None else checked_address(scheduler)
