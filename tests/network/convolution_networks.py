"""Networks of convolutions, and the matrices of their layers by definition.

Weights are whole eighths, so that float32 adds them without rounding.
"""

import numpy as np

from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble
from tests.network.convolutions import convolution_matrix, transposed_matrix

# Filters, groups, and the other settings of each convolution. The layers have few and
# many filters a group, as many filters as channels, and as many groups as channels.
GROUPED = {
    "few": (6, 2, {"kernel_size": (3, 3)}),
    "strided": (12, 3, {"kernel_size": (3, 2), "strides": (2, 1)}),
    "single": (12, 12, {"kernel_size": (3, 3), "dilation_rate": (1, 2)}),
    "many": (72, 12, {"kernel_size": (1, 1)}),
    "small": (72, 18, {"kernel_size": (3, 3)}),
    "narrowing": (4, 4, {"kernel_size": (1, 1)}),
    "wide": (200, 2, {"kernel_size": (3, 3), "padding": "valid"}),
}
# Filters, groups, other settings, zeros before the output, and its size. The outputs of
# the last layer that no input meets have gaps between them.
TRANSPOSED = {
    "wide": (64, 1, {"kernel_size": (3, 3), "strides": (2, 2)}, (0, 0), (4, 4)),
    "small": (64, 16, {"kernel_size": (3, 3)}, (1, 1), (4, 4)),
    "cropped": (
        6,
        2,
        {
            "kernel_size": (4, 3),
            "strides": (2, 1),
            "output_padding": (1, 0),
            "padding": "valid",
            "cropping": ((1, 2), (0, 1)),
        },
        (1, 0),
        (8, 5),
    ),
    "dilated": (
        4,
        1,
        {"kernel_size": (2, 3), "dilation_rate": (1, 2), "padding": "valid"},
        (0, 0),
        (9, 9),
    ),
    "gaps": (
        3,
        1,
        {"kernel_size": (2, 1), "strides": (3, 2), "padding": "valid"},
        (0, 0),
        (27, 18),
    ),
}


def eighths(random, shape):
    """Return weights, none of them 0."""
    numbers = random.choice([-3, -2, -1, 1, 2, 3, 4], shape) / 8
    return numbers.astype(np.float32)


class Builder:
    """Layers in a row, with the matrix and the biases of each population."""

    def __init__(self, shape):
        self.random = np.random.default_rng(7)
        self.shape = shape
        config = {"batch_input_shape": (None, *shape)}
        self.stored = [StoredLayer("input", "InputLayer", config, (), {})]
        self.matrices = {}

    def add(self, kind, name, config, kernel, matrix, shape):
        bias = (self.random.integers(0, 3, shape[-1]) / 8).astype(np.float32)
        config = {"activation": "relu", **config}
        arrays = {"kernel": kernel, "bias": bias}
        source = (self.stored[-1].name,)
        self.stored.append(StoredLayer(name, kind, config, source, arrays))
        self.matrices[name] = (matrix, np.resize(bias, np.prod(shape)))
        self.shape = shape

    def classify(self):
        """Add a dense layer; return the network, and its matrices and biases."""
        source = (self.stored[-1].name,)
        self.stored.append(StoredLayer("flat", "Flatten", {}, source, {}))
        shape = (np.prod(self.shape), 8)
        kernel = self.random.choice([-2, -1, 0, 1, 2], shape).astype(np.float32) / 8
        self.add("Dense", "out", {"units": 8}, kernel, kernel.astype(float), (8,))
        return assemble(self.stored), self.matrices


def grouped_network():
    """Return a network, and the matrix and the biases of each population by name."""
    builder = Builder((5, 6, 4))
    for name, (filters, groups, settings) in GROUPED.items():
        channels_read = builder.shape[-1] // groups
        kernel_shape = (*settings["kernel_size"], channels_read, filters)
        kernel = eighths(builder.random, kernel_shape)
        config = {"padding": "same", **settings, "filters": filters, "groups": groups}
        matrix, shape = convolution_matrix(
            kernel,
            builder.shape,
            groups,
            settings.get("strides", (1, 1)),
            settings.get("dilation_rate", (1, 1)),
            config["padding"] == "same",
        )
        builder.add("Conv2D", name, config, kernel, matrix, shape)
    return builder.classify()


def transposed_network():
    """Return a network as `grouped_network` does."""
    builder = Builder((2, 2, 4))
    for name, (filters, groups, settings, before, size) in TRANSPOSED.items():
        kernel_shape = (
            *settings["kernel_size"],
            filters // groups,
            builder.shape[-1],
        )
        kernel = eighths(builder.random, kernel_shape)
        config = {"padding": "same", **settings, "filters": filters, "groups": groups}
        matrix, shape = transposed_matrix(
            kernel,
            builder.shape,
            groups,
            settings.get("strides", (1, 1)),
            settings.get("dilation_rate", (1, 1)),
            before,
            size,
        )
        builder.add("Conv2DTranspose", name, config, kernel, matrix, shape)
    return builder.classify()


NETWORKS = {"grouped": grouped_network, "transposed": transposed_network}
