"""Formats of the files of figures, and the option that selects one."""

from typing import Literal, Optional

from pydantic import Field
from typing_extensions import Annotated

FigureFormat = Literal["png", "svg", "pdf"]
FIGURE_ENDINGS = (".png", ".svg", ".pdf")
# Type of the option `--figures` of a stage
Figures = Annotated[
    Optional[FigureFormat],
    Field(exclude=True, description="Figure format."),
]
FIGURES_DEFAULT = "png, or as before"  # as before: of the last figures of the stage
