"""A `ReLU` layer as a population's activation: read, described, read again."""

import numpy as np
import pytest

from snnb.io.keras_file import StoredLayer
from snnb.network.read_network import assemble, described


def _entries(config, *, terms=1):
    kernel = np.ones((2, 3), np.float32)
    dense = {"units": 3, "activation": "linear"}
    arrays = {"kernel": kernel, "bias": np.zeros(3, np.float32)}
    names = [f"dense{k}" for k in range(terms)]
    yield StoredLayer("input", "InputLayer", {"batch_input_shape": [None, 2]}, (), {})
    for name in names:
        yield StoredLayer(name, "Dense", dense, ("input",), arrays)
    if terms > 1:
        yield StoredLayer("sum", "Add", {}, tuple(names), {})
    yield StoredLayer("clipped", "ReLU", config, ("sum" if terms > 1 else "dense0",), {})


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("limit", [None, 6, 0.25])
def test_a_relu_layer_is_the_activation_of_the_population_before_it(terms, limit):
    network = assemble(list(_entries({"max_value": limit, "negative_slope": 0.0}, terms=terms)))
    again = assemble(described(network))
    for found in (network, again):
        [population] = found.populations
        assert (population.name, population.activation, population.max_value) == ("clipped", "relu", limit)
        assert len(population.projections) == terms
        assert population.shape == (3,)
