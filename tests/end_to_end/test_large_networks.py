"""The networks for ImageNet on small pictures: parsed, verified against Keras, and counted. All models at full size."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from snnb.architectures import find, names
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.graph.build import build_graph
from snnb.model_files.keras import keras
from snnb.network.read_network import read_network
from tests.architectures.test_networks import count, densenet, mobilenet_v2
from tests.converted import convert_files as converted_files

CLASSES = 7
MEMORY = 12 * 2**30
# By path: an installed package is called `benchmarks` too.
measure = runpy.run_path(
    str(Path(__file__).parents[2] / "benchmarks" / "model_matrix.py")
)["measure"]
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


SLOW = ("resnet50_imagenet", "mobilenet_v2_imagenet")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            name, marks=(pytest.mark.slow, pytest.mark.large) if name in SLOW else ()
        )
        for name in NETWORKS
    ],
)
def converted_case(request, tmp_path_factory):
    """The closed form of a model, and its parsed file."""
    shape, settings, counted_network = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    model = find(request.param).build(
        input_shape=(*shape, 3), num_classes=CLASSES, **settings
    )
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.input_shape[-1]
            spread = [random.uniform(0.5, 1.5, size), random.normal(0, 0.3, size)]
            layer.set_weights(
                [*spread, random.normal(0, 0.3, size), random.uniform(0.5, 1.5, size)]
            )
    x = np.random.default_rng(1).random((12, *shape, 3)).astype(np.float32)
    options = ConversionSettings(batch_size=6)
    result = converted_files(model, folder, name="model", x_norm=x, settings=options)
    assert result.largest_difference < 1e-4
    return counted_network or count(model), folder / "model_parsed.h5"


def test_the_graph_has_the_neurons_and_synapses_of_the_closed_form(
    converted_case, tmp_path
):
    counts, parsed_path = converted_case
    with build_graph(read_network(parsed_path)) as graph:
        assert (graph.number_of_neurons(), graph.number_of_edges()) == counts


@pytest.mark.large
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(names(trained=False), key=lambda name: find(name).synapses)
)
def test_every_model_goes_through_all_stages_at_full_size(name, tmp_path):
    spec, measured_measure = find(name), measure(name, tmp_path)
    assert (measured_measure["neurons"], measured_measure["synapses"]) == (
        spec.neurons,
        spec.synapses,
    )
    assert (
        max(cost["peak_rss_bytes"] for cost in measured_measure["stages"].values())
        < MEMORY
    )
