"""The options of an export, declared once: for the command line, the Python face and the formats that use them."""

from typing import Literal, Optional

from pydantic import Field

from snnb.options import Options

RateUnit = Literal["step", "hz", "sample"]


class ExportOptions(Options):
    """What is written, and in which units. Each format uses the options that concern it."""

    rate_unit: RateUnit = Field(default="step", description="Unit of rates.")
    with_input: bool = Field(
        default=False, description="Keep an input that is a current in partition and spike formats."
    )
    exact: bool = Field(
        default=False,
        description="Numbers in text have the digits that give the same float64, not only float32.",
    )
    scale: Optional[float] = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Factor from rates (metis) or spike counts (hmetis) to integer weights.",
    )
    workers: Optional[int] = Field(
        default=None, ge=1, le=256, description="Threads that write the format parts; by default one a core."
    )
    idx64: bool = Field(default=False, description="The program that reads a metis file is built with 64-bit indices.")


DEFAULTS = ExportOptions()
