"""The arrays of the prepared data set, for the stages that follow."""

from typing import Dict

import numpy as np

from snnb.io.npy import load_archive, load_array
from snnb.rundir.directory import RunDirectory

REMEDY = "`snnb prepare --force` makes it again"


def dataset_array(run: RunDirectory, name: str) -> np.ndarray:
    """Map `dataset/NAME.npy` into memory: `x_train`, `y_train`, `x_test` or `y_test`."""
    return load_array(run.path / "dataset" / f"{name}.npy", REMEDY)


def normalisation_set(run: RunDirectory) -> np.ndarray:
    """Read `dataset/x_norm.npz`: float32 `(samples, height, width, channels)` in [0, 1]."""
    arrays: Dict[str, np.ndarray] = load_archive(run.path / "dataset" / "x_norm.npz", REMEDY, must=["arr_0"])
    return arrays["arr_0"]
