"""Figures of a mapping of a pruned network, synapse by synapse: a weight of zero carries no spike."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from snnb.conversion.rewriting import pruned
from snnb.graph.build import build_graph
from snnb.mapping.cost import cost
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.partition import partition
from snnb.mapping.traffic import count_traffic
from snnb.network.network import DROPPED, Population
from snnb.network.read_network import write_spiking
from tests.graph.networks import save_counts
from tests.graph.test_pruned import pruned_network
from tests.mapping.brute_force import Expected, csv_edges, spikes_of
from tests.mapping.networks import hardware
from tests.mapping.test_cost import compared, random_mapping
from tests.mapping.test_events import Expected as ExpectedEvents
from tests.mapping.test_events import full_chip


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("pruned"), np.random.default_rng(5)
    network = pruned_network()
    volumes = tuple(pruned(v, 0.8) if isinstance(v, Population) else v for v in network.volumes)
    path = folder / "net_parsed.h5"
    h5py.File(path, "w").close()
    write_spiking(replace(network, volumes=volumes, zeros=DROPPED), path)
    counted = [network.input, *(v for v in network.volumes if isinstance(v, Population))]
    counts = save_counts(folder / "counts.npz", {v.name: random.integers(0, 9, v.shape) for v in counted})
    with build_graph(path, folder / "net_graph.h5", counts=counts, coding={"input": "current"}) as opened:
        yield opened


def test_every_figure_is_that_of_the_synapses_that_are_left(graph, tmp_path):
    network = PlacedNetwork.of(graph)
    core, place = random_mapping(network, np.random.default_rng(2), 9, (8, 8))
    chip = hardware(mesh=(8, 8), synapse_energy=3.0)
    compared(
        cost(count_traffic(network, core, 9), chip, place),
        Expected(graph, csv_edges(graph, tmp_path), core, chip, place),
    )


def test_events_are_those_of_the_synapses_that_are_left(graph, tmp_path):
    network, chip = PlacedNetwork.of(graph), full_chip()
    core, place = random_mapping(network, np.random.default_rng(3), 9, chip.mesh)
    found = cost(count_traffic(network, core, 9), chip, place)
    expected = ExpectedEvents(graph, csv_edges(graph, tmp_path), core, chip, place)
    counts, _ = expected.events(spikes_of(graph), expected.steps)
    assert found.events.events["synapse"] == pytest.approx(counts["synapse"])
    assert found.axons_out.tolist() == expected.axons_out
    assert found.memory_bits.tolist() == expected.memory_bits("kernel")


def test_mappings_keep_the_limits(graph, without_kahypar):
    network = PlacedNetwork.of(graph)
    chip = hardware(neurons=40, axons=60, mesh=(8, 8))
    for sums in partition(network, chip, method="groups").tried:
        assert (sums.neurons <= 40).all()
        assert (sums.axons <= 60).all()
