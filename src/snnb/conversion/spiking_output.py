"""Networks trained with quantised activations, and spikes in place of a softmax.

A softmax is replaced by integrate-and-fire neurons on logits minus their mean over the classes.
"""

from dataclasses import replace

import numpy as np

from snnb.conversion.compose_pooling import compose_pooling, refuse_max_pooling
from snnb.conversion.currents import AnalogueNetwork
from snnb.core.errors import InputError
from snnb.network.network import Network, Population

SHARES = np.linspace(0.2, 1.2, 21).astype(np.float32)  # candidates of the scale factor, as shares of the largest logit


def quantised_network(network: Network, x: np.ndarray, firing: str) -> Network:
    """Return the spiking network of one trained with quantised activations, for as many time steps as levels.

    Its neurons start at half their threshold, and its scale factors are the values at which activations clip. With
    separated firing its rates are the quantised activations. `x` has training images, on which the scale factor of
    a softmax output is chosen. Source: Bu et al. 2022, ICLR (arXiv 2303.04347).
    """
    assert network.levels is not None
    refuse_max_pooling(network)
    steps = network.levels
    network = compose_pooling(network)
    if network.output.activation == "softmax":
        network = spiking_output(network, x, steps)
    volumes = tuple(
        replace(volume, max_value=None, initial_potential=np.full(volume.shape[-1], 0.5, np.float32))
        if isinstance(volume, Population)
        else volume
        for volume in network.volumes
    )
    network = replace(network, volumes=volumes, steps=steps, levels=None)
    return network.separated(steps) if firing == "separated" else network


def spiking_output(network: Network, x: np.ndarray, steps: int) -> Network:
    """Return the network whose softmax output fires instead; its neurons start at half their threshold.

    Parameters
    ----------
    network : Network
        All kernels in memory.
    x : ndarray of float32, shape (samples, ...)
        Training images, on which the scale factor of the logits is chosen.
    steps : int
        Number of time steps that will be simulated.
    """
    network = centred_output(network)
    logits = AnalogueNetwork(network).outputs(x)
    scale = output_scale(logits, logits.argmax(axis=-1), steps)
    output = network.output
    projections = tuple(replace(p, kernel=np.asarray(p.kernel) / scale) for p in output.projections)
    assert output.bias is not None
    start = np.full(output.shape[-1], 0.5, np.float32)
    fires = replace(output, projections=projections, bias=output.bias / scale, initial_potential=start)
    return replace(network, volumes=tuple(fires if volume is output else volume for volume in network.volumes))


def centred_output(network: Network) -> Network:
    """Return the network with a linear output of logits minus their mean over the classes, in place of a softmax.

    Raise `InputError` if the softmax reads a layer that has no kernel for each class.
    """
    output = network.output
    projections = []
    for projection in output.projections:
        if projection.kernel is None or projection.geometry.pairing != "dense":
            raise InputError(f"layer {output.name}: spikes in place of a softmax need a Dense or Conv2D layer")
        kernel = np.asarray(projection.kernel, np.float64)
        centred = (kernel - kernel.mean(axis=-1, keepdims=True)).astype(np.float32)
        projections.append(replace(projection, kernel=centred))
    assert output.bias is not None  # it has a kernel
    bias = output.bias - output.bias.mean()
    linear = replace(output, projections=tuple(projections), bias=bias, activation="linear")
    return replace(network, volumes=tuple(linear if volume is output else volume for volume in network.volumes))


def output_scale(logits: np.ndarray, classes: np.ndarray, steps: int) -> np.float32:
    """Return the scale factor with which the largest rounded logit is most often that of the trained network's class.

    `logits`, float32 (..., classes), have a mean of 0; they are rounded to `steps` levels.
    """
    top = np.float32(logits.max())
    scales = SHARES * (top if top > 0 else np.float32(1))
    levels = (np.clip(np.floor(logits / scale * np.float32(steps) + np.float32(0.5)), 0, steps) for scale in scales)
    agreeing = [np.count_nonzero(level.argmax(axis=-1) == classes) for level in levels]
    best: np.float32 = scales[int(np.argmax(agreeing))]
    return best
