"""The spiking network of a network trained with quantised activations: exact at as many time steps as levels."""

from dataclasses import replace

import numpy as np

from snnb.conversion.calibrate import refuse_max_pooling
from snnb.conversion.compose_pooling import compose_pooling
from snnb.conversion.spiking_output import spiking_output
from snnb.network.network import Network, Population


def quantised_network(network: Network, x: np.ndarray, firing: str) -> Network:
    """Return the network whose neurons start at half their threshold, for as many time steps as levels.

    With separated firing its rates are the quantised activations. Source: Bu et al. 2022, ICLR (arXiv 2303.04347).

    Parameters
    ----------
    network : Network
        A parsed network with `levels`, whose scale factors are the values at which activations clip.
    x : ndarray of float32, shape (pictures, ...)
        Training pictures, which the scale factor of a softmax output is chosen on.
    firing : {"separated", "free"}
    """
    assert network.levels is not None
    refuse_max_pooling(network)
    steps = network.levels
    network = compose_pooling(network)
    if network.output.activation == "softmax":
        network = spiking_output(network, x, steps)
    volumes = [_half(volume) if isinstance(volume, Population) else volume for volume in network.volumes]
    network = replace(network, volumes=tuple(volumes), steps=steps, levels=None)
    return network.separated(steps) if firing == "separated" else network


def _half(population: Population) -> Population:
    start = np.full(population.shape[-1], 0.5, np.float32)
    return replace(population, max_value=None, initial_potential=start)
