"""NIR files: the network that is read, beside the interpreter in `nir_interpreter`.

The interpreter shares no code with it.
"""

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.formats.write_export import export
from snnb.forward.analogue import Analogue
from snnb.graph.build import build_graph
from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_file import PARAMETERS, read_nir_graph
from snnb.model_files.nir_network import read_nir
from snnb.network.event_samples import InputSteps
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests import random_nir
from tests.end_to_end.conftest import RECORDED
from tests.nir_interpreter import interpret, linear, write
from tests.random_nir import input_shape, linear_node
from tests.simulation.alike import run_engine, spike_trains

ONE = {"type": "IF", "r": 1.0, "v_threshold": 1.0}


def rows_first(x):
    """Return an array of NIR's order, channels first, as a sample or a population."""
    if x.ndim == 1:
        return x
    image = x[:, None] if x.ndim == 2 else x
    return image.transpose(1, 2, 0)


@pytest.mark.parametrize("seed", range(150))
def test_linear_nodes_between_populations_are_composed(seed, tmp_path):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=input_shape(draw))
    linear_nodes, y = random_linear_nodes(draw, x)
    nodes = {"input": {"type": "Input", "shape": np.array(x.shape)}}
    for i, node in enumerate(linear_nodes):
        nodes[f"n{i}"] = node
    nodes["if"] = ONE
    nodes["output"] = {"type": "Output", "shape": np.array(y.shape)}
    names = list(nodes)
    path = write(tmp_path / "net.nir", nodes, list(zip(names, names[1:])))
    network = read_nir(path, NirSettings())
    [population] = network.populations
    sample = np.float32(rows_first(x).reshape(1, *network.input.shape))
    [current] = Analogue(network).values(sample)
    # The offset has the bias that differs by position
    total = current + population.neuron.offset
    np.testing.assert_allclose(
        total.reshape(-1), rows_first(y).reshape(-1), rtol=1e-5, atol=1e-5
    )


def random_linear_nodes(draw, x):
    """Linear nodes in sequence, and what they make of `x`."""
    nodes = []
    y = x
    for _ in range(draw.integers(0, 5)):
        node = linear_node(draw, y.shape)
        try:
            z = linear(node, y)
        except ValueError:  # a kernel larger than its input
            continue
        if z.size:
            y = z
            nodes.append(node)
    return nodes, y


def flatten(nir, groups, prefix=""):
    """Yield name and node of all nodes of a graph of the library `nir`."""
    for name, node in groups.nodes.items():
        if isinstance(node, nir.NIRGraph):
            yield from flatten(nir, node, f"{prefix}{name}.")
        elif not prefix or not isinstance(node, (nir.Input, nir.Output)):
            yield prefix + name, node


def test_nodes_and_edges_are_those_that_the_library_reads(tmp_path):
    nir = pytest.importorskip("nir")
    if not hasattr(nir, "CubaLI"):
        pytest.skip("nir 1.0.1, for Python 3.8, does not read the files of today")

    comparison_count = 0
    for seed in range(40):
        path = write(
            tmp_path / "net.nir",
            *random_nir.network(np.random.default_rng(seed), full=True),
        )
        graph = read_nir_graph(path)
        try:
            library = nir.read(path, type_check=False)
        except ValueError:
            # The shapes that it infers are wrong with groups, and with `same` and
            # strides
            continue
        comparison_count += 1
        found_nodes = dict(flatten(nir, library))
        names = {n for n, node in graph.nodes.items() if node.kind != "identity"}
        assert names == set(found_nodes)
        for name, node in found_nodes.items():
            assert type(node).__name__ == graph.nodes[name].kind
            for key in PARAMETERS[type(node).__name__]:
                if key != "shape":
                    np.testing.assert_array_equal(
                        getattr(node, key),
                        graph.nodes[name].parameters[key],
                        f"{name} {key}",
                    )
        edges = set()
        for target, sources in graph.sources.items():
            edges.update((source, target) for source in sources)
        for source, target in library.edges:
            if source in found_nodes and target in found_nodes:
                assert (source, target) in edges
    assert comparison_count > 5


def affine(outputs, inputs):
    return {
        "type": "Affine",
        "weight": np.ones((outputs, inputs)),
        "bias": np.zeros(outputs),
    }


def lif(size, **changed):
    numbers = {
        name: np.full(size, value)
        for name, value in (("tau", 0.01), ("r", 1.0), ("v_leak", 0.0))
    }
    return {"type": "LIF", **numbers, "v_threshold": np.ones(size), **changed}


def graph(**changed):
    """Return input → first → lif → second → last → output, with other or additional nodes."""
    nodes = {"input": {"type": "Input", "shape": np.array([12])}, "first": affine(5, 12), "lif": lif(5),
             "second": affine(3, 5), "last": lif(3), "output": {"type": "Output", "shape": np.array([3])}}  # fmt: skip
    names = list(nodes)
    return {**nodes, **changed}, list(zip(names, names[1:]))


NESTED = {
    "type": "NIRGraph",
    "nodes": {"in": {"type": "Input", "shape": np.array([5])}},
    "edges": [],
}
IMAGE = {"type": "Input", "shape": np.array([4, 3, 12])}
CONV = {"type": "Conv2d", "weight": np.ones((1, 4, 3, 3)), "bias": np.zeros(1), "stride": 1, "padding": 0,
        "dilation": 1, "groups": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "edges", "message"),
    [
        ({}, [("lif", "gone")], "the edge from lif to gone names node gone, which does not exist"),
        ({}, [("lif", "second")], "the edge from lif to second is listed twice"),
        ({"first": affine(12, 12)}, [], r"node lif \(LIF\) has tau of shape 5, but its input is 12"),
        ({"first": affine(5, 7)}, [], r"node first \(Affine\) has weights of shape 5×7, but its input is 12"),
        ({}, [("input", "second")], r"node second \(Affine\) reads 5, but from node input 12"),
        ({"lif": {"type": "Izhikevich"}}, [], r"node lif \(Izhikevich\) has a type without a rule; there are rules"),
        ({"lif": {"type": "LIF", "tau": 1.0}}, [], r"node lif \(LIF\) has no r"),
        ({"lif": lif(5, tau=0.0)}, [], r"node lif \(LIF\) has tau 0: time constants must be positive"),
        ({"lif": lif(5, r=np.nan)}, [], r"node lif \(LIF\) has r with values that are not finite"),
        ({"first": {**affine(5, 12), "bias": np.full(5, 1e39)}}, [], "node lif .* biases .* too large for float32"),
        ({"lif": {"type": "Delay", "delay": 2.5e-3}}, [], r"node lif \(Delay\) has a delay of 0.0025, 2.5 t"),
        ({"lif": NESTED}, [], r"the nested graph lif has 0 output nodes \(none\): an edge"),
        ({"alone": affine(5, 5)}, [], r"node alone \(Affine\) cannot be reached from the input input"),
        ({"more": {"type": "Input", "shape": np.array([1])}}, [("more", "lif")],
         r"has 2 input nodes \(input, more\): exactly one is supported"),
        ({"lif": affine(5, 5)}, [("lif", "first")], r"node first .* reads 12, but from node lif 5"),
        ({"lif": affine(5, 5)}, [("second", "lif"), ("lif", "lif")], r"node lif .* reads 5, but from node second 3"),
        ({"second": affine(5, 5), "last": lif(5), "lif": affine(5, 5)}, [("second", "lif")],
         r"node second \(Affine\) is in a cycle without neurons: second → lif → second"),
        ({"lif": {"type": "LI", "tau": 0.1, "r": 1.0, "v_leak": 0.0}}, [],
         r"node last \(LIF\) reads node lif \(LI\), whose output is a potential: neurons here read spikes only"),
        ({"last": {"type": "LI", "tau": 0.1, "r": 1.0, "v_leak": 0.0}}, [("second", "output")],
         r"node output \(Output\) reads node last \(LI\), whose output is a potential, .* must read this node alone"),
        ({"input": IMAGE, "first": {**CONV, "groups": 3}}, [], r"node first \(Conv2d\) has weights of shape 1×4×3×3"),
        ({"input": IMAGE, "first": {**CONV, "padding": "full"}}, [], "node first .* has padding 'full': it must be"),
        ({"input": IMAGE, "first": {**CONV, "dilation": 2}}, [], "node first .* has no output: its kernel do"),
        ({"input": IMAGE, "first": {**CONV, "stride": 0.5}}, [], "node first .* has stride 0.5: it must be"),
        ({"first": CONV}, [], r"node first \(Conv2d\) needs an input of 3 axes, but its input is 12"),
        ({"input": {"type": "Input", "shape": np.array([2, 2, 2, 2])}}, [], r"input \(Input\) has a shape of 4"),
        ({"input": {"type": "Input", "shape": np.array([1, 3000, 3])}, "first": {"type": "Flatten", "start_dim": 0,
          "end_dim": -1}, "lif": {"type": "Scale", "scale": np.arange(9000.0)}, "second": affine(9000, 9000),
          "last": lif(9000)}, [], r"node second \(Affine\) and the linear nodes before it are not a convolution"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_names_the_node(changes, edges, message, tmp_path):
    nodes, edge_list = graph(**changes)
    path = write(tmp_path / "net.nir", nodes, edge_list + edges)
    with pytest.raises(InputError, match=message) as error_info:
        read_nir(path, NirSettings(time_step=1e-3))
    assert str(error_info.value).startswith(f"{path}: ")
    assert len(str(error_info.value).splitlines()) == 1


@pytest.mark.parametrize(
    "node",
    [
        lif(5),
        {"type": "IF", "r": 1e4, "v_threshold": 1.0},
        {"type": "Delay", "delay": 1.0},
    ],
)
def test_a_time_step_is_required_where_a_node_has_a_time(node, tmp_path):
    nodes, edges = graph(lif=node, last={"type": "IF", "r": 1.0, "v_threshold": 1.0})
    path = write(tmp_path / "net.nir", nodes, edges)
    with pytest.raises(InputError, match=r"node lif .* give --time-step"):
        read_nir(path, NirSettings())
    read_nir(path, NirSettings(time_step=0.5))


@pytest.mark.parametrize("content", [b"", b"no HDF5 file", "cut", "other"])
def test_a_file_of_another_kind_is_refused(content, tmp_path):
    path = write(tmp_path / "net.nir", *graph())
    if content == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif content == "other":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    else:
        path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"net\.nir: (not a complete HDF5 file|has no NIR graph)"
    ):
        read_nir(path, NirSettings(time_step=1e-3))


def test_an_exported_network_spikes_as_the_converted_one(tmp_path):
    pytest.importorskip("nir")
    parsed_path = RECORDED / "parse/mini_network_parsed.h5"
    with build_graph(read_network(parsed_path)) as graph:
        export(graph, "nir", tmp_path / "net.nir")
    converted_network, again = (
        read_network(parsed_path),
        read_nir(tmp_path / "net.nir", NirSettings(time_step=1, nir_reset="subtract")),
    )
    x = np.load(RECORDED / "dataset/x_test.npy")[:90] / np.float32(16)
    # A spike that subtracts the float32 number below 1 in place of 1 shows after about 1000 steps.
    settings = SimulationSettings(samples=len(x), duration=1000, initial_potential=0.0)
    counts, own_counts = (
        run_engine(EventEngine, net, settings, x).counts
        for net in (converted_network, again)
    )
    *layers, _ = (
        converted_network.populations
    )  # the last one draws its spikes at random
    for population, other_population in zip(layers, again.populations):
        np.testing.assert_array_equal(
            own_counts[other_population.name], counts[population.name]
        )


def test_paths_of_different_delays_are_several_synapses(tmp_path):
    weights = np.random.default_rng(0).uniform(0.5, 1, (2, 4, 3))
    nodes = {"input": {"type": "Input", "shape": np.array([3])}, "late": {"type": "Delay", "delay": np.full(3, 2.0)},
             "a": {"type": "Linear", "weight": weights[0]}, "b": {"type": "Linear", "weight": weights[1]},
             "if": ONE, "output": {"type": "Output", "shape": np.array([4])}}  # fmt: skip
    edges = [
        ("input", "a"),
        ("a", "if"),
        ("input", "late"),
        ("late", "b"),
        ("b", "if"),
        ("if", "output"),
    ]
    net = read_nir(write(tmp_path / "net.nir", nodes, edges), NirSettings(time_step=1))
    graph = build_graph(net)
    assert net.fan_out()["input"].sum() == graph.number_of_edges() == 2 * 3 * 4


def states_of(population, values):
    """States of a population in the interpreter: (samples, steps, neurons)."""
    states = np.zeros((len(values), len(values[0]), population.size))
    for sample, step in np.ndindex(*states.shape[:2]):
        state = rows_first(values[sample][step][population.name])
        states[sample, step] = state.reshape(-1)
    return states


@pytest.mark.parametrize("engine", [EventEngine, TensorFlowEngine])
@pytest.mark.parametrize(
    "seed",
    [*range(8), *(pytest.param(n, marks=pytest.mark.slow) for n in range(8, 200))],
)
def test_random_networks_spike_as_in_the_interpreter(seed, engine, tmp_path):
    draw = np.random.default_rng(seed)
    steps = 10
    samples = 3
    nodes, edges = random_nir.network(draw)
    reset = ["value", "subtract"][seed % 2]
    path = write(tmp_path / "net.nir", nodes, edges)
    net = read_nir(path, NirSettings(time_step=random_nir.DT, nir_reset=reset))
    x = draw.choice([0, 0, 0.5, 1, 2], (samples, steps, *nodes["input"]["shape"]))
    values = [interpret(nodes, edges, sample, random_nir.DT, reset) for sample in x]
    frames = np.zeros((samples, steps, *net.input.shape), np.float32)
    for sample, step in np.ndindex(samples, steps):
        frames[sample, step] = rows_first(x[sample, step]).reshape(net.input.shape)
    settings = SimulationSettings(
        samples=samples, duration=steps, input="steps", record_spikes=samples
    )
    result = run_engine(engine, net, settings, InputSteps.dense(frames))
    for population in net.populations:
        expected_values = states_of(population, values)
        if not population.neuron.is_spiking:
            readout = result.readout.reshape(samples, -1)
            np.testing.assert_array_equal(readout, expected_values.max(axis=1))
            continue
        table = result.spikes[population.name]
        spikes = spike_trains(table, samples, steps, population.size)
        np.testing.assert_array_equal(spikes, expected_values, population.name)


def test_a_threshold_is_subtracted_in_the_next_step(tmp_path):
    draw, tau = np.random.default_rng(0), 2 * random_nir.DT
    cuba = {
        "type": "CubaLIF",
        "tau_syn": tau,
        "tau_mem": tau,
        "r": 2.0,
        "w_in": 2.0,
        "v_leak": 0.25,
    }
    nodes, edges = graph(
        first={**affine(5, 12), "weight": random_nir.quarters(draw, 5, 12)},
        lif=lif(5, tau=tau, r=2.0),
        second={**affine(3, 5), "weight": random_nir.quarters(draw, 3, 5, low=-1)},
        last={**cuba, "v_threshold": 0.5},
    )
    path = write(tmp_path / "net.nir", nodes, edges)
    net = read_nir(
        path, NirSettings(time_step=random_nir.DT, nir_reset="subtract_delayed")
    )
    x = draw.choice([0, 0, 0.5, 1], (1, 12, 12))
    settings = SimulationSettings(samples=1, duration=12, input="steps")
    counts = run_engine(
        EventEngine, net, settings, InputSteps.dense(np.float32(x))
    ).counts
    delayed_values = interpret(nodes, edges, x[0], random_nir.DT, "subtract_delayed")
    values = interpret(nodes, edges, x[0], random_nir.DT, "subtract")
    for name in ("lif", "last"):
        delayed_counts = sum(step[name] for step in delayed_values)
        np.testing.assert_array_equal(counts[name].ravel(), delayed_counts)
        assert (delayed_counts != sum(step[name] for step in values)).any()
    with pytest.raises(
        InputError, match=r"node lif \(LIF\) keeps nothing of a potential"
    ):
        read_nir(path, NirSettings(time_step=tau, nir_reset="subtract_delayed"))
