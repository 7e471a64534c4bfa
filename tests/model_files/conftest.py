"""Models that other programs have written, with what these make of some pictures: `tests/fixtures/model_files`."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnb.architectures import find
from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.model_files.read_model import read_model

RECORDED = Path(__file__).parents[1] / "fixtures" / "model_files"
DIGITS_NET = find("digits_example").file  # of the package, by PyTorch


def assert_refused(path, message, pixels=None):
    """Check that a file is refused in one line that names it; return the line."""
    with pytest.raises(InputError, match=message) as error_info:
        read_model(path, len, pixels)
    line = str(error_info.value)
    assert len(line.splitlines()) == 1
    return line


def changed_archive(source, path, members=(), compression=zipfile.ZIP_STORED):
    """Copy a .keras file with some members replaced, or left out where the value is None."""
    with zipfile.ZipFile(str(source)) as whole_archive:
        content = {
            **{name: whole_archive.read(name) for name in whole_archive.namelist()},
            **dict(members),
        }
    with zipfile.ZipFile(str(path), "w", compression) as file:
        for name, data in content.items():
            if data is not None:
                file.writestr(name, data)
    return path


def redescribe(path, change):
    """Change the description of the model in an h5 file: `change` alters it, or returns another one."""
    with h5py.File(str(path), "r+") as file:
        description = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(
            change(description) or description
        ).encode()


def setting(layer, **values):
    """A change, for `altered`, of the settings of a layer."""
    return lambda layers, model: layers[layer]["config"].update(values)


def entry(layer, **values):
    """A change, for `altered`, of the entry of a layer."""
    return lambda layers, model: layers[layer].update(values)


def call_layer(layer, **arguments):
    """A change, for `altered`, of the arguments with which a layer is called."""
    return lambda layers, model: layers[layer]["inbound_nodes"][0][0][3].update(
        arguments
    )


def outputs(network, x):
    """Return what a network makes of pictures, in the shape of its output."""
    return Analogue(network).outputs(x).reshape(-1, *network.output.shape)


@pytest.fixture
def recorded_file():
    """Return a recorded file, pictures, and what the program that wrote it makes of them."""

    def find(name):
        with np.load(str((RECORDED / name).with_suffix(".npz"))) as arrays:
            return RECORDED / name, arrays["x"], arrays["y"]

    return find


@pytest.fixture
def altered_file(recorded_file, tmp_path):
    """Copy a recorded file with another description of its model."""

    def alter(name, change):
        path = Path(shutil.copy(str(recorded_file(name)[0]), str(tmp_path / "net.h5")))
        redescribe(
            path,
            lambda model: change(
                {x["config"]["name"]: x for x in model["config"]["layers"]}, model
            ),
        )
        return path

    return alter
