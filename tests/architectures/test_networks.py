"""Each spec against the network it describes, counted here layer by layer with nothing but Keras and closed forms."""

import numpy as np
import pytest

from snnb.architectures import find, names
from snnb.errors import UsageError

IMAGENET = [name for name in names() if find(name).spec.dataset == "imagenet"]
REARRANGING = ("InputLayer", "Flatten", "Concatenate", "Dropout", "BatchNormalization", "Activation")


def build(name):
    spec = find(name).spec
    return find(name).build(input_shape=spec.input_shape, num_classes=spec.num_classes)


def taps(length, size, stride, padding):
    """Kernel positions along one axis that fall inside the input, summed over all outputs: walked one by one."""
    if padding == "valid":
        outputs, before = (length - size) // stride + 1, 0
    else:
        outputs = -(-length // stride)
        before = max((outputs - 1) * stride + size - length, 0) // 2
    starts = [output * stride - before for output in range(outputs)]
    return sum(1 for start in starts for tap in range(start, start + size) if 0 <= tap < length)


def before(layer):
    nodes = layer.inbound_nodes[0].inbound_layers
    return nodes if isinstance(nodes, list) else [nodes]


def following(layer):
    return layer.outbound_nodes[0].outbound_layer


def is_normalised(layer):
    return type(layer).__name__ == "BatchNormalization"


def is_term(layer):
    """Whether it is added to something else, so that the sum has the neurons."""
    after = [node.outbound_layer for node in layer.outbound_nodes]
    return len(after) == 1 and is_normalised(after[0]) and type(following(after[0])).__name__ == "Add"


def count(model):
    """Neurons and synapses of a Keras model."""
    neurons = synapses = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in REARRANGING:
            continue
        if kind == "Add":  # a term without weights is a connection from one neuron to one
            neurons += int(np.prod(layer.output_shape[1:]))
            synapses += sum(int(np.prod(layer.output_shape[1:])) for term in before(layer) if not is_normalised(term))
            continue
        shape, output = layer.input_shape[1:], layer.output_shape[1:]
        neurons += 0 if is_term(layer) else int(np.prod(output))
        if kind == "Dense":
            synapses += shape[0] * output[0]
        elif kind == "GlobalAveragePooling2D":
            synapses += int(np.prod(shape))
        else:
            size = layer.kernel_size if "Conv2D" in kind else layer.pool_size
            positions = [taps(shape[axis], size[axis], layer.strides[axis], layer.padding) for axis in (0, 1)]
            channels = shape[2] * output[2] if kind == "Conv2D" else shape[2]
            synapses += positions[0] * positions[1] * channels
    return neurons, synapses


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_taps_are_those_that_keras_computes_with(size, stride, padding):
    from tensorflow.keras.layers import Conv2D

    for length in (5, 6, 11):
        ones = np.ones((1, length, 1, 1), np.float32)
        layer = Conv2D(1, (size, 1), strides=(stride, 1), padding=padding, kernel_initializer="ones")
        assert taps(length, size, stride, padding) == layer(ones).numpy().sum()


@pytest.mark.parametrize("name", [name for name in names() if name not in IMAGENET])
def test_spec_states_the_neurons_and_synapses_of_the_network(name):
    spec = find(name).spec
    model = build(name)
    assert (spec.neurons, spec.synapses) == count(model)
    assert model.name == spec.name
    assert model.input_shape[1:] == spec.input_shape
    assert model.output_shape[1] == (spec.num_classes or np.prod(spec.input_shape))


@pytest.mark.parametrize("name", [name for name in names() if name not in IMAGENET])
def test_pictures_that_are_too_small_are_refused_in_one_line(name):
    spec = find(name).spec
    for side in (1, 2, 3, 5, 8):
        shape = (side, side, spec.input_shape[2])
        try:
            find(name).build(input_shape=shape, num_classes=spec.num_classes)
        except UsageError as error:
            assert f"{name} cannot be built for pictures of {side}×{side}×" in str(error)  # noqa: PT017
        else:
            assert name in ("autoencoder_mnist", "mlp_mnist", "resnet20_cifar10") or side >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGENET)
def test_spec_states_the_neurons_and_synapses_of_a_large_network(name):
    test_spec_states_the_neurons_and_synapses_of_the_network(name)
