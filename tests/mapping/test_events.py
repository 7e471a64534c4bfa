"""Output axons, synapse memory, energies, times and chips against their definitions, synapse by synapse."""

from collections import defaultdict
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from snnb.chips.hardware import Hardware
from snnb.core.errors import ResourceError
from snnb.core.machine import Memory
from snnb.mapping.cost import cost
from snnb.mapping.files import Mapping, MappingCost
from snnb.mapping.links import route_loads
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.partition.partition import Partition
from snnb.mapping.time_costs import (
    recorded_messages,
    recorded_steps,
    spikes_on_chip,
    step_loads,
)
from snnb.mapping.traffic import MappableNetwork, count_traffic, traffic_of
from snnb.network.spike_times import read_spike_times
from snnb.plots.mapping import plot_events
from tests.mapping.brute_force import Expected, assert_equal_figures
from tests.mapping.test_cost import random_mapping

ENERGY = dict(zip(("router", "link_x", "link_y", "synapse"), (1.7, 3.0, 4.2, 35.5)))
ENERGY.update(
    neuron_inactive=51.2, neuron_active=72.8, spike=69.3, axon_out=111.0, axon_in=0.5
)
TIME = {
    "router": 2.1,
    "link_x": 4.1,
    "link_y": 6.5,
    "barrier": {1: 600.0, 3: 1000.0, 7: 1400.0},
    "synapse": 3.8,
}
TIME.update(
    neuron_inactive=6.0, neuron_active=9.7, spike=30.0, axon_out=5.1, axon_in=16.0
)
MEMORY = {
    "bits_per_core": 10**6,
    "weight_bits": 9,
    "index_bits": 10,
    "sharing": "kernel",
}
SOURCED = (
    "tile",
    "chip",
    "input_ports",
    "axons_out_per_core",
    "synapse_memory",
    "energy_pj",
    "time_ns",
)


def full_chip(**changes):
    """A chip with every key; those that are None are omitted."""
    keys = {
        "name": "chip",
        "mesh": [8, 8],
        "tile": [2, 2],
        "chip": [4, 8],
        "neurons_per_core": 10_000,
        "axons_per_core": 100_000,
        "axons_out_per_core": 4096,
        "synapse_memory": MEMORY,
        "energy_pj": ENERGY,
        "time_ns": TIME,
        "source": "made up",
        **changes,
    }
    keys = {name: value for name, value in keys.items() if value is not None}
    return Hardware.model_validate(
        {**keys, "sources": {name: "made up" for name in SOURCED if name in keys}}
    )


SHORT = {**TIME, "barrier": {1: 1.0}}
CHIPS = {
    "full": {},
    "several chips": {"energy_pj": {**ENERGY, "between_chips": 50.0}},
    "routers of cores": {"tile": None, "chip": [2, 4]},
    "one chip": {"chip": None, "tile": [4, 1]},
    "many spikes": {"time_ns": {**SHORT, "synapse": 0.1, "spike": 900.0}},
    "sent messages": {"time_ns": {**SHORT, "synapse": 0.1, "axon_out": 900.0}},
    "received messages": {"time_ns": {**SHORT, "axon_in": 900.0}},
    "slow synapses": {"time_ns": {**SHORT, "synapse": 900.0}},
}


@pytest.mark.parametrize("changes", CHIPS.values(), ids=CHIPS)
def test_every_figure_is_that_of_its_definition(case, changes):
    graph, edges, network = case
    chip = full_chip(**changes)
    core, place = random_mapping(network, np.random.default_rng(1), 12, chip.mesh)
    found_cost = cost(count_traffic(network, core, 12), chip, place)
    assert_equal_figures(found_cost, Expected(graph, edges, core, chip, place))
    slow = next(
        (event for event, ns in changes.get("time_ns", {}).items() if ns == 900.0), None
    )
    bounds = {
        "spike": "neurons",
        "axon_out": "axons",
        "axon_in": "axons",
        "synapse": "synapses",
    }
    assert slow is None or found_cost.step.step_bound.by == bounds[slow]


def mapped_at_random(network, chip):
    core, place = random_mapping(network, np.random.default_rng(2), 9, chip.mesh)
    sums = count_traffic(network, core, 9)
    loads = route_loads(sums, chip, place)
    costs = cost(sums, chip, place, loads)
    return MappedNetwork(chip, Partition(sums, (), sums), place, loads, costs, ())


PORTS = {
    "input_ports": [(7, 0), (0, 5)],
    "time_ns": {**TIME, "link_spike": 900.0},
}
MULTICAST = {
    "input_ports": [(3, 3)],
    "time_ns": {**TIME, "link_spike": 90.0, "routing": "multicast"},
}


@pytest.fixture(params=[{}, PORTS, MULTICAST], ids=["plain", "ports", "multicast"])
def recorded_mapping(case, tmp_path, request):
    """A mapping with the spike times of two samples of three steps, and by sample and step on the chip the sources."""
    graph, edges, network = case
    rng = np.random.default_rng(3)
    chip = full_chip(energy_pj={**ENERGY, "between_chips": 50.0}, **request.param)
    mapping = mapped_at_random(network, chip)
    # Steps after which each population begins where a spike reaches its targets in the next step
    first_ids = {
        graph.populations[0].name: -1 if graph.populations[0].coding == "current" else 0
    }
    for population in graph.populations[1:]:
        first_ids[population.name] = 1 + max(
            first_ids[p.source.name]
            for p in graph.projections
            if p.target is population
        )
    spikes, fired_neurons = {}, defaultdict(list)
    for population in network.sources:
        rows = np.argwhere(rng.random((2, 3, population.size)) < 0.3)[:, [0, 2, 1]] + (
            7,
            0,
            0,
        )  # sample, neuron, step
        spikes[population.name] = rows.astype(np.int32)
        for sample, neuron, step in rows.tolist():
            fired_neurons[sample, step + first_ids[population.name]].append(
                population.first + neuron
            )
    path = tmp_path / "spike_times.npz"
    np.savez(path, num_samples=2, num_steps=3, first_sample=7, **spikes)
    expected_figures = Expected(
        graph, edges, mapping.core, mapping.hardware, mapping.place
    )
    return mapping, path, expected_figures, fired_neurons, 3 + max(first_ids.values())


def test_recorded_samples_cost_what_their_spikes_cost(recorded_mapping):
    mapping, path, expected_figures, fired_neurons, steps = recorded_mapping
    found_steps, total = (
        recorded_steps(
            mapping, spikes_on_chip(mapping.network, read_spike_times(path))
        ),
        defaultdict(float),
    )
    assert (found_steps.samples, np.shape(found_steps.step_ns)) == ([7, 8], (2, steps))
    waiting = steps - 3  # steps until the last population begins
    recording = mapping.network.graph.recording
    latency = recording.warm_up + recording.num_timesteps + waiting
    step_cost = mapping.cost.step
    assert step_cost.sample_latency_ns == pytest.approx(latency * step_cost.step_ns)
    for sample, times in zip(found_steps.samples, found_steps.step_ns):
        for step, ns in enumerate(times):
            spikes_sent = dict.fromkeys(fired_neurons[sample, step], 1)
            counts, core_ns = expected_figures.events(spikes_sent, 1)
            link_ns, _ = expected_figures.link_time(spikes_sent, 1)
            assert ns == pytest.approx(
                max(*core_ns, link_ns) + expected_figures.barrier()
            )
            for name, number in counts.items():
                total[name] += number / 2
    assert found_steps.events == pytest.approx(
        {name: total[name] for name in found_steps.events}
    )
    energy = {
        name: total[name] * value
        for name, value in dict(mapping.hardware.energy_pj).items()
        if value is not None
    }
    assert found_steps.energy_by_event_pj == pytest.approx(energy)


def test_the_memory_of_many_recorded_steps_is_required(recorded_mapping, monkeypatch):
    mapping, path, *_ = recorded_mapping
    spikes = {
        population.name: np.zeros((0, 3), np.int32)
        for population in mapping.network.sources
    }
    np.savez(path, num_samples=2, num_steps=10**9, first_sample=7, **spikes)
    monkeypatch.setattr("snnb.core.machine.memory", lambda: Memory(10**12, 10**11))
    with pytest.raises(
        ResourceError,
        match=r"the costs of 2,000,000,000 time steps .* take 128.0 GB of memory",
    ):
        spikes_on_chip(mapping.network, read_spike_times(path))


def test_each_spike_of_a_recorded_step_loads_the_links_of_its_routes(recorded_mapping):
    mapping, path, expected_figures, fired_neurons, steps = recorded_mapping
    found_loads = step_loads(
        mapping, spikes_on_chip(mapping.network, read_spike_times(path))
    )
    loads = [defaultdict(float) for _ in range(steps)]
    for (_, step), sources in fired_neurons.items():
        unicast, _ = expected_figures.link_loads(dict.fromkeys(sources, 1 / 2))
        for link, load in unicast.items():
            loads[step][link] += load
    largest = [max(link_loads.values(), default=0) for link_loads in loads]
    assert found_loads.link_load_max_per_step == pytest.approx(largest)
    assert (
        found_loads.link_load_peak
        == pytest.approx(max(largest))
        != pytest.approx(min(largest))
    )
    assert (
        found_loads.link_load_max_per_step[found_loads.peak_step]
        == found_loads.link_load_peak
    )
    assert found_loads.samples == [7, 8]


def test_each_spike_of_a_recorded_step_is_a_message_to_the_other_cores_that_it_reaches(
    recorded_mapping, tmp_path
):
    mapping, path, expected_figures, fired_neurons, steps = recorded_mapping
    messages = recorded_messages(
        mapping, spikes_on_chip(mapping.network, read_spike_times(path))
    )
    Mapping.of(mapping, MappingCost.of(mapping), messages=messages).write(tmp_path)
    with np.load(tmp_path / "messages.npz") as file:
        stored_arrays = {name: file[name] for name in file.files}
    assert {name: values.dtype.name for name, values in stored_arrays.items()} == {
        **dict.fromkeys(("sample", "step", "source", "targets", "samples"), "int32"),
        **dict.fromkeys(("indptr", "steps"), "int64"),
    }
    assert (stored_arrays["samples"].tolist(), int(stored_arrays["steps"])) == (
        [7, 8],
        steps,
    )
    found_messages, traffic = [], np.zeros((9, 9))
    for number, source in enumerate(stored_arrays["source"].tolist()):
        targets = stored_arrays["targets"][
            stored_arrays["indptr"][number] : stored_arrays["indptr"][number + 1]
        ].tolist()
        found_messages.append(
            (
                int(stored_arrays["sample"][number]),
                int(stored_arrays["step"][number]),
                source,
                targets,
            )
        )
        traffic[source, targets] += 1 / 2
    sent_messages = [
        (
            sample,
            step,
            expected_figures.core[source],
            sorted(expected_figures.away[source]),
        )
        for (sample, step), sources in fired_neurons.items()
        for source in sources
        if expected_figures.away.get(source)
    ]
    assert sorted(found_messages) == sorted(sent_messages) != []
    assert [message[:3] for message in found_messages] == sorted(
        message[:3] for message in found_messages
    )
    fired_by_node = np.zeros(mapping.network.spikes.size)
    for sources in fired_neurons.values():
        np.add.at(fired_by_node, sources, 1 / 2)
    np.testing.assert_allclose(
        traffic_of(mapping.partition.best, fired_by_node).toarray(), traffic
    )


def test_the_time_between_samples_includes_the_warm_up(graphs):
    network = MappableNetwork.of(graphs("chained", "current")[0])
    graph = copy(network.graph)
    graph.recording = replace(graph.recording, warm_up=7)
    found_step = mapped_at_random(replace(network, graph=graph), full_chip()).cost.step
    steps = 7 + graph.recording.num_timesteps
    assert found_step.sample_ns == steps * found_step.step_ns
    assert (
        found_step.sample_latency_ns == (steps + 4) * found_step.step_ns
    )  # of five layers


def test_no_time_is_drawn_of_a_chip_without_times(graphs, tmp_path):
    network, drawings = MappableNetwork.of(graphs("chained", "current")[0]), []
    for times in ({}, {"time_ns": None, "latency_ns": {"router": 1.0, "link": 2.0}}):
        mapping = mapped_at_random(network, full_chip(**times))
        Mapping.of(mapping, MappingCost.of(mapping)).write(tmp_path)
        drawings.append(len(plot_events(Mapping.open(tmp_path)).axes))
    assert drawings == [3, 2]


@pytest.mark.parametrize("sharing", ["none", "kernel"])
@pytest.mark.parametrize("cores", [1, 4])
def test_memory_of_mappings_that_keep_neighbours_together(case, sharing, cores):
    """So that lists are long and many are equal."""
    graph, edges, network = case
    chip = full_chip(synapse_memory={**MEMORY, "sharing": sharing})
    core = (np.arange(network.neurons) * cores // network.neurons).astype(np.int32)
    place = np.array([[number, 0] for number in range(cores)], np.int32)
    found_bits = cost(count_traffic(network, core, cores), chip, place).per_core[
        "memory_bits"
    ]
    shared_figures = Expected(graph, edges, core, chip, place)
    assert found_bits.tolist() == shared_figures.memory_bits(sharing)
    if sharing == "kernel":
        assert sum(found_bits) < sum(shared_figures.memory_bits("none"))
