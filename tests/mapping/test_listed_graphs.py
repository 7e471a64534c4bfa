"""Graphs of listed edges against the edges that they were written from, in plain Python."""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snnb.chips.hardware import Limits
from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import UsageError
from snnb.graph.listed import ListedGraph, ListedPopulation, write_listed
from snnb.graph.synapse_graph import log_lines
from snnb.mapping.cost import cost
from snnb.mapping.map_network import map_network
from snnb.mapping.partition.partition import partition
from snnb.mapping.traffic import MappableNetwork, count_traffic
from snnb.network.spike_counts import Recording
from tests.graph.edges import all_edges
from tests.graph.listed_graphs import random_graph, with_names
from tests.mapping.brute_force import Expected, assert_equal_figures
from tests.mapping.networks import hardware
from tests.mapping.test_cost import random_mapping
from tests.mapping.test_events import ENERGY, MEMORY, full_chip

few = settings(
    deadline=None,
    max_examples=8 if settings.default.derandomize else 200,
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def graphs(draw):
    """Arguments of `random_graph`."""
    inputs = draw(st.integers(0, 2))
    sizes = draw(st.lists(st.integers(1, 12), min_size=inputs + 1, max_size=inputs + 3))
    return {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "sizes": sizes,
        "inputs": inputs,
        "density": draw(st.sampled_from([0.0, 0.02, 0.2, 0.6])),
        "chunks": draw(st.integers(1, 4)),
        "fractional": draw(st.booleans()),
        "codings": draw(
            st.sampled_from([("spikes",), ("current",), ("current", "spikes")])
        ),
    }


@few
@given(arguments=graphs())
@example(arguments={"seed": 0, "sizes": [1], "density": 0.0, "inputs": 0})
@example(arguments={"seed": 0, "sizes": [1], "density": 0.6, "inputs": 0})
def test_the_graph_has_the_edges_that_it_was_written_from(arguments):
    with tempfile.TemporaryDirectory() as folder:
        graph, synapses = random_graph(Path(folder) / "graph.h5", **arguments)
        with graph:
            assert_same_graph(graph, synapses)


def assert_same_graph(graph, synapses):
    assert graph.number_of_edges() == len(synapses)
    successors, predecessors = defaultdict(list), defaultdict(list)
    for source, target in sorted(synapses):
        successors[source].append(target)
        predecessors[target].append(source)
    rate = np.concatenate([p.edge_rate(1.0) for p in graph.populations])
    found_edges = all_edges(graph) if synapses else np.empty((4, 0))
    assert (
        dict(
            zip(
                zip(found_edges[0].tolist(), found_edges[1].tolist()),
                found_edges[2].tolist(),
            )
        )
        == synapses
    )
    np.testing.assert_array_equal(
        found_edges[3], rate[found_edges[0].astype(int)] * found_edges[2]
    )
    out, into = np.zeros((2, len(graph.nodes)), np.int64)
    for p in graph.projections:
        out[p.source.first :][: p.source.size] += p.out_degrees
        into[p.target.first :][: p.target.size] += p.in_degrees
    assert out.tolist() == [len(successors[node]) for node in graph.nodes]
    assert into.tolist() == [len(predecessors[node]) for node in graph.nodes]
    matrix = np.zeros((len(graph.nodes),) * 2)
    for ends, weight in synapses.items():
        matrix[ends] = weight
    np.testing.assert_array_equal(graph.to_scipy().toarray(), matrix)
    made_graph = graph.to_networkx()
    names = list(made_graph)
    assert {
        (names.index(s), names.index(t)): v["weight"]
        for s, t, v in made_graph.edges(data=True)
    } == synapses
    for node in graph.nodes:
        assert sorted(graph.successors(node).tolist()) == successors[node]
        assert graph.predecessors(node).tolist() == predecessors[node]
        assert (graph.out_degree(node), graph.in_degree(node)) == (
            out[node],
            into[node],
        )
        leaving, onto = graph.edges_of(node), graph.edges_of(node, "in")
        assert dict(zip(leaving.target.tolist(), leaving.weight.tolist())) == {
            t: synapses[node, t] for t in successors[node]
        }
        assert dict(zip(onto.source.tolist(), onto.weight.tolist())) == {
            s: synapses[s, node] for s in predecessors[node]
        }
        assert onto.edge.tolist() == (rate[onto.source] * onto.weight).tolist()
    assert sum(summary.edges for summary in graph.summary()) == len(synapses)
    assert f"synapses            {len(synapses):,}" in log_lines(graph)


@few
@given(
    arguments=graphs(),
    cores=st.integers(1, 9),
    sharing=st.sampled_from(["kernel", "none"]),
)
def test_costs_are_those_of_the_edges(arguments, cores, sharing):
    with tempfile.TemporaryDirectory() as folder:
        graph, synapses = random_graph(Path(folder) / "graph.h5", **arguments)
        with graph:
            network, edges = MappableNetwork.of(graph), with_names(graph, synapses)
            cores = min(cores, network.neurons)
            random = np.random.default_rng(arguments["seed"])
            core, place = random_mapping(network, random, cores, (5, 4))
            sums, memory = (
                count_traffic(network, core, cores),
                {**MEMORY, "sharing": sharing},
            )
            events = full_chip(
                synapse_memory=memory, energy_pj={**ENERGY, "between_chips": 50.0}
            )
            for chip in (hardware(mesh=(5, 4), synapse_energy=0.7), events):
                assert_equal_figures(
                    cost(sums, chip, place), Expected(graph, edges, core, chip, place)
                )


@few
@given(
    arguments=graphs(),
    method=st.sampled_from(["sequential", "groups"]),
    objective=st.sampled_from(["spikes", "hops", "energy", "step"]),
    neurons=st.integers(2, 8),
)
def test_mappings_keep_every_limit(arguments, method, objective, neurons):
    with pytest.MonkeyPatch.context() as patches:
        patches.setitem(sys.modules, "mtkahypar", None)
        assert_limits_kept(arguments, method, objective, neurons)


@pytest.mark.slow
def test_mappings_of_mt_kahypar_keep_every_limit():
    assert_limits_kept(
        {"seed": 1, "sizes": [9, 12, 5], "inputs": 2}, "auto", "energy", neurons=4
    )


def assert_limits_kept(arguments, method, objective, neurons):
    with tempfile.TemporaryDirectory() as folder:
        graph, synapses = random_graph(Path(folder) / "graph.h5", **arguments)
        with graph:
            network = MappableNetwork.of(graph)
            largest = int(max(network.in_degrees.max(), network.fan_in.max(), 1))
            chip = full_chip(
                mesh=[16, 16],
                chip=None,
                neurons_per_core=neurons,
                axons_per_core=2 * largest,
                synapses_per_core=3 * largest,
                axons_out_per_core=40,
                synapse_memory={**MEMORY, "bits_per_core": 19 * 2 * largest},
            )
            mapping = map_network(network, chip, method=method, objective=objective)
            connectivity = mapping.cost.traffic.connectivity
            assert (
                connectivity <= mapping.partition.sequential.connectivity
                or objective != "spikes"
            )
            for name, contents in mapping.cost.contents.items():
                assert contents.max() <= getattr(Limits.of(chip), name)
            edges = with_names(graph, synapses)
            expected_figures = Expected(
                graph, edges, mapping.core, hardware(mesh=(16, 16)), mapping.place
            )
            assert connectivity == pytest.approx(expected_figures.connectivity)


@pytest.mark.parametrize("inputs", [0, 1])
def test_groups_find_modules_whatever_the_ids(tmp_path, inputs):
    """Nothing leads from a module to another, and a core takes one: no spike between cores is needed."""
    random = np.random.default_rng(4)
    modules = 8
    size = 25
    ids = inputs * size * modules + random.permutation(modules * size)
    sources = np.arange(modules * size) if inputs else ids
    ends = random.integers(0, modules * size, 2000), random.integers(0, size, 2000)
    source, target = sources[ends[0]], ids[ends[0] // size * size + ends[1]]
    sizes = (modules * size,) * (inputs + 1)
    populations = [
        ListedPopulation(f"p{k}", (n,), spikes=random.integers(0, 9, n))
        for k, n in enumerate(sizes)
    ]
    listed_graph = ListedGraph(
        populations, [(source, target, np.ones(2000))], inputs=inputs
    )
    with write_listed(
        listed_graph, tmp_path / "graph.h5", Recording(1, 1, 0, 1.0), "0"
    ) as graph:
        network = MappableNetwork.of(graph)
        with pytest.MonkeyPatch.context() as patches:
            patches.setitem(sys.modules, "mtkahypar", None)
            found_partition = partition(
                network, hardware(neurons=size, axons=2 * size + 1), method="groups"
            )
    grown = found_partition.tried[-1]
    assert (grown.method, grown.cores, grown.connectivity) == ("groups", modules, 0)
    assert grown.outside == sum(populations[0].spikes[np.unique(source)]) * inputs


def test_populations_without_neurons(tmp_path):
    for sizes, inputs in [((4, 5, 0), 0), ((0, 4, 5), 1)]:
        with random_graph(tmp_path / "graph.h5", 1, sizes=sizes, inputs=inputs)[
            0
        ] as graph:
            assert (
                map_network(
                    MappableNetwork.of(graph), hardware(neurons=3), method="sequential"
                ).cost.cores.cores
                >= 3
            )
    path = tmp_path / "graph.h5"
    graph, *_ = random_graph(path, 1, sizes=(3, 0), inputs=1, density=0)
    with graph, pytest.raises(UsageError, match="no neurons to map"):
        MappableNetwork.of(graph)


def test_neurons_without_synapses_fill_a_core(tmp_path):
    with random_graph(tmp_path / "graph.h5", 1, sizes=(4, 5), inputs=0, density=0)[
        0
    ] as graph:
        mapping = map_network(
            MappableNetwork.of(graph), read_hardware("loihi")
        )  # whose sources share lists
        assert (mapping.cost.cores.cores, mapping.cost.traffic.connectivity) == (1, 0)


@pytest.mark.slow
def test_a_million_neurons(tmp_path):
    """Sources are close to their targets, so that the cores suffice; the cost by sorting pairs of source and core."""
    neurons, random = 1_000_000, np.random.default_rng(7)
    target = np.repeat(np.arange(neurons), 8)
    source = (target + random.integers(-400, 400, target.size)) % neurons
    spikes = random.integers(0, 9, neurons)
    population = ListedPopulation("p", (neurons,), spikes=spikes)
    edges = ((source[k::3], target[k::3], np.ones(source[k::3].size)) for k in range(3))
    with write_listed(
        ListedGraph([population], edges),
        tmp_path / "graph.h5",
        Recording(1, 1, 0, 1.0),
        "0",
    ) as graph:
        pairs = np.unique(source * neurons + target)
        (projection,) = graph.projections
        np.testing.assert_array_equal(
            projection.out_degrees, np.bincount(pairs // neurons, minlength=neurons)
        )
        np.testing.assert_array_equal(
            projection.in_degrees, np.bincount(pairs % neurons, minlength=neurons)
        )
        network = MappableNetwork.of(graph)
        for partition_tried in partition(
            network, read_hardware("loihi_64x64"), method="groups"
        ).tried:
            reached_values = np.unique(source * 10_000 + partition_tried.core[target])
            leaving = reached_values[
                partition_tried.core[reached_values // 10_000]
                != reached_values % 10_000
            ]
            assert partition_tried.connectivity == spikes[leaving // 10_000].sum()
            assert partition_tried.neurons.max() <= 1024
            assert partition_tried.axons.max() <= 4096
