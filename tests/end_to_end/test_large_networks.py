"""The networks for ImageNet on small pictures: parsed, simulated by both engines, and counted."""

import numpy as np
import pytest

from snnb.architectures import find
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.forward.analogue import Analogue
from snnb.graph.build import build_graph
from snnb.io.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.architectures.test_networks import count, densenet, mobilenet_v2
from tests.converted import converted as converted_files

CLASSES, SAMPLES, STEPS = 7, 3, 24
# The picture, the settings, and what the closed form says of them; the network's own layers where it is None.
NETWORKS = {
    "vgg11_cifar10": ((32, 35), {"filters": (4, 6, 8, 8, 8), "units": 9}, None),
    "resnet50_imagenet": ((32, 37), {}, None),
    "mobilenet_v2_imagenet": ((32, 32), {}, mobilenet_v2(32, CLASSES)),
    "densenet121_imagenet": (
        (33, 40),
        {"blocks": (2, 1, 3, 2), "growth": 4},
        densenet((2, 1, 3, 2), 4, (33, 40), CLASSES),
    ),
}


def _with_random_statistics(model):
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.input_shape[-1]
            spread = [random.uniform(0.5, 1.5, size), random.normal(0, 0.3, size)]
            layer.set_weights([*spread, random.normal(0, 0.3, size), random.uniform(0.5, 1.5, size)])


SLOW = ("resnet50_imagenet", "mobilenet_v2_imagenet")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=(pytest.mark.slow, pytest.mark.large) if name in SLOW else ()) for name in NETWORKS
    ],
)
def converted(request, tmp_path_factory):
    """The trained model, its closed form, the parsed file, and pictures."""
    shape, settings, counted = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    model = find(request.param).build(input_shape=(*shape, 3), num_classes=CLASSES, **settings)
    _with_random_statistics(model)
    x = np.random.default_rng(1).random((12, *shape, 3)).astype(np.float32)
    options = ConversionSettings(batch_size=6)
    result = converted_files(model, folder, name="model", x_norm=x, settings=options)
    assert result.largest_difference < 1e-4
    return model, counted or count(model), folder / "model_parsed.h5", x


def test_the_graph_has_the_neurons_and_synapses_of_the_closed_form(converted, tmp_path):
    _, counted, parsed, _ = converted
    with build_graph(parsed, tmp_path / "graph.h5") as graph:
        assert (graph.number_of_neurons(), graph.number_of_edges()) == counted


def test_the_converted_network_classifies_as_the_trained_one(converted):
    model, _, parsed, x = converted
    np.testing.assert_allclose(Analogue(read_network(parsed)).outputs(x), model.predict(x), atol=1e-4)


def test_both_engines_count_the_same_spikes(converted):
    _, _, parsed, x = converted
    network, settings = read_network(parsed), SimulationSettings(samples=SAMPLES, duration=STEPS)
    engines = (TensorFlowEngine(network, settings), EventEngine(network, settings))
    one, two = (engine.simulate(x[:SAMPLES], 0, lambda *_: None).counts for engine in engines)
    *_, before_last, _ = one
    assert one[before_last].any()
    differences = np.concatenate([np.abs(one[name].astype(int) - two[name]).ravel() for name in one])
    assert differences.max() <= 1
    assert (differences > 0).mean() <= 1e-3
