"""The format `sanafe`, loaded by SANA-FE itself from the file alone, against the spikes of the network's simulation."""

import contextlib
import io
import json

import numpy as np
import sanafe

from snnb.graph.build import build_graph
from snnb.graph.export.write_export import export
from tests.crosscheck.sanafe_file import load
from tests.crosscheck.simulated import STEPS, simulated_graph, ways_to_simulate

SAMPLES = 2


def set_biases(chip, group, biases):
    for neuron, bias in zip(chip.mapped_neuron_groups[str(group)], biases.tolist()):
        neuron.set_model_attributes(model_attributes={"bias": bias})


def spikes_of(chip, stated, currents, pixels, steps):
    """Spikes (neurons, steps) of each group; `pixels` of an input that spikes are (neurons, steps), else None."""
    first = [population["first_step"] for population in stated["populations"]]
    found = [np.zeros((population["size"], steps), bool) for population in stated["populations"]]
    chip.reset()
    for group, current in enumerate(currents):
        set_biases(chip, group, np.zeros_like(current))
    for now in range(max(first) + steps):
        if pixels is not None:
            set_biases(chip, 0, pixels[:, now].astype(float) if now < steps else np.zeros(len(pixels)))
        for group, current in enumerate(currents):
            if group and first[group] == now:
                set_biases(chip, group, current)
        (fired,) = chip.sim(1, timing_model="simple", spike_trace=True)["spike_trace"]
        for address in fired:
            group = int(address.group_name)
            assert group < len(first), "a relay is logged"
            if 0 <= now - first[group] < steps:
                found[group][address.neuron_offset, now - first[group]] = True
    return found


@ways_to_simulate
def test_it_spikes_as_the_simulation_did(parsed, tmp_path, reset, threshold, coding):
    x, simulated, built = simulated_graph(parsed, tmp_path, SAMPLES, reset, threshold, coding)
    with built as graph:
        assert graph.attributes["pool_weight"] == "one"
        export(graph, "sanafe", tmp_path / "net", simulated=simulated, origin={"stamp": "s", "sha256": "0"})
        biases = [population.bias.ravel() / threshold for population in graph.populations]
    stated = json.loads((tmp_path / "net.json").read_text())
    architecture, network = load(tmp_path / "net", tmp_path)
    with contextlib.redirect_stdout(io.StringIO()), np.load(tmp_path / "spike_times.npz") as times:
        chip = sanafe.SpikingChip(architecture)
        chip.load(network)
        for sample in range(SAMPLES):
            currents, pixels = [bias.astype(float) for bias in biases], None
            if coding == "poisson":
                pixels = np.zeros((60, STEPS), bool)
                spikes = times["input"][times["input"][:, 0] == sample]
                pixels[spikes[:, 1], spikes[:, 2]] = True
            else:
                values = (x[sample] / np.float32(256)).ravel().astype(float)
                for neuron, value in zip(network.groups["0"].neurons, values):
                    for edge in neuron.edges_out:
                        target = edge.post_neuron
                        currents[int(target.group_name)][target.neuron_offset] += (
                            edge.synapse_attributes["weight"] * value
                        )
            found = spikes_of(chip, stated, currents, pixels, STEPS)
            for group, population in enumerate(stated["populations"][:-1]):
                if group or coding == "poisson":
                    expected = np.zeros_like(found[group])
                    spikes = times[population["name"]][times[population["name"]][:, 0] == sample]
                    expected[spikes[:, 1], spikes[:, 2]] = True
                    assert expected.any(), population["name"]
                    np.testing.assert_array_equal(found[group], expected, err_msg=population["name"])


def test_relays_are_stated(parsed, tmp_path):
    """`one` goes on to `long` two steps later and to the sum and the pooling after it."""
    with build_graph(parsed, tmp_path / "net_graph.h5", coding={"input": "current"}) as graph:
        export(graph, "sanafe", tmp_path / "net", origin={"stamp": "s", "sha256": "0"})
        edges, nodes = graph.number_of_edges(), graph.number_of_nodes()
    stated = json.loads((tmp_path / "net.json").read_text())
    _, network = load(tmp_path / "net", tmp_path)
    added = stated["sanafe"]["added_neurons"]
    assert stated["sanafe"]["relays"] == [
        {"group": 7, "population": "one", "steps_later": 1, "size": 90},
        {"group": 8, "population": "one", "steps_later": 2, "size": 90},
    ]
    neurons = [neuron for group in network.groups.values() for neuron in group.neurons]
    assert len(neurons) == nodes + added == nodes + 180
    assert sum(len(neuron.edges_out) for neuron in neurons) == edges + stated["sanafe"]["added_edges"]
