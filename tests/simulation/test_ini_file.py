"""The converted network's file loads again, into a network that spikes the same."""

import numpy as np
import pytest

from snnb.simulation.engines.event.engine import EventEngine
from snnb.simulation.ini_file import write_ini
from snnb.simulation.simulation_settings import SimulationSettings
from tests.simulation.ini_reader import read_ini


@pytest.mark.parametrize("name", ["trained", "branched"])
def test_what_is_loaded_spikes_as_what_was_written(request, tmp_path, name):
    case = request.getfixturevalue(name)
    write_ini(case.network, tmp_path / "n_INI.h5", threshold=0.75, reset="zero", initial_potential=0.5)
    network, threshold, reset, start = read_ini(tmp_path / "n_INI.h5")
    assert (threshold, reset, start) == (0.75, "zero", 0.5)
    settings = SimulationSettings(samples=5, duration=40, threshold=threshold, reset=reset, initial_potential=start)
    one, two = (EventEngine(n, settings).simulate(case.x[:5], 0, lambda *_: None) for n in (case.network, network))
    for layer, counts in one.counts.items():
        np.testing.assert_array_equal(two.counts[layer], counts)
    np.testing.assert_array_equal(one.readout, two.readout)


def test_equal_networks_are_equal_bytes(trained, tmp_path):
    for name in ("one", "two"):
        write_ini(trained.network, tmp_path / name, threshold=1.0, reset="subtraction")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
