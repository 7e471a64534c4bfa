"""Models that other programs have written, with what these make of some pictures: `tests/fixtures/model_files`."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

RECORDED = Path(__file__).parents[1] / "fixtures" / "model_files"


@pytest.fixture
def recorded():
    """Return a recorded file, pictures, and what the program that wrote it makes of them."""

    def find(name):
        with np.load(str((RECORDED / name).with_suffix(".npz"))) as arrays:
            return RECORDED / name, arrays["x"], arrays["y"]

    return find


@pytest.fixture
def altered(recorded, tmp_path):
    """Copy a recorded file with another description of its model."""

    def alter(name, change):
        path = tmp_path / "net.h5"
        shutil.copy(str(recorded(name)[0]), str(path))
        with h5py.File(str(path), "r+") as file:
            description = json.loads(file.attrs["model_config"])
            change({layer["config"]["name"]: layer for layer in description["config"]["layers"]}, description)
            file.attrs["model_config"] = json.dumps(description).encode()
        return path

    return alter
