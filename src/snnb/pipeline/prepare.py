"""Stage `prepare`: convert a data set to memory-mapped arrays and to the three npz files of snntoolbox."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Dict, List, Literal, Mapping, Optional, Tuple, Union, cast

import platformdirs
from pydantic import Field
from typing_extensions import Annotated

from snnb.core.errors import UsageError
from snnb.core.options import Count, Flag, Options, Seed
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.datasets.definition import Content, PreparedSplit
from snnb.pipeline.stage import (
    AbsolutePath,
    Given,
    Stage,
    params_in_force,
    recorded,
    recorded_details,
)
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import Kind, Record, external_records

if TYPE_CHECKING:
    import numpy as np

    from snnb.network.event_samples import EventSamples


def parse_shape(text: str) -> Tuple[int, int, int]:
    """Read `64x64x3`: height, width, channels."""
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", text):
        raise ValueError(f"{text!r} is not like 64x64x3 (height, width, channels)")
    height, width, channels = map(int, text.split("x"))
    return height, width, channels


class PrepareParams(Options):
    """Options of `snnb prepare`."""

    defaults_elsewhere: ClassVar[Mapping[str, str]] = {"shape": "the model's"}

    dataset: Annotated[str, Flag(hidden=True)] = Field(description="Name of the data set, which is the run's.")
    source: Optional[AbsolutePath] = Field(
        default=None, description="Folder with the data set's own files, instead of a download."
    )
    data_dir: Annotated[Optional[Path], Flag(environment="SNNB_DATA")] = Field(
        default=None, exclude=True, description="Directory of the data sets; by default the user's cache directory."
    )
    shape: Annotated[Tuple[int, int, int], Flag(metavar="HxWxC", parse=parse_shape)] = Field(
        description="Size of the pictures, as 64x64x3."
    )
    fit: Annotated[Literal["exact", "pad", "resize"], Flag(hidden=True)] = Field(
        default="exact", description="Method that fits pictures to that size; set by the model."
    )
    norm_samples: Count = Field(default=1000, description="Training samples for the normalisation, balanced by class.")
    limit: Optional[Count] = Field(
        default=None, description="Keep at most this many training and as many test samples."
    )
    seed: Seed = Field(default=0, description="Seed of all random numbers.")
    bin_us: Count = Field(default=1000, description="Time step in µs, into which events are summed.")
    binary: bool = Field(default=False, description="Count at most one event of a pixel in a time step.")


class PrepareDetails(Record):
    """Origin and content of the arrays; a pixel in [0, 1] is stored value / `scale`."""

    dataset: str
    version: str
    licence: str
    source: str
    scale: float = Field(gt=0)
    class_names: List[str]
    splits: Dict[str, PreparedSplit]
    content: Content = "pictures"
    outside: Optional[int] = None  # events outside the sensor, which are left out


KIND = Kind("prepare", "dataset", PrepareParams, PrepareDetails)


def data_directory() -> Path:
    """Return the directory of the data sets: $SNNB_DATA, else the user's cache directory."""
    return Path(os.environ.get("SNNB_DATA") or platformdirs.user_cache_dir("snnb"))


def resolve(run: RunDirectory, given: Mapping[str, object], say: Say = say_nothing) -> PrepareParams:
    """Return the parameters in force; the shape is the model's unless another is given."""
    from snnb.pipeline.model import input_shape

    if "fit" not in given and (recorded(run, KIND) is None or "shape" in given):  # `_defaults` gives both
        shape, fit = input_shape(run.manifest.run, cast("Optional[Tuple[int, int, int]]", given.get("shape")))
        given = {**given, "shape": shape, "fit": fit}
    return params_in_force(run, KIND, given, say, defaults={"dataset": run.manifest.run.dataset})


def _defaults(run: RunDirectory, given: Mapping[str, object]) -> Mapping[str, object]:
    """Return the defaults of this run, without the shape where neither model nor data set fixes it.

    `fit` is that of the shape in force.
    """
    from snnb.pipeline.model import input_shape

    defaults: Dict[str, object] = {"dataset": run.manifest.run.dataset}
    try:
        defaults["shape"], defaults["fit"] = input_shape(run.manifest.run, None)
    except UsageError:
        defaults["fit"] = "resize"  # as for any shape that is given
    if "shape" in given:
        defaults["fit"] = input_shape(run.manifest.run, cast("Tuple[int, int, int]", given["shape"]))[1]
    return defaults


def run(run: RunDirectory, params: PrepareParams, progress: Progress = silent) -> None:
    """Read the data set and write `dataset/`; `resolve` returns `params`."""
    from snnb.datasets import preparation
    from snnb.datasets.catalogue import find_dataset
    from snnb.pipeline.model import model_of

    spec = find_dataset(params.dataset).spec
    with run.stage("prepare", params, inputs=[]) as output:
        prepared = preparation.prepare(
            params.dataset,
            output.directory,
            data_dir=params.data_dir or data_directory(),
            source=params.source,
            shape=params.shape,
            fit=params.fit,
            seed=params.seed,
            norm_samples=params.norm_samples,
            limit=params.limit,
            bin_us=params.bin_us,
            binary=params.binary,
            num_classes=model_of(run).num_classes if spec.num_classes else None,
            progress=progress,
        )
        output.external = external_records(prepared.sources, progress)
        output.warnings = prepared.warnings
        output.details = PrepareDetails(
            dataset=spec.name,
            version=prepared.version,
            licence=spec.licence,
            source=spec.source,
            scale=spec.scale,
            class_names=prepared.class_names,
            splits=prepared.splits,
            content=spec.content,
            outside=prepared.outside,
        )
        output.metrics = {f"{name}_samples": split.shape[0] for name, split in prepared.splits.items()}


def _without_effect(run: RunDirectory, given: Given) -> Mapping[str, str]:
    from snnb.datasets.catalogue import find_dataset

    if run.manifest.run.imported:
        return {}
    content = find_dataset(run.manifest.run.dataset).spec.content
    reasons = {} if content == "pictures" else {"norm_samples": "a spiking network is not normalised; leave it out"}
    if content != "events":
        reasons.update(dict.fromkeys(("bin_us", "binary"), "only for a data set of events"))
    return reasons


def samples_file(run: RunDirectory) -> str:
    """Return the path of the prepared test samples in the run."""
    return f"dataset/x_test.{'npy' if recorded_details(run, KIND).content == 'pictures' else 'h5'}"


def samples_to_simulate(run: RunDirectory) -> "Union[np.ndarray, EventSamples]":
    """Open the prepared test samples."""
    from snnb.network.event_samples import EventSamples

    path = run.path / samples_file(run)
    return EventSamples(path) if path.suffix == ".h5" else dataset_array(run, "x_test")


def dataset_array(run: RunDirectory, name: str) -> "np.ndarray":
    """Map an array of the prepared data set into memory: "x_train", "y_train", "x_test" or "y_test"."""
    from snnb.io.npy import load_array

    return load_array(run.path / "dataset" / f"{name}.npy")


def normalisation_set(run: RunDirectory) -> "np.ndarray":
    """Read `dataset/x_norm.npz`: float32 of shape (samples, height, width, channels), values in [0, 1]."""
    from snnb.io.npy import load_archive

    arrays: Dict[str, np.ndarray] = load_archive(run.path / "dataset" / "x_norm.npz", must=["arr_0"])
    return arrays["arr_0"]


_TEXT = "Convert a data set to arrays: dataset/."
STAGE = Stage(KIND, _TEXT, resolve, run, defaults=_defaults, without_effect=_without_effect)
