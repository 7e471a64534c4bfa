"""The converted network's file loads again, into a network that spikes the same."""

import json

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.simulation.engines.event.engine import EventEngine
from snnb.simulation.ini_file import read_ini, write_ini
from snnb.simulation.simulation_settings import SimulationSettings


@pytest.mark.parametrize("name", ["trained", "branched"])
def test_what_is_loaded_spikes_as_what_was_written(request, tmp_path, name):
    case = request.getfixturevalue(name)
    write_ini(case.network, tmp_path / "n_INI.h5", threshold=0.75, reset="zero", initial_potential=0.5)
    network, threshold, reset, start = read_ini(tmp_path / "n_INI.h5")
    assert (threshold, reset, start) == (0.75, "zero", 0.5)
    settings = SimulationSettings(samples=5, duration=40, threshold=threshold, reset=reset, initial_potential=start)
    one, two = (EventEngine(n, settings).simulate(case.x[:5], 0, lambda s: None) for n in (case.network, network))
    for layer, counts in one.counts.items():
        np.testing.assert_array_equal(two.counts[layer], counts)
    np.testing.assert_array_equal(one.readout, two.readout)


def test_equal_networks_are_equal_bytes(trained, tmp_path):
    for name in ("one", "two"):
        write_ini(trained.network, tmp_path / name, threshold=1.0, reset="subtraction")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_other_files_are_refused(trained, tmp_path):
    path = tmp_path / "n_INI.h5"
    write_ini(trained.network, path, threshold=1.0, reset="subtraction")
    with pytest.raises(InputError, match="no converted network"):
        read_ini(trained.parsed)
    with h5py.File(path, "r+") as file:
        del file["00Conv2D_8x8x4/kernel"]
    with pytest.raises(InputError, match="00Conv2D_8x8x4 has no kernel in this file"):
        read_ini(path)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 1
    with pytest.raises(InputError, match="no converted network of version 2; make it again"):
        read_ini(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="is not a complete HDF5 file; make it again"):
        read_ini(path)


def set_attribute(layer, name, value):
    return lambda file: file[layer or "/"].attrs.__setitem__(name, value)


def put_array(layer, name, change):
    def alter(file):
        values = change(file[layer][name][()])
        del file[layer][name]
        file[layer][name] = values

    return alter


def configure(layer, **changes):
    def alter(file):
        config = json.loads(file[layer].attrs["config"])
        file[layer].attrs["config"] = json.dumps({**config, **changes})

    return alter


def order(change):
    return lambda file: file.attrs.__setitem__("layers", json.dumps(change(json.loads(file.attrs["layers"]))))


CONVOLUTION = "00Conv2D_8x8x4"


@pytest.mark.parametrize(
    "alter",
    [
        set_attribute(None, "layers", "no JSON"),
        set_attribute(None, "layers", "7"),
        set_attribute(None, "layers", '[["a"]]'),
        set_attribute(None, "layers", "[" * 60_000),
        set_attribute(None, "layers", np.ones(3)),
        set_attribute(None, "threshold", "high"),
        set_attribute(None, "version", "one"),
        set_attribute(CONVOLUTION, "kind", "Lambda"),
        set_attribute(CONVOLUTION, "kind", np.ones(2)),
        set_attribute(CONVOLUTION, "kind", "Dense"),
        set_attribute("input", "kind", "Dense"),
        set_attribute(None, "version", 1),
        order(lambda names: names[::-1]),
        order(lambda names: names[1:]),
        order(lambda names: [*names, names[-1]]),
        order(lambda names: [names[0], *names]),
        configure("input", batch_input_shape=[None, 8, 8, 0]),
        configure("input", batch_input_shape=[None, 8, 8.0, 1]),
        configure("input", batch_input_shape=[None, 8, 8, 2]),
        configure(CONVOLUTION, filters=5),
        configure(CONVOLUTION, kernel_size=[3, 4]),
        configure(CONVOLUTION, strides=[0, 1]),
        configure(CONVOLUTION, strides=1),
        configure(CONVOLUTION, padding="full"),
        configure(CONVOLUTION, activation=7),
        set_attribute(CONVOLUTION, "config", "no JSON"),
        set_attribute(CONVOLUTION, "config", "[]"),
        set_attribute(CONVOLUTION, "config", "{}"),
        set_attribute(CONVOLUTION, "config", "[" * 900 + "]" * 900),
        set_attribute(CONVOLUTION, "inputs", '["nobody"]'),
        set_attribute(CONVOLUTION, "inputs", "[]"),
        set_attribute(CONVOLUTION, "inputs", '"input"'),
        set_attribute(CONVOLUTION, "inputs", f'["{CONVOLUTION}"]'),
        set_attribute(CONVOLUTION, "colour", "1"),
        put_array(CONVOLUTION, "kernel", lambda values: values[:, :, :, :-1]),
        put_array(CONVOLUTION, "kernel", lambda values: values[:, :, 0]),
        put_array(CONVOLUTION, "kernel", lambda values: values.astype(np.float64)),
        put_array(CONVOLUTION, "bias", lambda values: values * np.nan),
        put_array(CONVOLUTION, "bias", lambda values: np.float32(0)),
    ],
)
def test_a_file_that_was_altered_is_refused(trained, tmp_path, alter):
    """What gets through reaches compiled loops."""
    path = tmp_path / "n_INI.h5"
    write_ini(trained.network, path, threshold=1.0, reset="subtraction")
    with h5py.File(path, "r+") as file:
        alter(file)
    with pytest.raises(InputError, match=r"n_INI\.h5") as refused:
        read_ini(path)
    assert "\n" not in str(refused.value)
