"""A residual network mapped by two methods, in SANA-FE from the exported files: spikes, energies, times of steps."""

import json

import numpy as np
import pytest
import sanafe
import yaml

from snnb.chips.hardware import Hardware
from snnb.crosscheck.exported import exported_network, in_order
from snnb.crosscheck.sanafe import run_chip, spikes_by_step
from snnb.crosscheck.sanafe_chip import build_chip
from snnb.formats.request import Request
from snnb.formats.sanafe import check_mapped, write_netlist
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.mapping.files import Mapping, MappingCost
from snnb.mapping.map_network import map_network
from snnb.mapping.time_costs import recorded_steps, spikes_on_chip
from snnb.mapping.traffic import MappableNetwork
from snnb.network.read_network import read_network
from snnb.network.spike_times import read_spike_times
from snnb.results.crosscheck import compare_costs
from snnb.results.export import on_cores
from tests.crosscheck.sanafe_file import load
from tests.crosscheck.simulated import STEPS, simulated_graph
from tests.mapping.test_events import full_chip

SAMPLES = 2
CHIP = full_chip(
    name="small",
    mesh=[6, 4],
    chip=None,
    neurons_per_core=40,
    axons_per_core=400,
    axons_out_per_core=None,
    synapse_memory=None,
).model_dump(mode="json")


@pytest.mark.parametrize(
    ("reset", "output"),
    [
        ("zero", "auto"),
        ("zero", "membrane"),
        pytest.param("subtraction", "auto", marks=pytest.mark.slow),
    ],
)
def test_costs_of_a_residual_network_are_those_of_sanafe(
    parsed_path, tmp_path, reset, output, no_kahypar
):
    x, simulation, built = simulated_graph(
        parsed_path, tmp_path, SAMPLES, reset, 0.5, "constant", output=output
    )
    pixels = (x / np.float32(256)).reshape(SAMPLES, -1).astype(float)
    with built as graph, np.load(tmp_path / "spike_times.npz") as times:
        network, placed_network = (
            exported_network(graph, simulation),
            MappableNetwork.of(graph),
        )
        drawn_neurons = {
            p.name: times[p.name].astype(np.int64)
            for p in network.populations
            if p.coding == "random"
        }
        for method in ("sequential", "groups"):
            mapping = map_network(
                placed_network, Hardware.model_validate(CHIP), method=method
            )
            step_record = recorded_steps(
                mapping,
                spikes_on_chip(
                    placed_network, read_spike_times(tmp_path / "spike_times.npz")
                ),
            )
            (tmp_path / method).mkdir()
            cost = MappingCost.of(mapping, recorded_steps=step_record)
            Mapping.of(mapping, cost).write(tmp_path / method)
            neurons = on_cores(graph, Mapping.open(tmp_path / method))
            check_mapped(graph, neurons)
            netlist, architecture = tmp_path / "net.net", tmp_path / "net.yaml"
            write_netlist(
                graph.with_pool_weight("mean"),
                netlist,
                Request(simulated=simulation, on_cores=neurons),
            )
            architecture.write_text(neurons.architecture)
            assert any(" delay=" in line for line in netlist.read_text().splitlines())
            simulate, trace = build_chip(network, netlist, architecture, drawn_neurons)
            spikes = simulate(pixels, STEPS)
            for population in network.simulated_populations:
                assert len(times[population.name]) > 20
                np.testing.assert_array_equal(
                    in_order(spikes[population.name]), in_order(times[population.name])
                )
            checked_costs = compare_costs(method, "small", step_record, trace)
            assert [
                (figure.name, figure.differing) for figure in checked_costs.figures
            ] == [
                (name, False)
                for name in (
                    "synapses",
                    "neurons",
                    "axons and links",
                    "routers",
                    "mean step",
                )
            ], checked_costs
            assert (checked_costs.differing_steps, checked_costs.steps) == (
                0,
                np.size(step_record.step_ns),
            )
            assert all(figure.cost > 0 for figure in checked_costs.figures)
            assert checked_costs.detailed_ns >= checked_costs.figures[-1].sanafe
    assert yaml.safe_load(architecture.read_text())["description"]["mesh"] == [6, 4]


@pytest.mark.parametrize(("output", "spiking"), [("membrane", False), ("auto", True)])
def test_an_output_that_is_read_out_does_not_spike_in_sanafe(
    parsed_path, tmp_path, output, spiking
):
    """Each neuron of the output has a bias of 1, the threshold of a neuron that spikes."""
    _, _, built = simulated_graph(
        parsed_path, tmp_path, 1, "zero", 1.0, "constant", output=output
    )
    with built as graph:
        names = [population.name for population in graph.populations]
        export(graph, "sanafe", tmp_path / "net", origin={})
    architecture, network = load(tmp_path / "net", tmp_path)
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    group = str(names.index("out"))
    for neuron in chip.mapped_neuron_groups[group]:
        neuron.set_model_attributes(model_attributes={"bias": 1.0})
    (result,) = run_chip(chip, {}, STEPS, "simple")
    spikes = [
        address.group_name for step in spikes_by_step([result]) for address in step
    ]
    assert (group in spikes) == spiking


def test_relays_are_stated(parsed_path, tmp_path):
    """`one` goes on to `long` two steps later and to the sum and the pooling after it."""
    with build_graph(read_network(parsed_path)) as graph:
        export(graph, "sanafe", tmp_path / "net", origin={"stamp": "s", "sha256": "0"})
        edges, nodes = graph.number_of_edges(), graph.number_of_nodes()
    document = json.loads((tmp_path / "net.json").read_text())
    _, network = load(tmp_path / "net", tmp_path)
    added_neurons = document["sanafe"]["added_neurons"]
    assert document["sanafe"]["relays"] == [
        {"group": 7, "population": "one", "steps_later": 1, "size": 90},
        {"group": 8, "population": "one", "steps_later": 2, "size": 90},
    ]
    neurons = [neuron for group in network.groups.values() for neuron in group.neurons]
    assert len(neurons) == nodes + added_neurons == nodes + 180
    assert (
        sum(len(neuron.edges_out) for neuron in neurons)
        == edges + document["sanafe"]["added_edges"]
    )
