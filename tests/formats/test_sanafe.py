"""Networks of SANA-FE: compared with its own reader and its own run, refused."""

import contextlib
import io
from importlib import import_module

import numpy as np
import pytest
import yaml

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import ResourceError
from snnb.core.machine import Memory
from snnb.mapping.files import MappingCost
from snnb.mapping.map_network import cost_partition
from snnb.mapping.time_costs import recorded_steps, spikes_on_chip
from snnb.mapping.traffic import MappableNetwork
from snnb.network.spike_times import read_spike_times
from tests.chips.test_sanafe_architecture import architecture
from tests.formats.mapped import assert_refused, import_anew
from tests.graph.edges import all_edges

NETWORK = """
mappings:
  - in: {core: 1.0}
  - hidden.0..9: [core: 0.1, soma: soma]
  - hidden.10: {core: 3.0}
  - hidden.11..11: {core: 3.1}
  - 1: [core: 2.0]
network:
  edges:
    - in -> hidden:
        type: conv2d
        input_height: 4
        input_width: 5
        input_channels: 2
        kernel_count: 3
        kernel_height: 3
        kernel_width: 2
        stride_width: 2
        weight: [WEIGHTS]
    - hidden -> 1: [type: dense, dendrite: {delay: [DELAYS]}, w: [DENSE]]
    - in -> 1:
        type: sparse
        source_target_pairs: [[1, 0], [0, 2], [2, 1]]
        weight: [0.5, 0.25, -3]
    - 1.2 -> 1.2: {weight: -1.5}
    - hidden.10->in.1: {synapse: {weight: 2}, dendrite: {tap: 1}}
    - hidden.1 -> in.10: []
  groups:
    - neurons:
        - 0..9
        - 10..38: {bias: 0.25}
        - 39: [soma: {bias: 0.5}]
      name: in
      attributes: {threshold: 1, soma_hw_name: soma}
    - name: hidden
      attributes: [soma_hw_name: soma, bias: 0.125, log_spikes: true]
      neurons: [0..11: []]
    - name: 1
      neurons: [0: {threshold: 2}, 1: [], 2: {}]
  name: written by hand
"""


def network_file(path):
    rng = np.random.default_rng(3)
    text = NETWORK.replace(
        "WEIGHTS", ", ".join(map(str, (rng.integers(-3, 6, 36) / 4).tolist()))
    )
    text = text.replace(
        "DENSE", ", ".join(map(str, (rng.integers(-2, 5, 36) / 8).tolist()))
    )
    path.write_text(text.replace("DELAYS", ", ".join(["0"] * 36)))
    return path


def load_in_sanafe(path, folder, chip=None):
    """Edges with weights as SANA-FE loads them, by groups and numbers; the chip and the network."""
    sanafe = pytest.importorskip("sanafe")
    (folder / "chip.yaml").write_text(yaml.safe_dump(chip or architecture()))
    with contextlib.redirect_stdout(io.StringIO()):
        arch = sanafe.load_arch(str(folder / "chip.yaml"))
        network = sanafe.load_net(str(path), arch)
    edges = []
    for name, group in network.groups.items():
        for number, neuron in enumerate(group.neurons):
            for edge in neuron.edges_out:
                end, attributes = edge.post_neuron, edge.synapse_attributes
                weight = attributes.get("weight", attributes.get("w", 0))
                edges.append(
                    ((name, number), (end.group_name, end.neuron_offset), weight)
                )
    return sorted(edges), arch, network


@pytest.mark.parametrize("batch", [7, 1 << 18])
def test_a_network_is_that_of_sanafe(batch, monkeypatch, tmp_path):
    monkeypatch.setattr("snnb.formats.sanafe_yaml.BATCH", batch)
    path = network_file(tmp_path / "net.yaml")
    edges, _, network = load_in_sanafe(path, tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        network.save(str(tmp_path / "saved.yaml"))
    assert len(edges) == 144 + 36 + 6
    # Version 2.1.1 takes the number of the source for that of the pair in a sparse hyperedge
    weights = {(("in", 0), ("1", 2)): 0.25, (("in", 1), ("1", 0)): 0.5}
    corrected_edges = [
        (source, target, weights.get((source, target), weight))
        for source, target, weight in edges
    ]
    for file, expected_edges in (
        (path, corrected_edges),
        (tmp_path / "saved.yaml", edges),
    ):
        found_graph, notes = import_anew(file, tmp_path / file.stem)
        with found_graph as graph:
            names = [
                (p.name, number) for p in graph.populations for number in range(p.size)
            ]
            rows = zip(*(column.tolist() for column in all_edges(graph)[:3]))
            assert (
                sorted(
                    (names[source], names[target], weight)
                    for source, target, weight in rows
                )
                == expected_edges
            )
            assert not graph.inputs
            if file == path:
                assert [(p.name, p.size) for p in graph.populations] == [
                    ("in", 40),
                    ("hidden", 12),
                    ("1", 3),
                ]
                biases = [[0] * 10 + [0.25] * 29 + [0.5], [0.125] * 12, [0] * 3]
                assert [p.bias.tolist() for p in graph.populations] == biases
                cores = (tmp_path / file.stem / "partition.txt").read_text().split()
                assert cores == [*"1" * 40, *"0" * 10, "3", "4", *"2" * 3]
                assert (
                    tmp_path / file.stem / "placement.txt"
                ).read_text() == "tile core\n0 1\n1 0\n2 0\n3 0\n3 1\n"
                assert notes[1:] == (
                    "the mapping is in partition.txt and placement.txt next to the graph",
                )


@pytest.mark.parametrize("update", [0.0, 21.6])
def test_costs_are_those_of_a_run_of_sanafe(update, tmp_path):
    """All but that of updates, which SANA-FE leaves out in steps in which input, bias and potential are 0."""
    path = network_file(tmp_path / "net.yaml")
    chip = architecture()
    (soma,) = chip["architecture"]["tile"][0]["core"][0]["soma"]
    soma["attributes"].update(
        energy_update_neuron=update * 1e-12, latency_update_neuron=update * 1e-10
    )
    _, arch, network = load_in_sanafe(path, tmp_path, chip)
    with contextlib.redirect_stdout(io.StringIO()):
        for group in network.groups.values():
            for neuron in group.neurons:
                neuron.set_attributes(log_spikes=True)
        chip = import_module("sanafe").SpikingChip(arch)
        chip.load(network)
        run = chip.sim(
            60,
            timing_model="simple",
            spike_trace=str(tmp_path / "spikes.csv"),
            perf_trace=True,
        )
    found_graph, _ = import_anew(
        path, tmp_path / "in", rates=tmp_path / "spikes.csv", steps=60
    )
    with found_graph as graph:
        assert (
            sum(int(p.spike_count.sum()) for p in graph.populations)
            == run["neurons_fired"]
            > 300
        )
        hardware = read_hardware(str(tmp_path / "chip.yaml"))
        files = tmp_path / "in/partition.txt", tmp_path / "in/placement.txt"
        mapping = cost_partition(MappableNetwork.of(graph), hardware, *files)
        step_record = recorded_steps(
            mapping,
            spikes_on_chip(
                mapping.network, read_spike_times(tmp_path / "in/spike_times.npz")
            ),
        )
        cost = MappingCost.of(mapping, recorded_steps=step_record)
    energy, events = (
        {name: joules * 1e12 for name, joules in run["energy"].items()},
        cost.events,
    )
    assert (events["synapse"], events["axon_out"]) == (
        run["spikes"],
        run["packets_sent"],
    )
    assert events["link_x"] + events["link_y"] == sum(run["perf_trace"]["hops"]) > 0
    assert step_record.events == pytest.approx(events)
    parts = cost.energy_by_part_pj
    assert parts["synapses"] == pytest.approx(energy["synapse"] + energy["dendrite"])
    assert parts["axons"] + parts["network"] == pytest.approx(energy["network"])
    updates = (events["neuron_active"] - run["neurons_updated"]) * update
    assert parts["neurons"] - updates == pytest.approx(energy["soma"])
    assert 0 <= updates < 0.4 * parts["neurons"]
    steps = np.array(run["perf_trace"]["sim_time"]) * 1e9
    if update:
        assert (step_record.step_ns[0] >= steps - 1e-6).all()
    else:
        np.testing.assert_allclose(step_record.step_ns[0], steps)
        assert cost.step.step_ns < steps.mean()


START = "network:\n  groups:\n  - {name: a, neurons: [0..2: {}]}\n  - name: b\n    neurons: [0: {}]\n  edges:\n"
GROUP = "network:\n  groups:\n  - name: a\n    neurons: "
BAD = {
    START + "  - a.0 -> c.0: {weight: 1}\n": "a.0 -> c.0: there is no group 'c'",
    START
    + "  - a.3 -> b.0: {weight: 1}\n": "a.3 -> b.0: there is no neuron a.3; the group has 3, from 0",
    START
    + "  - a.0 -> b: {weight: 1}\n": "a.0 -> b: there is no neuron b.; the group has 1, from 0",
    START + "  - a.0: {weight: 1}\n": "a.0: not an edge, as a.0 -> b.1",
    START + "  - a.0 -> b.0\n": 'network.edges.0: "a.0 -> b.0" is not a mapping',
    START
    + "  - a.0 -> b.0: [weight: much]\n": 'a.0 -> b.0: weight: "much" is not a number',
    START
    + "  - a.0 -> b.0: [much]\n": "a.0 -> b.0: 'much' is not a mapping of attributes",
    START
    + "  - a.0 -> b.0: {weight: inf}\n": 'a.0 -> b.0: weight: "inf" is not a finite number',
    START + "  - a -> b: {weight: [1]}\n": "a -> b: type: missing",
    START + "  - a -> b: {type: dense}\n": "a -> b: weight: missing",
    START
    + "  - a -> b: {type: all, weight: [1]}\n": "a -> b: type: \"all\" is not 'dense', 'sparse' or 'conv2d'",
    START
    + "  - a -> b: {type: dense, weight: [1, 2]}\n": "a -> b: weight has 2 numbers, not one for each of 3",
    START
    + "  - a -> b: {type: sparse, source_target_pairs: [[2, 1]], weight: [1]}\n": "a -> b: source_target_pairs are not",
    START
    + "  - a -> b: {type: sparse, source_target_pairs: [[2, x]], weight: [1]}\n": '_pairs.0.1: "x" is not an integer',
    START
    + "  - a -> b: {type: conv2d, weight: [1]}\n": "a -> b: input_height: missing; input_width: missing",
    START
    + "  - a -> b: {type: conv2d, weight: [1], input_height: 3, input_width: 1, input_channels: 1, kernel_height: 9, "
    "kernel_width: 1}\n": "a -> b: a conv2d from 3 to 0 neurons, not 3 to 1",
    START + "  - *edge\n": "aliases of YAML are not read",
    START + "  - [a\n": "not valid YAML (line 8",
    START + "   []\nmappings:\n- c: [core: 0.1]\n": "c: there is no group 'c'",
    START
    + "   []\nmappings:\n- a.1..3: [core: 0.1]\n": "a.1..3: there is no neuron a.3; the group has 3",
    START
    + "   []\nmappings:\n- a: [core: 3]\n": 'mappings.0.a.core: "3" does not match the pattern',
    "network:\n  edges: []\n": "network.groups: missing",
    "network: " + 999 * "[": "nested too deeply",
    START + "   []\nmappings:\n- a\n": 'mappings.0: "a" is not a mapping',
    "network: [1]\n": "network: a list is not a mapping",
    "mappings: []\n": "network: missing",
    GROUP
    + "[0..1: {bias: x}]\n": 'network.groups.0.neurons.0.0..1.bias: "x" is not a number',
    GROUP + "[1: {}]\n": "group a: there is no neuron a.1; the group has 1",
    GROUP + "[3..1: {}]\n": "group a: the range 3..1 ends before it begins",
    GROUP + "[b]\n": "group a: 'b' is not a number of a neuron, or a range as 0..9",
    "network:\n  groups:\n  - neurons: [0: {}]\n": "network.groups.0.name: missing",
    "network:\n  groups:\n  - &a {name: a, neurons: []}\n  - {name: a, neurons: []}\n": "group a: there are two groups",
    "network:\n  groups: []\n  groups: []\n": "the key 'groups' is given twice, again in line 3",
    "network:\n  groups: []\n": "the graph has no neurons",
    "# by version 1\n\ng 2 threshold=1\n": "a netlist of SANA-FE, which snnb no longer reads; give the network in YAML",
}


@pytest.mark.parametrize("content", list(BAD))
def test_files_that_are_refused(content, tmp_path):
    path = tmp_path / ("net.yaml" if content[0] in "nm" else "net.net")
    path.write_text(content)
    assert_refused(path, BAD[content])


def test_the_memory_of_the_values_is_required_before_they_are_read(
    monkeypatch, tmp_path
):
    (tmp_path / "net.yaml").write_text(
        START + 100_000 * "  - a.0 -> b.0: {weight: 1}\n"
    )
    monkeypatch.setattr("snnb.core.machine.memory", lambda: Memory(10**12, 50_000_000))
    assert_refused(
        tmp_path / "net.yaml",
        "take 0.1 GB of memory, and 0.1 GB are available",
        error=ResourceError,
    )


BAD_TRACES = {
    "neuron,timestep\na.0,1\na.3,2\n": "line 3: the graph has no neuron 'a.3'",
    "neuron,timestep\na.0,1\na.0\n": "line 3: 'a.0' is not a spike, GROUP.NEURON,STEP",
    "neuron,timestep\na.0,12345678901234567890123\n": "line 2: 'a.0,12345678901234567890123' is not a spike, GROUP",
    "neuron,timestep\na.12345678901234567890123,1\n": "line 2: 'a.12345678901234567890123,1' is not a spike",
    "neuron,timestep\na.0,2147483648\n": "line 2: step 2147483648, and a trace has at most 2,147,483,647 steps",
    "neuron,timestep\na.0,11\n": "line 2: a spike in step 11 of 10",
}


@pytest.mark.parametrize("content", list(BAD_TRACES))
def test_traces_that_are_refused(content, tmp_path):
    (tmp_path / "net.yaml").write_text(START + "   []\n")
    (tmp_path / "spikes.csv").write_text(content)
    assert_refused(
        tmp_path / "net.yaml",
        BAD_TRACES[content],
        rates=tmp_path / "spikes.csv",
        steps=10,
    )


EDGES = START + "  - a.0 -> b.0: {weight: 1}\n"


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        (EDGES + "mappings: [b: {core: 0.0}]\n", ["a"]),
        (EDGES + "mappings: [a: {core: 0.0}, b: {core: 0.0}]\n", []),
        (EDGES, []),
        (EDGES.replace("0..2: {}", "0..2: {poisson: 0.1}"), ["a"]),
    ],
)
def test_which_groups_are_inputs(tmp_path, text, inputs):
    """Those on no core; without a mapping those of the model `input`."""
    (tmp_path / "net.yaml").write_text(text)
    with import_anew(tmp_path / "net.yaml", tmp_path / "in")[0] as found_graph:
        assert [p.name for p in found_graph.inputs] == inputs
