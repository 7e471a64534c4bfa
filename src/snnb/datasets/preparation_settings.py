"""Settings of the conversion of a data set to arrays."""

import re
from pathlib import Path
from typing import ClassVar, Literal, Mapping, Optional, Tuple

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.options import AbsolutePath, Count, Flag, Options, Seed


def parse_shape(text: str) -> Tuple[int, int, int]:
    """Read `64x64x3`: height, width, channels."""
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", text):
        raise ValueError(f"{text!r} is not like 64x64x3 (height, width, channels)")
    height, width, channels = map(int, text.split("x"))
    return height, width, channels


class PreparationSettings(Options):
    """How a data set is converted to arrays.

    `fit` is how images of another shape are converted: refused ("exact"), surrounded by
    zeros ("pad") or resized ("resize"); picture files are always resized. With a
    `limit`, the classes stay in proportion.
    """

    defaults_elsewhere: ClassVar[Mapping[str, str]] = {"shape": "the model's"}

    dataset: Annotated[str, Flag(hidden=True)] = Field(
        description="Name of the data set, which is the run's.",
    )
    source: Optional[AbsolutePath] = Field(
        default=None,
        exclude=True,
        description="Folder with the original files; disables the download.",
    )
    data_dir: Annotated[Optional[Path], Flag(environment="SNNB_DATA")] = Field(
        default=None,
        exclude=True,
        description="Directory of the data sets. Default: the user's cache directory.",
    )
    shape: Annotated[Tuple[int, int, int], Flag(metavar="HxWxC", parse=parse_shape)] = (
        Field(description="Image size, such as 64x64x3.")
    )
    fit: Annotated[Literal["exact", "pad", "resize"], Flag(hidden=True)] = Field(
        default="exact",
        description="Method that fits images to that size; set by the model.",
    )
    norm_samples: Count = Field(
        default=1000,
        description="Training samples for the normalisation, class-balanced.",
    )
    limit: Optional[Count] = Field(
        default=None,
        description="Maximum number of training samples, and of test samples.",
    )
    seed: Seed = Field(default=0, description="Random seed.")
    bin_us: Annotated[Count, Flag(panel="Events")] = Field(
        default=1000,
        description="Time step in µs over which events are summed.",
    )
    binary: Annotated[bool, Flag(panel="Events")] = Field(
        default=False,
        description="Count at most one event per pixel and time step.",
    )
