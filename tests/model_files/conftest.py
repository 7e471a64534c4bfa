"""Models that other programs have written, with what these make of some pictures: `tests/fixtures/model_files`."""

from pathlib import Path

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
