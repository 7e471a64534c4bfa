"""What later stages need to know of the prepared data set, and its arrays."""

from typing import Dict

import numpy as np

from snnb.arrays import load_archive, load_array
from snnb.rundir.directory import RunDirectory
from snnb.stages import prepare
from snnb.stages.stage import recorded_details


def prepared_details(run: RunDirectory) -> prepare.PrepareDetails:
    """What `prepare` recorded; it has run, or the plan would have run it."""
    return recorded_details(run, prepare.KIND)


REMEDY = "`snnb prepare --force` makes it again"


def dataset_array(run: RunDirectory, name: str) -> np.ndarray:
    """`dataset/NAME.npy`, mapped into memory: `x_train`, `y_train`, `x_test` or `y_test`."""
    return load_array(run.path / "dataset" / f"{name}.npy", REMEDY)


def normalisation_set(run: RunDirectory) -> np.ndarray:
    """`dataset/x_norm.npz`: float32 (n, height, width, channels) in [0, 1]."""
    arrays: Dict[str, np.ndarray] = load_archive(run.path / "dataset" / "x_norm.npz", REMEDY, must=["arr_0"])
    return arrays["arr_0"]
