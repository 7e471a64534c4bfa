"""Graphs of random networks that were trained as spiking ones, stepped alone, and an interpreter of NIR files."""

import h5py
import networkx
import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.exported import exported_network
from snnb.formats.request import Simulated
from snnb.formats.write_export import export
from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_network import read_nir
from tests import random_nir
from tests.formats.sonata import assert_indexed_as_by_libsonata
from tests.graph.networks import graph_of
from tests.nir_interpreter import NEURONS, interpret, write
from tests.simulation.alike import spike_trains

SAMPLES, STEPS = 3, 10
BY_STEPS = Simulated(1.0, "subtraction", "steps", None, 1.0, None, None, STEPS, 0, 0)


def rows_first(values):
    """Move the channels, which NIR has first, to the last axis."""
    return np.moveaxis(values, 0, -1).ravel()


def spiking_graph(network, folder):
    coding = {
        p.name: "spikes" if p.neuron.is_spiking else "membrane"
        for p in network.populations
    }
    return graph_of(
        network,
        folder,
        coding=coding,
        num_samples=SAMPLES,
        num_timesteps=STEPS,
        warm_up=0,
    )


def remove_leak(nodes):
    """Replace all neurons by neurons without a leak and a gain."""
    for node in nodes.values():
        if node["type"] == "NIRGraph":
            remove_leak(node["nodes"])
        elif node["type"] in NEURONS:
            reset = {"v_reset": node["v_reset"]} if "v_reset" in node else {}
            threshold = node.get("v_threshold", node.get("threshold", 1.0))
            node.clear()
            node.update(type="IF", r=1.0, v_threshold=threshold, **reset)


# In 39, a population is read with three delays.
@pytest.mark.parametrize(
    "seed",
    [
        0,
        1,
        2,
        3,
        39,
        *(pytest.param(n, marks=pytest.mark.slow) for n in range(40, 200)),
    ],
)
@pytest.mark.parametrize(
    "simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"]
)
def test_the_graph_alone_spikes_as_the_interpreter(simulator, seed, tmp_path):
    draw, reset = np.random.default_rng(seed), ["value", "subtract"][seed % 2]
    nodes, edges = random_nir.network(draw)
    if simulator is sanafe:
        remove_leak(nodes)
    path = write(tmp_path / "net.nir", nodes, edges)
    network = read_nir(path, NirSettings(time_step=random_nir.DT, nir_reset=reset))
    x = draw.choice([0, 0, 0.5, 1, 2], (SAMPLES, STEPS, *nodes["input"]["shape"]))
    inputs = np.array([[rows_first(frame) for frame in sample] for sample in x])
    with spiking_graph(network, tmp_path) as graph:
        graph_network = exported_network(graph, BY_STEPS)
    try:
        found_simulator = simulator.build(graph_network)(inputs.swapaxes(1, 2), STEPS)
    except UsageError as error:
        pytest.skip(str(error))
    values = [interpret(nodes, edges, sample, random_nir.DT, reset) for sample in x]
    for population in (p for p in network.populations if p.neuron.is_spiking):
        spikes = spike_trains(
            found_simulator[population.name], SAMPLES, STEPS, population.size
        )
        step_values = [
            [rows_first(step[population.name]) for step in sample] for sample in values
        ]
        np.testing.assert_array_equal(spikes, step_values, population.name)


@pytest.mark.parametrize(
    ("reset", "models"),
    [("value", ["iaf_psc_delta"] * 2), ("subtract", ["eprop_iaf", "iaf_psc_delta"])],
)
def test_models_of_nest_have_the_parameters_that_sonata_states(reset, models, tmp_path):
    """The model `eprop_iaf` has no V_reset; an output that does not spike needs none of its resets."""
    nodes = {
        "input": {"type": "Input", "shape": np.array([2])},
        "one": {"type": "IF", "r": 1.0, "v_threshold": 1.0},
        "weights": {"type": "Linear", "weight": np.eye(2)},
        "two": {"type": "LI", "tau": 2.0, "r": 1.0, "v_leak": 0.0},
        "output": {"type": "Output", "shape": np.array([2])},
    }
    edges = [
        ("input", "one"),
        ("one", "weights"),
        ("weights", "two"),
        ("two", "output"),
    ]
    path = write(tmp_path / "net.nir", nodes, edges)
    with spiking_graph(
        read_nir(path, NirSettings(time_step=1.0, nir_reset=reset)), tmp_path
    ) as graph:
        export(graph, "sonata", tmp_path / "net")
    lines = (tmp_path / "net" / "node_types.csv").read_text().splitlines()[2:]
    assert [line.split("nest:")[1].split()[0] for line in lines] == models
    with h5py.File(str(tmp_path / "net" / "nodes.h5"), "r") as file:
        parameters = set(file["nodes/snn/0/dynamics_params"])
    assert parameters == {"V_th", "V_m", "E_L", "tau_m"} | (
        {"V_reset"} if reset == "value" else set()
    )


def test_two_neurons_with_two_delays_are_two_edges_in_networkx_and_one_in_hypergraphs(
    tmp_path,
):
    direct, late = (
        np.array([[1, 2, 0], [3, 0, 4.0]]),
        np.array([[5, 0, 6], [0, 7, 8.0]]),
    )
    neurons = {"type": "IF", "r": 1.0, "v_threshold": 1.0}
    nodes = {
        "input": {"type": "Input", "shape": np.array([3])},
        "one": neurons,
        "direct": {"type": "Linear", "weight": direct},
        "wait": {"type": "Delay", "delay": np.full(3, 2.0)},
        "late": {"type": "Linear", "weight": late},
        "two": neurons,
        "output": {"type": "Output", "shape": np.array([2])},
    }
    edges = [
        ("input", "one"),
        ("one", "direct"),
        ("one", "wait"),
        ("wait", "late"),
        ("direct", "two"),
        ("late", "two"),
    ]
    path = write(tmp_path / "net.nir", nodes, [*edges, ("two", "output")])
    with spiking_graph(read_nir(path, NirSettings(time_step=1.0)), tmp_path) as graph:
        made_graph, matrix = graph.to_networkx(), graph.to_scipy().toarray()
        for name in ("graphml", "hmetis", "metis", "snn", "sonata"):
            export(graph, name, tmp_path / f"net.{name}")
    assert_indexed_as_by_libsonata(tmp_path / "net.sonata" / "edges.h5", 3, 5, tmp_path)
    found_delays = {
        (s[1][0], t[1][0], v["delay"]): v["weight"]
        for s, t, v in made_graph.edges(data=True)
        if t[0] == "two"
    }
    expected_delays = {
        (s, t, 2 * i): w[t, s]
        for i, w in enumerate((direct, late))
        for t, s in zip(*np.nonzero(w))
    }
    assert found_delays == expected_delays
    assert made_graph.number_of_edges() == graph.number_of_edges()
    np.testing.assert_array_equal(
        matrix[3:6, 6:], (direct + late).T
    )  # a matrix has their sum
    again = networkx.read_graphml(str(tmp_path / "net.graphml"))
    assert sorted(v["weight"] for _, _, v in again.edges(data=True)) == sorted(
        [1, 1, 1, *expected_delays.values()]
    )
    # Without the input, which is not among the neurons that are placed.
    assert (tmp_path / "net.hmetis").read_text().splitlines()[1:5] == [
        "3 5 11",
        "1 1 4 5",
        "1 2 4 5",
        "1 3 4 5",
    ]
    lines = ["5 6 001", *["4 1 5 1"] * 3, *["1 1 2 1 3 1"] * 2]
    assert (tmp_path / "net.metis").read_text().splitlines()[1:] == lines
    words = np.fromfile(tmp_path / "net.snn", "<u4").tolist()
    assert words == [5, 3, 2, 0, 3, 4, 0, 2, 1, 3, 4, 0, 2, 2, 3, 4, 0]
