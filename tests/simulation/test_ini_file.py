"""The converted network's file loads again, into a network that spikes the same."""

import numpy as np
import pytest

from snnb.simulation.engines.event.engine import EventEngine
from snnb.simulation.results import write_ini
from snnb.simulation.simulation_settings import SimulationSettings
from tests.simulation.ini_reader import read_ini


@pytest.mark.parametrize("name", ["trained", "branched"])
def test_what_is_loaded_spikes_as_what_was_written(request, tmp_path, name):
    case = request.getfixturevalue(name)
    settings = SimulationSettings(samples=5, duration=40, threshold=0.75, reset="zero", initial_potential=0.5)
    write_ini(case.network, tmp_path / "n_INI.h5", settings)
    network, *dynamics = read_ini(tmp_path / "n_INI.h5")
    assert dynamics == [0.75, "zero", 0.5]
    one, two = (EventEngine(n, settings).simulate(case.x[:5], 0, lambda *_: None) for n in (case.network, network))
    for layer, counts in one.counts.items():
        np.testing.assert_array_equal(two.counts[layer], counts)
    np.testing.assert_array_equal(one.readout, two.readout)
