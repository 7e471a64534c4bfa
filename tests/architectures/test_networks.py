"""Each spec against the network it describes, counted here layer by layer with nothing but Keras and closed forms."""

import numpy as np
import pytest

from snnb.architectures import find, names
from snnb.core.errors import UsageError
from snnb.model_files.keras import keras

IMAGENET = [name for name in names() if find(name).dataset == "imagenet"]
REARRANGING = (
    "InputLayer",
    "Flatten",
    "Concatenate",
    "Dropout",
    "BatchNormalization",
    "Activation",
    "ZeroPadding2D",
)
# Of which single layers are not neurons: counted from their publications' tables instead.
COMPOSED = ("densenet121_imagenet", "mobilenet_v2_imagenet")


def build(name):
    spec = find(name)
    return find(name).build(input_shape=spec.input_shape, num_classes=spec.num_classes)


def taps(length, size, stride, padding):
    """Kernel positions along one axis that fall inside the input, summed over all outputs: walked one by one."""
    if padding == "valid":
        padding = (0, 0)
    if padding != "same":
        outputs, before = (length + sum(padding) - size) // stride + 1, padding[0]
    else:
        outputs = -(-length // stride)
        before = max((outputs - 1) * stride + size - length, 0) // 2
    starts = [output * stride - before for output in range(outputs)]
    return sum(
        1 for start in starts for tap in range(start, start + size) if 0 <= tap < length
    )


def before(layer):
    nodes = layer.inbound_nodes[0].inbound_layers
    return nodes if isinstance(nodes, list) else [nodes]


def is_normalised(layer):
    return type(layer).__name__ == "BatchNormalization"


def is_term(layer):
    """Whether it is added to something else, so that the sum has the neurons."""
    after = [node.outbound_layer for node in layer.outbound_nodes]
    if len(after) != 1 or not is_normalised(after[0]):
        return False
    return type(after[0].outbound_nodes[0].outbound_layer).__name__ == "Add"


def count(model):
    """Neurons and synapses of a Keras model."""
    neurons = synapses = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in REARRANGING:
            continue
        if (
            kind == "Add"
        ):  # a term without weights is a connection from one neuron to one
            neurons += int(np.prod(layer.output_shape[1:]))
            synapses += sum(
                int(np.prod(layer.output_shape[1:]))
                for term in before(layer)
                if not is_normalised(term)
            )
            continue
        shape, output = layer.input_shape[1:], layer.output_shape[1:]
        neurons += 0 if is_term(layer) else int(np.prod(output))
        if kind == "Dense":
            synapses += shape[0] * output[0]
        elif kind == "GlobalAveragePooling2D":
            synapses += int(np.prod(shape))
        else:
            size = layer.kernel_size if "Conv2D" in kind else layer.pool_size
            paddings = [layer.padding] * 2
            if type(before(layer)[0]).__name__ == "ZeroPadding2D":
                shape, paddings = (
                    before(layer)[0].input_shape[1:],
                    before(layer)[0].padding,
                )
            positions = [
                taps(shape[axis], size[axis], layer.strides[axis], paddings[axis])
                for axis in (0, 1)
            ]
            channels = shape[2] * output[2] if kind == "Conv2D" else shape[2]
            synapses += positions[0] * positions[1] * channels
    return neurons, synapses


def mobilenet_v2(side=224, classes=1000):
    """Neurons and synapses after Sandler et al. 2018, table 2: a bottleneck has none, its terms reach the next layer.

    Stages of (expansion, channels, layers, stride); a picture's side is even wherever it is halved.
    """
    stages = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    side //= 2
    neurons, synapses = 32 * side**2, 3 * 32 * taps(2 * side, 3, 2, (0, 1)) ** 2
    channels, terms = (
        32,
        [],
    )  # of a bottleneck, and of the depthwise layers whose sum it is
    for expansion, outputs, layers, stride in stages:
        for layer in range(layers):
            wide_expansion = expansion * channels
            if expansion > 1:
                neurons, synapses = (
                    neurons + wide_expansion * side**2,
                    synapses + sum(terms) * wide_expansion * side**2,
                )
            step = stride if layer == 0 else 1
            synapses += (
                wide_expansion
                * taps(side, 3, step, "same" if step == 1 else (0, 1)) ** 2
            )
            side //= step
            neurons += wide_expansion * side**2
            terms = [wide_expansion] if layer == 0 else [*terms, wide_expansion]
            channels = outputs
    neurons += 1280 * side**2 + 1280 + classes
    return neurons, synapses + sum(
        terms
    ) * 1280 * side**2 + 1280 * side**2 + 1280 * classes


def densenet(blocks, growth, shape=(224, 224), classes=1000):
    """Neurons and synapses after Huang et al. 2017, table 1: each layer has neurons for all that it reads.

    What enters a block is read one to one where it is the first pooling, else through a transition: 1×1 and then the
    average of 2×2, without neurons between, so that 2×2 positions of all that the transition reads reach each neuron.
    """

    def area(size, stride, padding):
        positions = [taps(length, size, stride, padding) for length in shape]
        return positions[0] * positions[1]

    def pool_padded(size, padding):
        return tuple((length + 2 * padding - size) // 2 + 1 for length in shape)

    channels = 2 * growth
    synapses, shape = 3 * channels * area(7, 2, (3, 3)), pool_padded(7, 3)
    neurons = channels * shape[0] * shape[1]
    synapses, shape = synapses + channels * area(3, 2, (1, 1)), pool_padded(3, 1)
    neurons += channels * shape[0] * shape[1]
    enters = 1  # synapses of a neuron that reads what enters the block
    for number, layers in enumerate(blocks):
        positions, last = shape[0] * shape[1], number == len(blocks) - 1
        for layer in range(
            layers + 1
        ):  # the last is the transition, or what the global average reads
            read = channels + layer * growth
            neurons += read * positions
            synapses += (
                channels * enters * positions
                + layer * 4 * growth * growth * area(3, 1, "same")
            )
            if layer < layers:
                neurons, synapses = (
                    neurons + 4 * growth * positions,
                    synapses + read * 4 * growth * positions,
                )
        if not last:
            enters, channels, shape = 4 * read, read // 2, pool_padded(2, 0)
    return neurons + read + classes, synapses + read * positions + read * classes


LARGE = [
    pytest.param(name, marks=[pytest.mark.large, pytest.mark.slow]) for name in IMAGENET
]
SMALL = [name for name in names(trained=False) if name not in IMAGENET]


@pytest.mark.parametrize("name", SMALL + LARGE)
def test_spec_states_the_neurons_and_synapses_of_the_network(name):
    spec = find(name)
    model = build(name)
    if name not in COMPOSED:
        assert (spec.neurons, spec.synapses) == count(model)
    assert model.name == spec.name
    assert model.input_shape[1:] == spec.input_shape
    assert model.output_shape[1] == (spec.num_classes or np.prod(spec.input_shape))


@pytest.mark.parametrize(
    "name", sorted({*SMALL} - {"autoencoder_mnist", "mlp_mnist", "resnet20_cifar10"})
)
def test_pictures_that_are_too_small_are_refused_in_one_line(name):
    spec = find(name)
    with pytest.raises(UsageError, match=f"{name} cannot be built for images of 2×2×"):
        find(name).build(
            input_shape=(2, 2, spec.input_shape[2]), num_classes=spec.num_classes
        )


def test_specs_of_composed_networks_state_what_their_papers_tables_give():
    specs = [find(name) for name in COMPOSED]
    assert [(s.neurons, s.synapses) for s in specs] == [
        densenet((6, 12, 24, 16), 32),
        mobilenet_v2(),
    ]


@pytest.mark.slow
def test_weights_of_keras_fit_the_dense_network():
    theirs = keras.applications.DenseNet121(
        weights=None, input_shape=(33, 40, 3), classes=9
    )
    ours = find("densenet121_imagenet").build(input_shape=(33, 40, 3), num_classes=9)
    for weights, keras_weights in zip(
        *(
            [layer for layer in model.layers if layer.weights]
            for model in (ours, theirs)
        )
    ):
        assert type(weights) is type(keras_weights)
        assert weights.name == keras_weights.name.replace("/", "_")
        assert [weight.shape for weight in weights.weights] == [
            weight.shape for weight in keras_weights.weights
        ]
        for key in ("strides", "padding", "epsilon", "use_bias"):
            assert getattr(weights, key, None) == getattr(keras_weights, key, None)
