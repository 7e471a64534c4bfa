"""Networks of grouped convolutions, and the matrices of their layers by definition."""

import numpy as np

from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble
from tests.network.convolutions import convolution_matrix

SHAPE = (5, 6, 4)
# Filters, groups, and the other settings of each convolution. The layers have few and
# many filters a group, as many filters as channels, and as many groups as channels.
LAYERS = {
    "few": (6, 2, {"kernel_size": (3, 3)}),
    "strided": (12, 3, {"kernel_size": (3, 2), "strides": (2, 1)}),
    "single": (12, 12, {"kernel_size": (3, 3), "dilation_rate": (1, 2)}),
    "many": (72, 12, {"kernel_size": (1, 1)}),
    "small": (72, 18, {"kernel_size": (3, 3)}),
    "narrowing": (4, 4, {"kernel_size": (1, 1)}),
    "wide": (200, 2, {"kernel_size": (3, 3), "padding": "valid"}),
}


def eighths(random, shape):
    """Weights that float32 adds without rounding."""
    numbers = random.choice([-3, -2, -1, 1, 2, 3, 4], shape) / 8
    return numbers.astype(np.float32)


def grouped_network():
    """Return a network, and the matrix and the biases of each population by name."""
    random = np.random.default_rng(7)
    config = {"batch_input_shape": (None, *SHAPE)}
    stored = [StoredLayer("input", "InputLayer", config, (), {})]
    matrices = {}
    source, shape = "input", SHAPE
    for name, (filters, groups, settings) in LAYERS.items():
        kernel_shape = (*settings["kernel_size"], shape[-1] // groups, filters)
        kernel = eighths(random, kernel_shape)
        bias = (random.integers(0, 3, filters) / 8).astype(np.float32)
        config = {"padding": "same", "activation": "relu", **settings}
        config.update(filters=filters, groups=groups)
        arrays = {"kernel": kernel, "bias": bias}
        stored.append(StoredLayer(name, "Conv2D", config, (source,), arrays))
        matrix, shape = convolution_matrix(
            kernel,
            shape,
            groups,
            settings.get("strides", (1, 1)),
            settings.get("dilation_rate", (1, 1)),
            config["padding"] == "same",
        )
        matrices[name] = (matrix, np.resize(bias, np.prod(shape)))
        source = name
    flat = StoredLayer("flat", "Flatten", {}, (source,), {})
    kernel = random.choice([-2, -1, 0, 1, 2], (np.prod(shape), 8)).astype(np.float32)
    kernel /= 8
    arrays = {"kernel": kernel, "bias": np.zeros(8, np.float32)}
    config = {"units": 8, "activation": "relu"}
    stored += [flat, StoredLayer("out", "Dense", config, ("flat",), arrays)]
    matrices["out"] = (kernel.astype(float), np.zeros(8))
    return assemble(stored), matrices
