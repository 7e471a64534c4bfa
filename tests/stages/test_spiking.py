"""A NIR file as the model of a run: it is recorded, and read with its options."""

import csv
import json
import shutil

import h5py
import numpy as np
import pytest

from snnb.cli.main import main
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.network import DROPPED
from snnb.network.read_network import read_network
from tests.model_files.conftest import DIGITS_NET
from tests.nir_interpreter import Interpreter, write

PIXELS = {"type": "Input", "shape": np.array([1, 8, 8])}
CONV = {"type": "Conv2d", "weight": np.ones((4, 1, 3, 3)), "bias": np.zeros(4), "stride": 2, "padding": "same",
        "dilation": 1, "groups": 1}  # fmt: skip
CUBA = {
    "type": "CubaLIF",
    "tau_syn": 4e-3,
    "tau_mem": 2e-2,
    "r": 1.0,
    "v_leak": 0.0,
    "v_threshold": 1.0,
}
MATRIX = {"type": "Linear", "weight": np.eye(10, 64)}
LI = {"type": "LI", "tau": np.linspace(0.01, 0.1, 10), "r": 1.0, "v_leak": 0.0}
NODES = {"input": PIXELS, "conv": CONV, "cuba": CUBA, "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1},
         "matrix": MATRIX, "li": LI, "output": {"type": "Output", "shape": np.array([10])}}  # fmt: skip
EDGES = list(zip(NODES, list(NODES)[1:]))
FILE, RUN = "net.nir", "--run-dir run"


@pytest.fixture
def parse(tmp_path, monkeypatch, snnb):
    """Return a function that calls `snnb parse` in a folder with the file."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / FILE, NODES, EDGES)

    return lambda options: snnb(
        f"parse --model {FILE} --dataset digits {RUN} {options}"
    )


def test_the_file_is_recorded_and_read(parse, tmp_path):
    stage = json.loads(
        parse("--time-step 1e-3 --integration exponential --json").stdout
    )["stages"][-1]
    factors = {"potential": [np.exp(-1 / 20)] * 2, "current": [np.exp(-1 / 4)] * 2}
    assert (stage["details"]["neurons"], stage["details"]["synapses"]) == (
        74,
        4 * 11**2 + 10,
    )
    assert {
        name: pytest.approx(values)
        for name, values in stage["details"]["decay_factors"]["cuba"].items()
    } == factors
    assert stage["details"]["decay_factors"]["li"] == {
        "potential": pytest.approx([np.exp(-0.1), np.exp(-0.01)])
    }
    assert (tmp_path / "run/train/net.nir").read_bytes() == (
        tmp_path / FILE
    ).read_bytes()
    network = read_network(tmp_path / "run/parse/net_parsed.h5")
    assert [p.name for p in network.populations] == ["cuba", "li"]
    assert network.zeros == DROPPED
    steps = "--time-step 1e-3 --integration exponential"
    printed_result = parse(f"{steps} --nir-reset subtract")
    assert (
        "decay factor of cuba  potential 0.951229             current 0.778801\n"
        in printed_result.stdout
    )
    assert (
        "decay factor of li    potential 0.904837 to 0.99005\n" in printed_result.stdout
    )
    assert "(nir_reset: value → subtract)" in printed_result.stderr
    assert (
        read_network(tmp_path / "run/parse/net_parsed.h5")
        .populations[0]
        .neuron.reset_potential
        is None
    )


def test_it_is_simulated_and_its_graph_has_the_same_synapses(parse, tmp_path, snnb):
    parse("--time-step 2e-3")
    output = snnb(f"simulate {RUN} --samples 3 --duration 40").stdout
    snnb(f"graph {RUN}")
    (simulation,) = (tmp_path / "run/simulations").iterdir()
    said = json.loads((simulation / "sim_accuracies.json").read_text())
    energy, additions = (
        said["energy_45nm_pj"] / 1000,
        said["synaptic_operations_per_sample"],
    )
    multiplied_sample = said["input_multiply_accumulates_per_sample"]
    operations = (
        f"{additions:,.0f} additions and {multiplied_sample:,} MACs of the input"
    )
    assert f"\n  per sample: {operations}, {energy:#.4g} nJ\n" in output
    assert "energy_45nm_ann_pj" not in said
    log = (simulation / "log.txt").read_text(encoding="utf-8")
    assert ("analogue" in log, "synapses: 494" in log) == (False, True)
    counted_sums = np.load(simulation / "spike_rate_sums.npz")
    assert not (
        simulation / "config"
    ).exists()  # of the toolbox, which cannot simulate it
    x = np.load(tmp_path / "run/dataset/x_test.npy")[:3]
    spikes = 0
    for picture in x:
        interpreter = Interpreter(NODES, EDGES, dt=2e-3)
        spikes += sum(
            interpreter.step(picture.transpose(2, 0, 1) / 16)["cuba"] for _ in range(40)
        )
    np.testing.assert_array_equal(counted_sums["cuba"], spikes.transpose(1, 2, 0))
    assert spikes.any()
    (graph,) = (tmp_path / "run/graphs").iterdir()
    with SynapseGraph.open(graph / "net_graph.h5") as found_graph:
        assert found_graph.number_of_edges() == 4 * 11**2 + 10
        carried_spikes = spikes.ravel()[:10].sum() / (3 * 40 * 2e-3)
        assert carried_spikes > 0
        assert found_graph.summary()[-1].spikes_per_second == pytest.approx(
            carried_spikes
        )


def test_a_test_set_is_enough_until_a_network_is_trained_or_converted(
    parse, tmp_path, snnb
):
    (tmp_path / "own").mkdir()
    x, y = (
        np.random.default_rng(3).integers(0, 256, (12, 8, 8), dtype=np.uint8),
        np.arange(12) % 10,
    )
    for name, array in (("x_test", x), ("y_test", y)):
        np.save(tmp_path / f"own/{name}.npy", array)

    def run(command, model, options="", code=0):
        return snnb(
            f"{command} --model {model} --dataset arrays:own --run-dir {model}_run "
            f"{options}",
            code=code,
        ).stderr.splitlines()[-1]

    run("parse", FILE, "--time-step 2e-3")
    run("simulate", FILE, "--duration 40")
    shutil.copy(DIGITS_NET, "net.onnx")
    run("train", "net.onnx")
    for command, model, needs in (
        ("parse", "net.onnx", "the conversion (normalisation, calibration) needs"),
        ("train", "mini_network", "training the network needs"),
    ):
        missing_text = (
            f"{needs} training images, and arrays:{tmp_path}/own has none: "
            "add them (x_train, y_train, x_test"
        )
        assert run(command, model, code=3).startswith(f"snnb: {missing_text}")
    for name, array in (("x_train", x), ("y_train", y % 10)):
        np.save(tmp_path / f"own/{name}.npy", array)
    run("parse", "net.onnx")


def test_the_description_states_the_poisson_rate_in_hz_at_the_time_step_of_the_file(
    parse, tmp_path, snnb
):
    parse("--time-step 1e-4")
    snnb(f"simulate {RUN} --samples 3 --duration 200 --input poisson --input-rate 500")
    snnb(f"export {RUN} --format csv --output edges.csv --rate-unit hz")
    simulation = json.loads((tmp_path / "edges.csv.json").read_text())["simulation"]
    (counts,) = (tmp_path / "run/simulations").glob("*/spike_rate_sums.npz")
    pixels = np.load(tmp_path / "run/dataset/x_test.npy")[:3] / 16
    spikes_per_second = np.load(counts)["input"].sum() / (200 * 1e-4)
    assert simulation["input_rate_hz"] == pytest.approx(
        spikes_per_second / pixels.sum(), rel=0.05
    )


def test_euler_decay_of_a_short_time_constant_is_reported(parse):
    said = parse("--time-step 5e-3").stderr
    assert "cuba: --time-step is longer than a time constant" in said
    assert "--nir-reset subtract" in said  # NIR cannot express it


@pytest.mark.parametrize(
    ("threshold", "shown_text"),
    [(-1.0, "-1"), (0.0, "0"), (np.linspace(0.5, -0.5, 64), "-0.5")],
)
def test_a_threshold_not_above_zero_is_reported(parse, tmp_path, threshold, shown_text):
    values = threshold if np.ndim(threshold) == 0 else threshold.reshape(4, 4, 4)
    write(tmp_path / FILE, {**NODES, "cuba": {**CUBA, "v_threshold": values}}, EDGES)
    said = parse("--time-step 1e-3").stderr
    assert f"parse: cuba: a threshold of {shown_text} is not above 0" in said
    assert "li: a threshold" not in said  # it does not spike
    write(tmp_path / FILE, NODES, EDGES)
    assert "a threshold of" not in parse("--time-step 1e-3 --force").stderr


def parse_steps(folder, nodes, edges, x, options=""):
    """Convert a network, given as nodes and edges, on inputs of each step, with labels 0, 1, 0."""
    write(folder / FILE, nodes, edges)
    (folder / "steps").mkdir()
    for part in ("train", "test"):
        np.save(folder / f"steps/x_{part}.npy", x.astype(np.float32))
        np.save(folder / f"steps/y_{part}.npy", np.array([0, 1, 0]))
    assert (
        main(f"parse --model {FILE} --dataset steps:steps {RUN} {options}".split()) == 0
    )


def recurrent(random):
    """Nodes and edges of a network with a cycle of its own and one of two populations, whose spikes are not trivial."""

    def matrix(kind, rows, columns, **more):
        return {
            "type": kind,
            "weight": random.integers(-4, 8, (rows, columns)) / 8,
            **more,
        }

    lif = {
        "type": "LIF",
        "tau": np.linspace(2e-3, 5e-3, 8),
        "r": 1.5,
        "v_leak": 0.25,
        "v_threshold": 0.5,
    }
    nodes = {
        "input": {"type": "Input", "shape": np.array([6])},
        "w": matrix("Affine", 8, 6, bias=random.integers(0, 4, 8) / 8),
        "lif": lif,
        "own": matrix("Affine", 8, 8, bias=random.integers(-4, 4, 8) / 8),
        "up": matrix("Linear", 4, 8),
        "cuba": {
            **CUBA,
            "tau_mem": np.full(4, 5e-3),
            "v_threshold": 0.25,
            "v_reset": -0.125,
        },
        "back": matrix("Linear", 8, 4),
        "late": {"type": "Delay", "delay": np.full(8, 3e-3)},
        "down": matrix("Linear", 2, 8),
        "readout": matrix("Linear", 2, 4),
        "out": {"type": "IF", "r": 1.0, "v_threshold": 1.0},
        "output": {"type": "Output", "shape": np.array([2])},
    }
    paths = [
        "input w lif own lif",
        "lif up cuba back lif",
        "cuba readout out output",
        "lif late down out",
    ]
    return nodes, [
        edge for path in paths for edge in zip(path.split(), path.split()[1:])
    ]


@pytest.fixture
def recurrent_run(tmp_path, monkeypatch):
    """Return nodes, edges and input of a recurrent network, whose graph is in the directory `run`."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(5)
    nodes, edges = recurrent(random)
    x = random.integers(0, 5, (3, 40, 6)).astype(np.float32) / 8
    parse_steps(tmp_path, nodes, edges, x, "--time-step 1e-3")
    assert main(f"graph {RUN}".split()) == 0
    return nodes, edges, x


def test_the_graph_has_cycles_delays_and_the_numbers_of_neurons(
    recurrent_run, tmp_path
):
    nodes, edges, x = recurrent_run
    (path,) = (tmp_path / "run/graphs").glob("*/net_graph.h5")
    with SynapseGraph.open(path) as graph:
        found_edges = {
            (p.source.name, p.target.name, p.delay): p.to_scipy().toarray().T
            for p in graph.projections
        }
        expected_edges = {("input", "lif", 0): "w", ("lif", "lif", 1): "own", ("cuba", "lif", 1): "back",
                    ("lif", "cuba", 0): "up", ("cuba", "out", 0): "readout", ("lif", "out", 3): "down"}  # fmt: skip
        assert sorted(found_edges) == sorted(expected_edges)
        for key, node in expected_edges.items():
            np.testing.assert_array_equal(found_edges[key], nodes[node]["weight"])
        lif, cuba, out = graph.layers
        np.testing.assert_allclose(
            lif.neuron.decay_factor, 1 - 1e-3 / nodes["lif"]["tau"]
        )
        np.testing.assert_array_equal(lif.later_bias, nodes["own"]["bias"])
        assert cuba.neuron.reset_potential == -0.125
        assert (out.neuron.current_decay_factor, out.later_bias) == (None, None)
        spikes = {p.name: 0 for p in graph.layers}
        for sample in x:
            interpreter = Interpreter(nodes, edges, dt=1e-3)
            for frame in sample:
                values = interpreter.step(frame)
                spikes = {name: total + values[name] for name, total in spikes.items()}
        for population in graph.layers:
            np.testing.assert_array_equal(
                population.spike_count, spikes[population.name]
            )
        assert all(total.any() for total in spikes.values())
    assert main(f"export {RUN} --format csv --output edges.csv".split()) == 0
    with (tmp_path / "edges.csv.nodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["leak"]) for row in rows[6:14]] == lif.neuron.numbers(lif.shape)[
        "leak"
    ].tolist()
    assert [row["reset"] for row in rows[14:18]] == ["-0.125"] * 4
    assert rows[0]["threshold"] == ""
    assert main(f"map {RUN} --hardware loihi --method sequential".split()) == 0


def test_the_exported_graph_alone_gives_the_spikes_of_the_simulation(
    recurrent_run, snnb
):
    compared_populations = json.loads(
        snnb(f"crosscheck {RUN} --with scipy --json").stdout
    )["populations"]
    assert [population["population"] for population in compared_populations] == [
        "lif",
        "cuba",
        "out",
    ]
    assert all(
        population["spikes"] and not population["differing"]
        for population in compared_populations
    )
    document = json.loads(
        snnb(f"crosscheck {RUN} --with scipy --samples 2 --json").stdout
    )
    assert document["recorded"]
    assert not any(population["differing"] for population in document["populations"])


def test_a_format_refuses_the_number_that_it_cannot_state(recurrent_run, snnb):
    for format, named_number in (
        ("sonata", "lif: later_bias"),
        ("sanafe", "lif: later_bias"),
        ("pynn", "several populations of a cycle"),
    ):
        assert (
            named_number
            in snnb(f"export {RUN} --format {format} --output graph", code=2).stderr
        )
    snnb(f"crosscheck {RUN} --with brian2", code=2)


def test_an_exported_nir_file_gives_the_same_spikes(recurrent_run, tmp_path, snnb):
    nodes, edges, _ = recurrent_run
    nodes["cuba"]["v_reset"] = np.zeros(
        4
    )  # older versions of the library nir have no other
    write(tmp_path / "zero.nir", nodes, edges)
    for file, run, dt in ("zero.nir", "zero", 1e-3), ("again.nir", "again", 1):
        snnb(
            f"parse --model {file} --dataset steps:steps --run-dir {run} --time-step {dt} --nir-reset subtract"
        )
        snnb(f"simulate --run-dir {run}")
        if run == "zero":
            said = snnb(
                f"export --run-dir {run} --format nir --output again.nir"
            ).stderr
            assert "read the file with --nir-reset subtract --time-step 1" in said
    counts = [
        np.load(next((tmp_path / run / "simulations").glob("*/spike_rate_sums.npz")))
        for run in ("zero", "again")
    ]
    for name in ("lif", "cuba", "out"):
        (again,) = (key for key in counts[1] if key.endswith(f"_{name}"))
        assert counts[0][name].any()
        np.testing.assert_array_equal(counts[1][again], counts[0][name])


@pytest.fixture
def whole_numbers(tmp_path, monkeypatch):
    """Parse a network of int64 parameters, and one float32 threshold, which float32 cannot hold; return its steps."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(11)
    weights, x = random.integers(-1, 4, (8, 6)), random.integers(0, 2, (3, 30, 6))
    thresholds, resets = np.resize([3, 4, 5], 8), np.resize([-1, 0, 1], 8)
    neurons = {
        "type": "IF",
        "r": np.ones(8, np.int64),
        "v_threshold": thresholds,
        "v_reset": resets,
    }
    nodes = {
        "input": {"type": "Input", "shape": np.array([6])},
        "w": {"type": "Linear", "weight": weights},
        "hidden": neurons,
        "down": {
            "type": "Linear",
            "weight": np.float32(random.integers(0, 2, (2, 8)) / 4),
        },
        "out": {"type": "IF", "r": 1.0, "v_threshold": np.float32(0.7)},
        "output": {"type": "Output", "shape": np.array([2])},
    }
    parse_steps(tmp_path, nodes, list(zip(nodes, list(nodes)[1:])), x)
    ties = 0
    spikes = np.zeros((3, 8), np.int64)
    v = np.zeros((3, 8), np.int64)
    for step in range(30):
        v = v + x[:, step] @ weights.T
        ties += int((v == thresholds).sum())
        spikes += v > thresholds
        v = np.where(v > thresholds, resets, v)
    return spikes.sum(axis=0), ties / (3 * 30 * (8 + 2))


@pytest.mark.parametrize("engine", ["event", "tensorflow"])
def test_potentials_that_equal_the_threshold_are_counted(
    whole_numbers, tmp_path, snnb, engine
):
    spikes, share = whole_numbers
    assert share > 0.01
    output = snnb(f"simulate {RUN} --engine {engine} --warm-up 5").stderr
    (simulation,) = (tmp_path / "run/simulations").iterdir()
    assert json.loads((simulation / "sim_accuracies.json").read_text())[
        "tie_share"
    ] == pytest.approx(share)
    assert (
        f"{share:.2%} of the membrane potentials equal the threshold exactly" in output
    )
    assert main(f"simulate {RUN} --engine {engine} --warm-up 0".split()) == 0
    (_, latest) = sorted((tmp_path / "run/simulations").iterdir())
    np.testing.assert_array_equal(
        np.load(latest / "spike_rate_sums.npz")["hidden"], spikes
    )


def test_its_neurons_stand_where_options_of_a_conversion_would(whole_numbers, tmp_path):
    assert main(f"simulate {RUN}".split()) == 0
    assert main(f"graph {RUN}".split()) == 0
    assert main(f"report {RUN}".split()) == 0
    (log,) = (tmp_path / "run/simulations").glob("*/log.txt")
    text, page = log.read_text(), (tmp_path / "run/report.html").read_text()
    assert "hidden 8: 8 neurons, threshold 3 to 5, reset to -1 to 1" in text
    assert "out 2: 2 neurons, threshold 0.7, reset to 0" in text
    assert "weights are those of the trained spiking network" in page
    assert "weights are relative to the threshold" not in page
    with h5py.File(log.with_name("net_INI.h5"), "r") as file:
        assert not {"threshold", "reset", "initial_potential"} & set(file.attrs)
    for word in ("threshold=", "reset=subtraction", "initial_potential"):
        assert word not in text
    for name in ("initial_potential", "percentile", "output"):
        assert f"<td>{name}</td>" not in page
    assert "<td>nir_reset</td>" in page
