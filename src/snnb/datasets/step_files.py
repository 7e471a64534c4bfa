"""Currents or spikes of the user in each step.

`x_test.npy` (samples, steps, …), `y_test.npy`, `x_train`, `y_train`.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from snnb.core.errors import DamagedError, InputError
from snnb.core.formatting import format_shape
from snnb.datasets.array_samples import MOST_CLASSES, class_numbers
from snnb.datasets.definition import Dataset, ImageShape, LoadedDataset, OwnSpec
from snnb.io.npy import load_array
from snnb.network.event_samples import Steps

AXES = (
    "(samples, steps, height, width, channels), or (samples, steps, values) for a "
    "network without images"
)
TYPES = "float32 for currents, or integers for numbers of spikes"
MOST_SPIKES = 1 << 24  # of a neuron in a step: larger numbers are rounded in float32

SPEC = OwnSpec(
    name="steps:DIR",
    title="user currents or spikes",
    source="arrays of the user",
    layout="x_test.npy and y_test.npy",
    how_to_get=(
        f"Write x_test.npy, {TYPES}, {AXES}; and y_test.npy, a class number for each "
        "sample."
    ),
    content="steps",
)


def locate(place: Path) -> Path:
    """Return `place`; raise `InputError` if the test set is not there."""
    missing_files = [
        name for name in ("x_test.npy", "y_test.npy") if not (place / name).is_file()
    ]
    if missing_files:
        raise InputError(f"{place} lacks {', '.join(missing_files)}.")
    return place


@dataclass(frozen=True)
class StepSamples:
    """Samples of an array (samples, steps, …): currents, float32, or numbers of spikes.

    The rest as in `Recordings`.
    """

    path: Path
    values: np.ndarray
    labels: np.ndarray
    names: List[str]

    @property
    def dtype(self) -> str:
        """See `Recordings`."""
        return "float32" if self.values.dtype.kind == "f" else "uint32"

    def check(self, shape: ImageShape, fit: str) -> None:
        """See `Recordings`."""
        samples, steps, *sample_shape = self.values.shape
        height, width, channels = shape
        flat, one_axis = (
            sample_shape == [math.prod(shape)],
            sum(size > 1 for size in shape) <= 1,
        )
        if tuple(sample_shape) == shape or (flat and one_axis):
            return
        if not flat and sample_shape != [channels, height, width]:
            raise InputError(
                f"{self.path} has {format_shape(sample_shape)} values in each step, "
                f"the model takes {format_shape(shape)}: choose another model.",
            )
        order_text = (
            "flat vectors, whose order is not known" if flat else "channels first"
        )
        as_images = (
            f".reshape({samples}, {steps}, {channels}, {height}, {width})"
            if flat
            else ""
        )
        raise InputError(
            f"{self.path} has {order_text}, and the model takes images: write "
            f"(samples, steps, {height}, {width}, {channels}); of channels first, "
            f"x{as_images}.transpose(0, 1, 3, 4, 2).",
        )

    def read(self, position: int, shape: ImageShape, bin_us: int) -> Steps:
        """See `Recordings`."""
        values = self.values[position].reshape(self.values.shape[1], -1)
        if not np.isfinite(values).all():
            raise InputError(
                f"{self.path}: sample {position} has a value that is not finite.",
            )
        step, neuron = np.nonzero(values)
        value = values[step, neuron]
        if self.dtype == "uint32":
            wrong = value[(value < 0) | (value > MOST_SPIKES)]
            if wrong.size:
                raise InputError(
                    f"{self.path}: sample {position} has {wrong[0]} spikes in a step, "
                    f"not 0 to {MOST_SPIKES:,}; write float32 for currents.",
                )
            value = value.astype(np.int64)
        return Steps(step, neuron, value, len(values))


def load(where: Path) -> LoadedDataset:
    """Map the arrays into memory; the training set may be missing."""
    parts: Dict[str, StepSamples] = {}
    for part in ("train", "test"):
        path = where / f"x_{part}.npy"
        if not path.is_file():
            continue
        values, labels = load_array(path), load_array(where / f"y_{part}.npy")
        is_number_type = values.dtype == np.float32 or values.dtype.kind in "iub"
        if not is_number_type or values.ndim not in (3, 5) or not values.shape[1]:
            raise InputError(
                f"{path} is {values.dtype} of shape {values.shape}: write {TYPES}, "
                f"{AXES}.",
            )
        remedy = f"write a class number from 0 on for each of the {len(values)} samples"
        if labels.shape != (len(values),):
            raise InputError(
                f"{where}: y_{part} has the shape {labels.shape}: {remedy}.",
            )
        numbers = class_numbers(labels, MOST_CLASSES, f"{where}: y_{part}", remedy)
        names = [f"{path}: sample {position}" for position in range(len(numbers))]
        parts[part] = StepSamples(path, values, numbers, names)
    classes = 1 + max(int(samples.labels.max(initial=0)) for samples in parts.values())
    names = [str(number) for number in range(classes)]
    sources = [where / f"{kind}_{part}.npy" for part in parts for kind in "xy"]
    return LoadedDataset(
        names,
        parts.get("train"),
        parts["test"],
        SPEC.version,
        sources,
    )


def shape_of(place: Path) -> Optional[ImageShape]:
    """Return the shape of a step, from the header of `x_test.npy`.

    None if it cannot be read.
    """
    with suppress(OSError, DamagedError):
        shape = load_array(place / "x_test.npy").shape
        if len(shape) in (3, 5):
            height, width, channels = (*(1, 1), *shape[2:])[-3:]
            return height, width, channels
    return None


DATASET = Dataset(SPEC, locate, load, shape_of=shape_of)
