"""Architectures of SANA-FE: read as descriptions, and the same events, energies and times as in its simulation."""

import contextlib
import io
from collections import defaultdict

import numpy as np
import pytest
import yaml

from snnb.core.errors import InputError
from snnb.mapping.cost import PARTS, Routes, barrier, core_events, core_times, energies, event_counts
from snnb.mapping.hardware import hardware_names, read_hardware
from snnb.mapping.sanafe_architecture import architecture_file
from snnb.mapping.traffic import count_traffic, traffic_of
from tests.mapping.brute_force import csv_edges

STEPS, CORES = 12, 8


def architecture():
    """2 × 2 tiles of two cores each, all of whose figures differ."""
    hops = {"north": 4.2, "south": 4.2, "east": 3.0, "west": 3.0}
    tile = {f"energy_{way}_hop": pj * 1e-12 for way, pj in hops.items()}
    tile.update({f"latency_{way}_hop": ns * 1.5e-9 for way, ns in hops.items()})
    units = {
        "axon_in": ({}, {"message_in": (0.7, 16.0)}),
        "synapse": ({"model": "current_based"}, {"process_spike": (35.5, 3.8)}),
        "dendrite": ({"model": "accumulator"}, {"update": (0.3, 0.2)}),
        "soma": (
            {"model": "truenorth"},
            {"access_neuron": (51.2, 6.0), "update_neuron": (21.6, 3.7), "spike_out": (69.3, 30.0)},
        ),
        "axon_out": ({}, {"message_out": (111.0, 5.1)}),
    }
    core = {"name": "core[0..1]", "attributes": {"buffer_position": "soma", "buffer_inside_unit": False}}
    core["attributes"]["max_neurons_supported"] = 1024
    for name, (model, costs) in units.items():
        energy = {f"energy_{event}": pj * 1e-12 for event, (pj, _) in costs.items()}
        latency = {f"latency_{event}": ns * 1e-9 for event, (_, ns) in costs.items()}
        core[name] = [{"name": name, "attributes": {**model, **energy, **latency}}]
    noc = {"topology": "mesh", "width": 2, "height": 2, "link_buffer_size": 16, "sync_model": "table"}
    noc["latency_sync"] = {1: 0.6e-6, 3: 1.0e-6, 5: 1.4e-6}
    return {
        "architecture": {
            "name": "four tiles",
            "attributes": noc,
            "tile": [{"name": "tile[0..3]", "attributes": tile, "core": [core]}],
        }
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "four_tiles.yaml"
    path.write_text(yaml.safe_dump(architecture()))
    return path


def test_figures_of_an_architecture(file):
    chip = read_hardware(str(file))
    assert (chip.name, chip.mesh, chip.tile, chip.routers) == ("four_tiles", (4, 2), (2, 1), (2, 2))
    assert (chip.neurons_per_core, chip.axons_out_per_core, chip.synapse_memory) == (1024, None, None)
    energy = {name: value for name, value in chip.energy_pj if value is not None}
    assert energy == {
        "router": 0,
        "link_x": 3.0,
        "link_y": 4.2,
        "synapse": 35.8,
        "neuron_inactive": 51.2,
        "neuron_active": 72.8,
        "spike": 69.3,
        "axon_out": 111,
        "axon_in": 0.7,
    }
    assert (chip.time_ns.neuron_active, chip.time_ns.synapse, chip.time_ns.barrier[3]) == (9.7, 4.0, 1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arch: arch.pop("tile"), "as an architecture of SANA-FE it lacks 'tile'"),
        (lambda arch: arch["tile"].append(arch["tile"][0]), "2 kinds of tiles or cores; all must be equal"),
        (lambda arch: arch["attributes"].update(height=3), "4 tiles do not fill columns of a mesh of 2 × 3"),
        (lambda arch: arch["tile"][0]["attributes"].update(energy_west_hop=1.0), "energy_east_hop and energy_west_hop"),
        (lambda arch: arch["tile"][0]["core"][0].update(soma=[]), "list index out of range"),
        (lambda arch: arch.update(attributes=None), "object is not subscriptable"),
    ],
)
def test_what_a_description_cannot_state_is_one_line(tmp_path, change, message):
    data = architecture()
    change(data["architecture"])
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(InputError) as raised:
        read_hardware(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def simulated(path, graph, edges, core, places):
    """Spikes (steps, neurons) of the placed neurons in SANA-FE, its energies in pJ and the times of its steps in ns."""
    sanafe = pytest.importorskip("sanafe")
    with contextlib.redirect_stdout(io.StringIO()):
        arch, network = sanafe.load_arch(str(path)), sanafe.Network()
        first, cells = graph.populations[0].size, {}
        soma = {
            "threshold": 1.0,
            "reset_mode": "soft",
            "reset": 0.0,
            "reverse_reset_mode": "none",
            "force_update": True,
        }
        for population in graph.populations[1:]:
            group = network.create_neuron_group(
                population.name,
                population.size,
                soma,
                log_spikes=True,
                soma_hw_name="soma",
                default_synapse_hw_name="synapse",
                default_dendrite_hw_name="dendrite",
            )
            for number, neuron in enumerate(group.neurons):
                cells[population.first + number] = neuron
                neuron.set_attributes(model_attributes={"bias": 0.05 * (number % 9)})
        for source, target, _, weight in edges:
            if source >= first:
                cells[source].connect_to_neuron(cells[target], {"weight": weight})
        for neuron, where in zip(cells.values(), core):
            x, y = places[where]
            neuron.map_to_core(arch.tiles[int(x) // 2 * 2 + int(y)].cores[int(x) % 2])
        chip = sanafe.SpikingChip(arch)
        chip.load(network)
        found = chip.sim(STEPS, timing_model="simple", spike_trace=True, perf_trace=True)
    spikes = np.zeros((STEPS, first + len(core)))
    firsts = {population.name: population.first for population in graph.populations[1:]}
    for step, fired in enumerate(found["spike_trace"]):
        for address in fired:
            spikes[step, firsts[address.group_name] + address.neuron_offset] = 1
    return spikes, {name: joules * 1e12 for name, joules in found["energy"].items()}, found["perf_trace"]


def test_energies_and_times_are_those_of_a_simulation_in_sanafe(file, graphs, tmp_path):
    from snnb.mapping.traffic import PlacedNetwork

    graph, _ = graphs("chained", "current")
    network, rng = PlacedNetwork.of(graph), np.random.default_rng(0)
    chip = read_hardware(str(file))
    core = rng.integers(0, CORES - 1, network.neurons).astype(np.int32)
    places = rng.permutation([(x, y) for x in range(4) for y in range(2)]).astype(np.int32)[: CORES - 1]
    spikes, joules, trace = simulated(file, graph, csv_edges(graph, tmp_path), core, places)
    assert spikes[1:, network.first :].any(axis=0).mean() > 0.2
    sums = count_traffic(network, core, CORES - 1)
    events = core_events(sums, spikes)
    updates = np.stack([np.bincount(core, minlength=CORES - 1), np.zeros(CORES - 1, int)])  # each is updated by force
    ns = core_times(events, updates, chip.time_ns).max(axis=1) + barrier(sums, chip, places)
    np.testing.assert_allclose(np.array(trace["sim_time"]) * 1e9, ns)
    traffic = traffic_of(sums, spikes.sum(axis=0))
    counts = event_counts(events, updates * STEPS, chip, traffic, Routes.of(traffic, chip, places))
    parts = defaultdict(float)
    for name, picojoules in energies(counts, chip.energy_pj).items():
        parts[next((part for part, names in PARTS.items() if name in names))] += picojoules
    assert joules["synapse"] + joules["dendrite"] == pytest.approx(parts["synapses"])
    assert joules["soma"] == pytest.approx(parts["neurons"])
    assert joules["network"] == pytest.approx(parts["network"] + parts["axons"])
    assert sum(trace["hops"]) == counts["link_x"] + counts["link_y"]


@pytest.mark.parametrize("name", hardware_names())
def test_a_written_description_is_read_as_it_was(tmp_path, name):
    hardware = read_hardware(name)
    path = tmp_path / "written.yaml"
    path.write_text(yaml.safe_dump(architecture_file(hardware.model_dump()), sort_keys=False))
    assert read_hardware(str(path)) == hardware


def test_a_written_architecture_has_the_figures_until_it_is_changed(tmp_path):
    """Read without the description that the file has too: all that SANA-FE has figures of."""
    hardware = read_hardware("loihi")
    content = architecture_file(hardware.model_dump())
    content["architecture"]["tile"][0]["core"][0]["soma"][0]["attributes"]["energy_spike_out"] = 70e-12
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    found = read_hardware(str(path))
    assert (found.mesh, found.tile, found.neurons_per_core) == (hardware.mesh, hardware.tile, 1024)
    assert found.energy_pj == hardware.energy_pj.model_copy(update={"spike": 70.0, "router": 0.0})
    assert found.time_ns == hardware.time_ns.model_copy(update={"router": 0.0})
    assert (found.chip, found.synapse_memory) == (None, None)


def test_a_description_that_is_none_is_one_line(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump({**architecture(), "description": [1]}))
    with pytest.raises(InputError, match="not an architecture of SANA-FE"):
        read_hardware(str(path))
