"""Options of reading NIR files. Imported at the start of the program, so without numpy."""

from typing import Literal, Optional

from pydantic import Field

from snnb.core.options import Options

# subtract_delayed: in the next step, after the decay, as snnTorch does with `reset_delay=True`, its default.
Reset = Literal["value", "subtract", "subtract_delayed"]
Integration = Literal["euler", "exponential"]


class NirSettings(Options):
    """Decisions that a NIR file leaves open."""

    time_step: Optional[float] = Field(default=None, gt=0, description="Of a NIR file: time step, in its unit of time.")
    nir_reset: Reset = Field(
        default="value",
        description="Reset of a NIR file, by subtraction also a step later.",
    )
    integration: Integration = Field(default="euler", description="Of a NIR file: decay in a time step.")
