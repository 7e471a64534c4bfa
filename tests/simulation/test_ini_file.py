"""The converted network's file loads again, into a network that spikes the same."""

import h5py
import numpy as np
import pytest

from snnb.errors import InputError
from snnb.simulation.event_engine import EventEngine
from snnb.simulation.ini_file import read_ini, write_ini
from snnb.simulation.settings import SimulationSettings


@pytest.mark.parametrize("name", ["trained", "branched"])
def test_what_is_loaded_spikes_as_what_was_written(request, tmp_path, name):
    case = request.getfixturevalue(name)
    write_ini(case.network, tmp_path / "n_INI.h5", threshold=0.75, reset="zero")
    network, threshold, reset = read_ini(tmp_path / "n_INI.h5")
    assert (threshold, reset) == (0.75, "zero")
    settings = SimulationSettings(samples=5, duration=40, threshold=threshold, reset=reset)
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
    with pytest.raises(InputError, match="not a complete converted network"):
        read_ini(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="is no whole HDF5 file; make it again"):
        read_ini(path)
