"""The library in memory gives the numbers of the commands, and says what is wrong with an argument."""

import inspect
import json
import re
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import snnb
from snnb.architectures import find
from snnb.core.errors import InputError, UsageError
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.spike_counts import SpikeCounts
from tests.graph.edges import all_edges

DIGITS = find("digits_example").file
ARRAYS = """
import hashlib, sys, warnings
import numpy as np, snnb
warnings.simplefilter("ignore")
digits = snnb.load_dataset("digits")
trained = snnb.read(sys.argv[1])
network = snnb.convert(trained, digits.train.images[:200], calibrate=8, scale=16)
activity = snnb.simulate(network, digits.test.images[:60], scale=16)
mapping = snnb.map_graph(snnb.build_graph(network, activity), "spinemap_5x5")
for array in (*activity.counts.counts.values(), mapping.core, mapping.place):
    print(hashlib.sha256(np.ascontiguousarray(array)).hexdigest())
"""


ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/api.md"


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_the_example_of_the_page_prints_what_the_page_shows(
    tmp_path, monkeypatch, capsys
):
    shutil.copy(DIGITS, tmp_path / "digits_net.onnx")
    monkeypatch.chdir(tmp_path)
    program, output = re.findall(
        r"^```(?:python|text)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )[:2]
    exec(program, {})
    assert capsys.readouterr().out == output
    assert [path.name for path in tmp_path.iterdir()] == ["digits_net.onnx"]


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
@pytest.mark.parametrize("name", ["docs/python.md", "examples/in_memory.py"])
def test_programs_in_memory_write_no_file(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / name).read_text()
    if name.endswith(".md"):
        text = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[0]
    names = {}
    exec(text, names)
    assert names["activity"].accuracy > 0.95
    hops, energy = (
        line for line in capsys.readouterr().out.splitlines() if line[0] in "he"
    )
    assert float(hops.split()[-2]) <= float(energy.split()[-2])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = snnb.Run("digits_example", path=tmp_path_factory.mktemp("api") / "run")
    run.parse(calibrate=16)
    run.simulate(record_spikes=3)
    run.graph()
    run.map(hardware="loihi2", objective="step")
    return run


@pytest.fixture(scope="module")
def steps(run):
    """The same steps in memory, on the arrays of the run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", snnb.SnnbWarning)
        x_norm = np.load(run.path / "dataset/x_norm.npz")["arr_0"]
        images = np.load(run.path / "dataset/x_test.npy")
        labels = np.load(run.path / "dataset/y_test.npy")
        network = snnb.convert(snnb.read(DIGITS), x_norm, calibrate=16)
        activity = snnb.simulate(network, images, labels, scale=16, record_spikes=3)
        graph = snnb.build_graph(network, activity)
        mapping = snnb.map_graph(graph, "loihi2", objective="step", activity=activity)
    return network, activity, graph, mapping


def test_numbers_are_those_of_the_commands(run, steps):
    network, activity, graph, mapping = steps
    (folder,) = (run.path / "simulations").iterdir()
    document = json.loads((folder / "sim_accuracies.json").read_text())
    assert (
        json.loads(activity.statistics.model_dump_json(exclude_none=True)) == document
    )
    counts = SpikeCounts.read(
        folder / "spike_rate_sums.npz", network.network.volume_names, {}
    )
    for name, values in counts.counts.items():
        np.testing.assert_array_equal(activity.counts.counts[name], values)
    (path,) = (run.path / "graphs").glob("2*/*_graph.h5")
    with SynapseGraph.open(path) as written_graph:
        for found, expected in zip(all_edges(graph), all_edges(written_graph)):
            np.testing.assert_array_equal(found, expected)
    (directory,) = (run.path / "maps").iterdir()
    written_mapping = snnb.Mapping.open(directory)
    np.testing.assert_array_equal(mapping.core, written_mapping.core)
    np.testing.assert_array_equal(mapping.place, written_mapping.place)
    provenance = {"model", "graph", "seconds", "sha256"}
    found, expected = (
        json.loads(cost.model_dump_json(exclude=provenance))
        for cost in (mapping.cost, written_mapping.cost)
    )
    assert found == expected


def test_a_mapping_in_memory_is_written_as_one_that_is_read(steps, tmp_path):
    mapping = steps[3]
    mapping.write(tmp_path)
    read_mapping = snnb.Mapping.open(tmp_path)
    np.testing.assert_array_equal(read_mapping.core, mapping.core)
    assert read_mapping.cost.traffic == mapping.cost.traffic
    with pytest.raises(UsageError, match="in files already"):
        read_mapping.write(tmp_path)


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_the_layers_of_a_chip_with_a_core_for_each():
    digits = snnb.load_dataset("digits")
    network = snnb.convert(
        snnb.read(DIGITS), digits.train.images, scale=16, calibrate=16, weight_bits=8
    )
    activity = snnb.simulate(network, digits.test.images[:20], scale=16)
    mapping = snnb.map_layers(network, "speck2e", activity)
    spikes = [layer.spikes_out for layer in mapping.cost.layers[:-1]]
    first_population = network.network.populations[0].name
    counts = activity.counts.counts[first_population]
    assert spikes[0] == pytest.approx(counts.sum() / 20)
    with pytest.raises(UsageError, match="takes layers; use map_layers"):
        snnb.map_graph(snnb.build_graph(network, activity), "speck2e")
    with pytest.raises(UsageError, match="takes neurons; use map_graph"):
        snnb.map_layers(network, "loihi", activity)


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_events_and_a_spiking_network():
    data = snnb.load_dataset("digit_events")
    spec = find("spiking_digits")
    network = snnb.read(spec.file, time_step=spec.time_step)
    samples = data.test.images.part(slice(0, 50))
    labels = data.test.labels[:50]
    del data  # the part holds the file
    activity = snnb.simulate(network, samples, labels)
    assert activity.accuracy > 0.9
    assert activity.counts.coding["input"] == "spikes"


def test_equal_arguments_give_equal_results_in_two_processes():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", ARRAYS, str(DIGITS)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].split()) == 7


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_equal_arguments_give_equal_results_in_one_process(steps):
    _, activity, graph, mapping = steps
    again = snnb.map_graph(graph, "loihi2", objective="step", activity=activity)
    np.testing.assert_array_equal(again.core, mapping.core)
    np.testing.assert_array_equal(again.place, mapping.place)


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_arguments_that_do_not_fit_are_named():
    digits = snnb.load_dataset("digits")
    images, labels = digits.test
    trained = snnb.read(DIGITS)
    network = snnb.convert(trained, images[:100], scale=16)
    for call, message in (
        (lambda: snnb.convert(trained, images[:, :4]), "samples: shape"),
        (lambda: snnb.simulate(trained, images), "convert it first"),
        (lambda: snnb.simulate(network, images, labels[:5]), "labels: int64 of shape"),
        (lambda: snnb.simulate(network, images, labels + 1), "labels: 1 to 10"),
        (lambda: snnb.read(DIGITS, time_step=1), "time_step: only for a NIR file"),
        (
            lambda: snnb.simulate(network, images, scale=8, input="poisson"),
            "samples: pixels of 0 to 2",
        ),
        (
            lambda: snnb.map_graph(snnb.build_graph(network), "loihi"),
            "no spike counts",
        ),
    ):
        with pytest.raises((UsageError, InputError), match=message):
            call()


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_channels_first_is_refused_with_the_transposition():
    model = find("spiking_digits")
    network = snnb.read(model.file, time_step=model.time_step)
    images = np.zeros((5, 2, 12, 12), np.float32)
    with pytest.raises(InputError, match=r"transpose\(0, 2, 3, 1\)"):
        snnb.simulate(network, images)


def test_small_bytes_are_warned_about():
    images = snnb.load_dataset("digits").train.images[:100]
    trained = snnb.read(DIGITS)
    with pytest.warns(snnb.SnnbWarning, match="give scale=16") as record:
        snnb.convert(trained, images)
    assert {warning.filename for warning in record} == {__file__}


def test_options_are_documented_with_their_defaults():
    signature = inspect.signature(snnb.simulate)
    assert signature.parameters["duration"].default is not inspect.Parameter.empty
    assert "samples" in signature.parameters
    assert "record_spikes : int, default: 0" in snnb.simulate.__doc__
    assert snnb.simulate.__doc__.index("record_spikes") < snnb.simulate.__doc__.index(
        "Returns\n"
    )


@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_a_keras_model_in_memory_is_the_one_in_its_file(tmp_path):
    from snnb.model_files.keras import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1)),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    trained = snnb.from_keras(model)
    kernels = [
        layer.weights["kernel"] for layer in trained.layers if "kernel" in layer.weights
    ]
    for found, expected in zip(kernels, model.get_weights()[::2]):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.filterwarnings("ignore::snnb.SnnbWarning")
def test_a_torch_module_has_its_outputs(dynamo):
    import torch

    from snnb.forward.analogue import Analogue

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(2, 4, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(4)
            self.second = torch.nn.Conv2d(4, 4, 3, padding=1)
            self.pool = torch.nn.AvgPool2d(2)
            self.dense = torch.nn.Linear(64, 3)

        def forward(self, x):
            x = torch.relu(self.norm(self.first(x)))
            x = self.pool(torch.relu(self.second(x) + x))
            return self.dense(torch.flatten(x, 1))

    torch.manual_seed(0)
    module = Block()
    images = torch.rand(5, 2, 8, 8)
    trained = snnb.from_torch(module, images[:1], dynamo=dynamo)
    assert module.training
    with torch.no_grad():
        expected = torch.softmax(module.eval()(images), 1).numpy()
    found = Analogue(trained).outputs(images.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)
