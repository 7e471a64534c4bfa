"""A NIR file on data sets of events: prepared, simulated, and counted as an interpreter of the file counts."""

import json

import numpy as np
import pytest

from snnb.architectures import find
from snnb.network.event_samples import EventSamples
from tests.nir_interpreter import Interpreter, read, write

RANDOM = np.random.default_rng(8)
INTEGRATE = {
    "type": "IF",
    "r": np.ones(1),
    "v_threshold": np.ones(1),
    "v_reset": np.zeros(1),
}
NODES = {
    "input": {"type": "Input", "shape": np.array([2, 12, 12])},
    "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1},
    "first": {"type": "Linear", "weight": RANDOM.integers(-2, 5, (16, 288)) / 8},
    "hidden": {
        name: np.repeat(value, 16) if name != "type" else value
        for name, value in INTEGRATE.items()
    },
    "second": {"type": "Linear", "weight": RANDOM.integers(-2, 4, (10, 16)) / 8},
    "out": {
        name: np.repeat(value, 10) if name != "type" else value
        for name, value in INTEGRATE.items()
    },
    "output": {"type": "Output", "shape": np.array([10])},
}
SECTIONS = [
    "training",
    "network",
    "input",
    "accuracy",
    "confusion",
    "rates",
    "provenance",
]
EDGES = list(zip(NODES, list(NODES)[1:]))


@pytest.fixture
def call(tmp_path, monkeypatch, snnb):
    """Return a function that runs a command with the run's file and data set."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "net.nir", NODES, EDGES)

    def call(command, options="", dataset="digit_events", code=0):
        return snnb(
            f"{command} --model net.nir --dataset {dataset} --run-dir run {options}",
            code=code,
        )

    return call


def sums(directory):
    with np.load(directory / "spike_rate_sums.npz") as found_arrays:
        return {name: found_arrays[name] for name in found_arrays.files}


def test_the_network_of_the_package_runs_without_options(tmp_path, monkeypatch, snnb):
    monkeypatch.chdir(tmp_path)
    ran = snnb("run --model spiking_digits --limit 20 --json").stdout
    stages = {stage["stage"]: stage for stage in json.loads(ran)["stages"]}
    spec = find("spiking_digits")
    interpretation = {
        name: np.zeros(len(node["tau"]))
        for name, node in read(spec.file)[0].items()
        if "tau" in node
    }
    samples = EventSamples(tmp_path / "runs/spiking_digits/dataset/x_test.h5")
    guesses = []
    for sample in (
        samples[:20].frames(0, int(samples.lengths.max())).transpose(0, 1, 4, 2, 3)
    ):
        interpreter = Interpreter(*read(spec.file), dt=1e-3)
        steps = [interpreter.step(x) for x in sample]
        for name, total in interpretation.items():
            total += sum(step[name] for step in steps)
        guesses.append(sum(step["out"] for step in steps).argmax())
    found_sums = sums(tmp_path / stages["simulate"]["directory"])
    for name, total in interpretation.items():
        np.testing.assert_array_equal(found_sums[name], total)
    right = np.mean(
        guesses == np.load(tmp_path / "runs/spiking_digits/dataset/y_test.npy")
    )
    assert stages["simulate"]["details"]["summary"]["snn_accuracy"] == right > 0.8
    assert (
        stages["graph"]["details"]["neurons"],
        stages["graph"]["details"]["synapses"],
    ) == (106, spec.synapses)
    snnb("map runs/spiking_digits --hardware loihi --method sequential --json")


def test_another_bin_changes_the_duration_and_a_shorter_one_cuts(call, tmp_path):
    def simulate_bins(options, bin_us=1000):
        call("prepare", f"--limit 5 --bin-us {bin_us}")
        stage = json.loads(call("simulate", f"--json {options}").stdout)["stages"][-1]
        return stage["params"]["duration"], sums(tmp_path / stage["directory"])[
            "input"
        ].sum()

    steps, events = simulate_bins("")
    fewer, _ = simulate_bins("", 4000)
    assert fewer == pytest.approx(steps / 4, abs=1)
    cut, rest = simulate_bins("--duration 10")
    assert cut == 10
    assert 0 < rest < events
    assert simulate_bins("") == (steps, events)
    refusal = call("simulate", "--input poisson", code=2).stderr
    assert "--input poisson: the test set has events; use --input events" in refusal


def test_spikes_of_each_step_are_counted_on_a_chip_and_currents_are_not(call, tmp_path):
    x = RANDOM.choice([0, 0, 0, 1], (3, 8, 12, 12, 2))
    np.save(tmp_path / "y_test.npy", np.array([0, 4, 9]))
    leaving = {"input": np.count_nonzero(NODES["first"]["weight"], axis=0).reshape(2, 12, 12).transpose(1, 2, 0),
               "hidden": np.count_nonzero(NODES["second"]["weight"], axis=0)}  # fmt: skip

    def map_recording(dtype, options=""):
        """Return the effective input, the synaptic events of a sample on a chip, those expected, and the messages."""
        np.save(tmp_path / "x_test.npy", x.astype(dtype))
        simulated_stage = json.loads(
            call("simulate", f"--json {options}", f"steps:{tmp_path}").stdout
        )["stages"][-1]
        found_sums = sums(tmp_path / simulated_stage["directory"])
        np.testing.assert_array_equal(found_sums["input"], x.sum(axis=(0, 1)))
        output = call(
            "map", "--hardware loihi --method sequential --json", f"steps:{tmp_path}"
        )
        directory = tmp_path / json.loads(output.stdout)["stages"][-1]["directory"]
        cost = json.loads((directory / "cost.json").read_text())
        expected_figures = {
            name: (found_sums[name] * number).sum() / 3
            for name, number in leaving.items()
        }
        return (
            simulated_stage["params"]["input"],
            cost["events"]["synapse"],
            expected_figures,
            output.stderr,
        )

    coding, events, expected_messages, err = map_recording(np.uint8)
    assert (coding, "sends currents" in err) == ("events", False)
    spikes_sent = x.sum(axis=(0, 1))[leaving["input"] > 0].sum() / 3  # to the only core
    assert (
        f"input: {spikes_sent:.4g} spikes per sample to cores, which connectivity, hops and"
        in err
    )
    assert events == pytest.approx(sum(expected_messages.values()))
    refusal = call("simulate", "--input steps", f"steps:{tmp_path}", code=2).stderr
    assert "the test set has numbers of spikes; use --input events" in refusal
    coding, events, _, err = map_recording(np.float32)
    assert (coding, events) == ("steps", pytest.approx(expected_messages["hidden"]))
    assert (
        f"input sends currents: the cost excludes {leaving['input'].sum():,} of" in err
    )
    assert "spikes per sample to cores" not in err
    assert map_recording(np.float32, "--input events")[:2] == (
        "events",
        pytest.approx(sum(expected_messages.values())),
    )
    assert map_recording(np.float32)[0] == "steps"
    np.save(tmp_path / "x_test.npy", x.astype(np.float32) / 2)
    refusal = call("simulate", "--input events", f"steps:{tmp_path}", code=2).stderr
    assert (
        "the test set has currents that are not numbers of spikes; use --input steps"
        in refusal
    )


def test_the_page_and_the_comparison_have_no_analogue_accuracy(call, tmp_path, snnb):
    x = RANDOM.choice([0, 0, 0, 1], (4, 8, 12, 12, 2)).astype(np.float32)
    np.save(tmp_path / "x_test.npy", x)
    np.save(
        tmp_path / "y_test.npy", np.array([0, 1, 1, 0])
    )  # of ten output neurons, eight have no class
    call("simulate", "", f"steps:{tmp_path}")
    snnb("report", "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert [name for name in SECTIONS if f'id="{name}"' in page] == SECTIONS
    for absent in ('id="activations"', "ANN", "analogue network"):
        assert absent not in page
    first_samples = EventSamples(tmp_path / "run/dataset/x_test.h5")[:1]
    assert (
        f"{np.count_nonzero(first_samples.frames(0, 8)):,} entries other than 0 in 8 time steps"
        in page
    )
    call("simulate", "--duration 4", f"steps:{tmp_path}")
    snnb("report", "run")
    entries = np.count_nonzero(first_samples.frames(0, 4))
    assert (
        f"{entries:,} entries other than 0 in 4 time steps"
        in (tmp_path / "run" / "report.html").read_text()
    )
    comparison = snnb("compare run --figure figure.png").stdout
    assert "ANN" not in comparison
    assert "SNN accuracy" in comparison
    assert "ANN" not in snnb("sweep run --grid duration=4,8 --samples 2").stdout
    assert (tmp_path / "run" / "sweep.png").exists()
