"""The residual network of conftest.py simulated, its spikes recorded, and its graph built."""

import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.crosscheck import sanafe
from snnb.crosscheck.consistency import first_inconsistent
from snnb.crosscheck.exported import in_order
from snnb.formats.request import Simulated
from snnb.graph.build import build_graph
from snnb.network.read_network import read_network
from snnb.simulation.simulate import SimulationSettings, simulate

STEPS, WARM_UP = 25, 4


def graph_of_simulation(
    parsed_path, folder, x, scale, settings, classes="abc", **options
):
    """Simulate pictures; return the graph. The simulation's files are in `folder`."""
    network = read_network(parsed_path)
    simulation = simulate(
        network,
        x,
        np.arange(len(x)) % len(classes),
        scale=scale,
        settings=settings,
        class_names=list(classes),
    )
    simulation.write(folder, "net")
    path = folder / "net_graph.h5"
    return build_graph(network, simulation.counts, path=path, **options)


def simulated_graph(
    parsed_path, folder, samples, reset, threshold, coding, start=0.0, output="auto"
):
    """Return the pictures, what another simulator must know, and the graph; the simulation's files are in `folder`."""
    settings = SimulationSettings(
        engine="tensorflow",
        initial_potential=start,
        samples=samples,
        duration=STEPS,
        warm_up=WARM_UP,
        reset=reset,
        threshold=threshold,
        input=coding,
        record_spikes=samples,
        output=output,
    )
    x = np.random.default_rng(2).integers(0, 256, (samples, 6, 5, 2)).astype(np.uint8)
    simulation = Simulated(
        threshold,
        reset,
        coding,
        None,
        256.0,
        None,
        None,
        STEPS,
        samples,
        0,
        initial_potential=start,
    )
    return (
        x,
        simulation,
        graph_of_simulation(parsed_path, folder, x, 256.0, settings, pool_weight="one"),
    )


def compare_spikes(network, simulator, firing, folder, inputs, steps):
    """Compare the spikes of an exported network in another simulator with the recorded ones, and return those.

    SANA-FE refuses firing windows; None is returned.
    """
    if (firing, simulator) == ("separated", sanafe):
        with pytest.raises(UsageError, match="no firing windows"):
            simulator.build(network)
        return None
    steps = max((p.window[1] for p in network.populations if p.window), default=steps)
    with np.load(folder / "spike_times.npz") as times:
        spike_trains_recorded = {
            p.name: in_order(times[p.name].astype(int))
            for p in network.simulated_populations
        }
    assert sum(rows.size for rows in spike_trains_recorded.values())
    assert first_inconsistent(network, inputs, spike_trains_recorded, steps) is None
    found_simulator = simulator.build(network)(inputs, steps)
    assert list(found_simulator) == list(spike_trains_recorded)
    for name, rows in found_simulator.items():
        np.testing.assert_array_equal(
            in_order(rows), spike_trains_recorded[name], err_msg=name
        )
    return spike_trains_recorded
