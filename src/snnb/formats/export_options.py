"""The options of an export."""

from typing import ClassVar, Literal, Optional

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import Annotated

from snnb.cluster.connect import checked_address
from snnb.core.options import Flag, Options

RateUnit = Literal["step", "hz", "sample"]


class ExportOptions(Options):
    """Contents and units of an export. An option that only some formats have is in their `Format.own_options`."""

    recorded: ClassVar[bool] = False

    rate_unit: RateUnit = Field(default="step", description="Unit of rates.")
    with_input: bool = Field(
        default=False, description="Keep an input that is a current in partition and spike formats."
    )
    exact: bool = Field(default=False, description="Write numbers with the digits of float64 instead of float32.")
    integers: bool = Field(
        default=False, description="Write the integer weights, biases and thresholds of an integer network."
    )
    scale: Optional[float] = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Factor from rates (metis) or spike counts (hmetis) to integer weights.",
    )
    workers: Optional[int] = Field(
        default=None, ge=1, le=256, description="Threads that write the format parts; by default one per core."
    )
    scheduler: Annotated[Optional[str], Flag(metavar="ADDRESS")] = Field(
        default=None,
        description="Scheduler of a Dask cluster that writes the format parts, into a folder that its workers share.",
    )
    map: Annotated[Optional[str], Flag(metavar="STAMP")] = Field(
        default=None, description="Stamp of a mapping: sanafe writes its cores, and the chip as an architecture file."
    )
    idx64: bool = Field(default=False, description="Write metis files for a program with 64-bit indices.")

    @field_validator("scheduler")
    @classmethod
    def _is_an_address(cls, scheduler: Optional[str], others: ValidationInfo) -> Optional[str]:
        if scheduler is not None and others.data.get("workers") is not None:
            raise ValueError("not with --workers: the cluster has its own workers")
        return scheduler if scheduler is None else checked_address(scheduler)


DEFAULTS = ExportOptions()
