"""Each objective: no simple partition is better than the mapping, and equal calls give equal mappings."""

import hashlib
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from snnb.chips.hardware import Limits
from snnb.core.errors import InputError
from snnb.core.quantities import values
from snnb.graph.listed import ListedGraph, ListedPopulation, write_listed
from snnb.graph.synapse_graph import SynapseGraph
from snnb.mapping import placement
from snnb.mapping.cost import core_events, core_times, cost, updated_neurons
from snnb.mapping.limits import find_obstacle
from snnb.mapping.map_network import map_network
from snnb.mapping.neuron_figures import NeuronFigures, least_step_ns
from snnb.mapping.objectives import OBJECTIVES
from snnb.mapping.traffic import MappableNetwork, count_traffic
from snnb.network.spike_counts import Recording
from tests.mapping.conftest import QUICK
from tests.mapping.test_cost import random_mapping
from tests.mapping.test_events import TIME, full_chip

place = partial(placement.place, settings=QUICK)
FIGURES = {
    "spikes": "connectivity",
    "hops": "hops_unicast",
    "energy": "energy_pj",
    "step": "step_ns",
}
DRAWN = settings(
    deadline=None,
    max_examples=6 if settings.default.derandomize else 60,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
)


def layered_graph(path, seed, sizes, coding, window):
    """A graph of layers: a neuron has sources within a window of the layer before."""
    random = np.random.default_rng(seed)
    populations, ends, first = [], [], 0
    for number, size in enumerate(sizes):
        spikes = random.integers(0, 40, size) * (random.random(size) < 0.9)
        populations.append(
            ListedPopulation(
                name=f"p{number}",
                shape=(size,),
                layer="LIF",
                coding="spikes" if number else coding,
                spikes=spikes,
                bias=np.full(size, 0.25) if number % 2 else None,
            )
        )
        for target in range(size if number else 0):
            before = sizes[number - 1]
            middle = target * before // size
            sources = np.arange(
                max(0, middle - window), min(before, middle + window + 1)
            )
            kept = sources[random.random(sources.size) < 0.8]
            ends += [(first - before + source, first + target) for source in kept]
        first += size
    source, target = np.array(ends, np.int64).reshape(-1, 2).T
    edges = [(source, target, np.ones(source.size))]
    return write_listed(
        ListedGraph(populations, edges, inputs=1),
        path,
        Recording(4, 25, 0, 0.5),
        "0" * 64,
    )


@st.composite
def chips(draw):
    """Keys of a chip of 12 cores with ports, tiles, failed cores and limits."""
    has_links = draw(st.booleans())
    times = {**TIME, "link_spike": 30.0} if has_links else TIME
    return {
        "mesh": [4, 3],
        "tile": draw(st.sampled_from([None, [2, 1]])),
        "chip": None,
        "neurons_per_core": draw(st.integers(5, 30)),
        "synapses_per_core": draw(st.sampled_from([None, 90, 200])),
        "axons_out_per_core": draw(st.sampled_from([None, 40])),
        "synapse_memory": None,
        "input_ports": draw(st.sampled_from([None, [(0, 0)], [(0, 1), (3, 2)]])),
        "unavailable": draw(st.sampled_from([None, [(1, 1)], [(0, 0), (2, 2)]])),
        "time_ns": times,
    }


@DRAWN
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(4, 16), min_size=3, max_size=5),
    coding=st.sampled_from(["spikes", "current"]),
    window=st.integers(1, 6),
    chip=chips(),
)
def test_no_simple_partition_is_better(seed, sizes, coding, window, chip):
    hardware = full_chip(**chip)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "mtkahypar", None)
        graph = layered_graph(Path(folder) / "graph.h5", seed, sizes, coding, window)
        with graph:
            network = MappableNetwork.of(graph)
            if find_obstacle(network, hardware) is None:
                assert_no_simple_partition_is_better(network, hardware)


def assert_no_simple_partition_is_better(network, hardware):
    try:
        default = map_network(network, hardware)
    except InputError:  # too few cores
        return
    partitions = [default.partition.sequential.core, default.core]
    partitions += list(_simple(network, hardware))
    least_ns = least_step_ns(network, hardware)
    figures = dict(FIGURES)
    if hardware.input_ports:
        figures["spikes"] = "spikes_with_input"
    for objective, figure in figures.items():
        mapping = map_network(network, hardware, objective=objective)
        for name, contents in mapping.cost.contents.items():
            assert contents.max() <= getattr(Limits.of(hardware), name)
        found = values(mapping.cost)[figure]
        assert found <= values(default.cost)[figure] * (1 + 1e-9)
        for core in partitions:
            sums = count_traffic(network, core, int(core.max()) + 1)
            if sums.cores > hardware.cores:
                continue
            positions = place(
                sums.matrix,
                hardware,
                input_spikes=sums.input_spikes(network.spikes),
                hops=objective == "hops",
            )
            simple = cost(sums, hardware, positions)
            limits = Limits.of(hardware)
            bound = OBJECTIVES[objective](network, hardware).bound(sums)
            assert bound <= values(simple)[figure] * (1 + 1e-9)
            limits = Limits.of(hardware)
            if all(
                contents.max() <= getattr(limits, name)
                for name, contents in simple.contents.items()
            ):
                assert found <= values(simple)[figure] * (1 + 1e-9), objective
                assert least_ns <= simple.step.step_ns * (1 + 1e-9)


def _simple(network, hardware):
    """Slices of equal numbers and of equal work, and a core for each layer."""
    alone = np.arange(network.neurons, dtype=np.int32)
    sums = count_traffic(network, alone, network.neurons)
    events = core_events(sums, network.spikes[None]) / network.graph.interval
    events[1:3] = 0  # messages
    work = core_times(events, updated_neurons(sums), hardware.time_ns)[0]
    for cores in range(1, min(hardware.cores, network.neurons) + 1):
        for weight in (np.ones(network.neurons), work):
            end = np.cumsum(weight)
            part = ((end - weight / 2) / end[-1] * cores).astype(int)
            core = np.unique(np.minimum(part, cores - 1), return_inverse=True)[1]
            yield core.astype(np.int32)
    sizes = [population.size for population in network.populations]
    yield np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)


@pytest.mark.parametrize("seed", range(4))
def test_core_times_are_those_of_the_cost(graphs, seed):
    graph, _ = graphs("summed", "spikes")
    network, hardware = MappableNetwork.of(graph), full_chip()
    core, positions = random_mapping(network, np.random.default_rng(seed), 9, (8, 8))
    sums = count_traffic(network, core, 9)
    times = hardware.time_ns
    found_ns = NeuronFigures.of(network, times).core_times(sums, times)
    expected_ns = cost(sums, hardware, positions).per_core["step_ns"]
    np.testing.assert_allclose(found_ns, expected_ns)


@pytest.mark.parametrize("objective", ["energy", "step"])
def test_sequential_has_every_objective(graphs, objective):
    graph, _ = graphs("chained", "spikes")
    network, hardware = MappableNetwork.of(graph), full_chip(neurons_per_core=60)
    mapping = map_network(network, hardware, method="sequential", objective=objective)
    assert mapping.partition.best is mapping.partition.sequential


MAP = """
import sys
from tests.mapping.test_objectives import mapping_hashes
print(*mapping_hashes(sys.argv[1]))
"""


def mapping_hashes(path):
    """The hashes of cores and places of mappings of a graph with two objectives."""
    chip = full_chip(neurons_per_core=20, tile=[2, 1], chip=None)
    hashes = []
    with SynapseGraph.open(Path(path)) as graph, pytest.MonkeyPatch.context() as patch:
        patch.setattr("snnb.mapping.map_network.place", place)
        network = MappableNetwork.of(graph)
        for objective in ("hops", "step"):
            mapping = map_network(network, chip, objective=objective, seed=5)
            content = mapping.core.tobytes() + mapping.place.tobytes()
            hashes.append(hashlib.sha256(content).hexdigest())
    return hashes


def test_equal_calls_give_equal_mappings_in_one_process_and_in_two(tmp_path):
    path = tmp_path / "graph.h5"
    layered_graph(path, 1, [20, 50, 30, 10], "spikes", 5).close()
    hashes = mapping_hashes(path)
    assert hashes == mapping_hashes(path)
    output = subprocess.check_output([sys.executable, "-c", MAP, str(path)], text=True)
    assert hashes == output.split()
