"""Cost of layers on cores, against the edges of the graph and the spikes one by one."""

import json
from collections import Counter

import numpy as np
import pytest

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import DamagedError
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.npy import load_archive
from snnb.mapping.layers.assignment import assign_layers
from snnb.mapping.layers.layer_cost import LayerCost, synaptic_operations
from snnb.mapping.traffic import MappableNetwork
from snnb.network.read_network import read_network
from snnb.network.spike_times import read_spike_times
from tests.end_to_end.conftest import RECORDED
from tests.graph.networks import SAMPLES, residual
from tests.mapping.networks import NETWORKS, make_graph

SPECK = read_hardware("speck2f")
(SIMULATION,) = (RECORDED / "simulations").iterdir()
PARSED = RECORDED / "parse" / "mini_network_parsed.h5"


def counts_of(graph):
    placed_network = MappableNetwork.of(graph)
    return {
        population.name: placed_network.spikes_of(population)
        for population in placed_network.sources
    }


def cost_of(network, graph, **more):
    placement = assign_layers(network, SPECK)
    assert placement.reason is None
    return LayerCost.of(
        network,
        SPECK,
        placement,
        counts_of(graph),
        model="net",
        graph="g",
        samples=4,
        **more,
    )


@pytest.mark.parametrize("coding", ["current", "spikes"])
@pytest.mark.parametrize("name", ["chained", "residual", "branched"])
def test_synaptic_operations_are_the_spikes_at_each_synapse(tmp_path, name, coding):
    build = residual if name == "residual" else NETWORKS[name]
    graph = make_graph(build(), tmp_path, coding)
    network = read_network(tmp_path / "net_parsed.h5")
    folded_layers = assign_layers(network, SPECK).folded
    events = np.zeros(graph.number_of_nodes())  # that each node passes on
    for population in graph.populations:
        if population.coding != "current":
            events[population.first : population.first + population.size] = (
                population.spike_count.ravel() / SAMPLES
            )
    wanted_counts = Counter()
    for population in graph.layers:
        neurons = slice(population.first, population.first + population.size)
        onto = [p for p in graph.projections if p.target is population]
        if population.name in folded_layers:
            events[neurons] = 0
        for projection in onto:
            for batch in projection.edge_batches():
                wanted_counts[population.name] += events[batch.source].sum()
                if population.name in folded_layers:
                    np.add.at(events, batch.target, events[batch.source])
    if (
        name == "branched"
    ):  # the Dense layer reads each neuron twice, which is one synapse of the graph
        wanted_counts["07Dense_4"] *= 2
    found_operations = synaptic_operations(network, folded_layers, counts_of(graph))
    assert found_operations == pytest.approx(
        {name: wanted_counts[name] for name in found_operations}
    )
    assert {*wanted_counts} - {*found_operations} == {*folded_layers}


def test_spikes_between_cores_and_into_the_busiest_are_those_recorded():
    network = read_network(PARSED)
    with_graph = RECORDED / "graphs" / SIMULATION.name / "mini_network_graph.h5"
    with SynapseGraph.open(with_graph) as graph:
        spike_times = read_spike_times(SIMULATION / "spike_times.npz")
        cost = cost_of(network, graph, spike_times=spike_times)
    sums = load_archive(SIMULATION / "spike_rate_sums.npz")
    conv, second_sum = (
        sums["00Conv2D_8x8x4"].sum() / 60,
        sums["02Conv2D_2x2x8"].sum() / 60,
    )
    assert [row.spikes_out for row in cost.layers] == pytest.approx(
        [conv, second_sum, 0]
    )
    assert [row.spikes_in for row in cost.layers] == pytest.approx(
        [0, conv, second_sum]
    )
    assert cost.traffic.connectivity == pytest.approx(conv + second_sum)
    assert cost.traffic.synaptic_operations == pytest.approx(
        sum(row.synaptic_operations for row in cost.layers)
    )
    times, events = load_archive(SIMULATION / "spike_times.npz"), Counter()
    core = {row.name: row.core for row in cost.layers}
    for source, target in (
        ("00Conv2D_8x8x4", "02Conv2D_2x2x8"),
        ("02Conv2D_2x2x8", "04Dense_10"),
    ):
        events.update(
            (core[target], sample, step) for sample, _, step in times[source].tolist()
        )
    busiest = cost.busiest_core
    assert (
        busiest.core_events_peak
        == max(events.values())
        == events[busiest.core, busiest.sample, busiest.step]
    )
    steps = range(int(times["num_steps"]))
    each_events = [
        max(events[number, sample, step] for number in core.values())
        for sample in (0, 1)
        for step in steps
    ]
    assert busiest.mean == pytest.approx(np.mean(each_events))
    assert busiest.samples == [0, 1]


def test_a_spiking_input_sends_to_each_core_that_reads_it(tmp_path):
    graph = make_graph(residual(), tmp_path, "spikes")
    cost = cost_of(read_network(tmp_path / "net_parsed.h5"), graph)
    spikes = {p.name: p.spike_count.sum() / SAMPLES for p in graph.populations}
    assert cost.traffic.outside_spikes == pytest.approx(
        2 * spikes["input"]
    )  # `one` and `sum` read it
    assert cost.layers[0].spikes_in == pytest.approx(spikes["input"])
    assert cost.layers[0].spikes_out == pytest.approx(2 * spikes["one"])
    assert cost.layers[2].spikes_in == pytest.approx(
        spikes["two"] + spikes["one"] + spikes["input"]
    )
    assert cost.traffic.connectivity == pytest.approx(
        2 * spikes["one"] + spikes["two"] + spikes["sum"]
    )


def test_the_document_is_read_back_and_checked(tmp_path):
    graph = make_graph(residual(), tmp_path)
    cost = cost_of(read_network(tmp_path / "net_parsed.h5"), graph)
    path = tmp_path / "cost.json"
    cost.write(path)
    assert json.loads(path.read_text())["kind"] == "layers"
    assert LayerCost.read(path) == cost
    path.write_text(path.read_text().replace('"samples": 4', '"samples": 5'))
    with pytest.raises(DamagedError, match="checksum"):
        LayerCost.read(path)
