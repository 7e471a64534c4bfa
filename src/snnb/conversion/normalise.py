"""Weight normalisation: scale each layer by a percentile of its activations, so that rates stay below one.

Rueckauer et al. 2017 (Front. Neurosci. 11:682), section 2.2.2: with λ the percentile of a layer's activations, weights
become w · λ(l−1) / λ(l) and biases b / λ(l). Only the activations that determine the percentile are kept.
"""

import math
from dataclasses import dataclass, replace
from typing import Dict, List

import numpy as np

from snnb.conversion.rewriting import channel_scales
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import Analogue
from snnb.network.network import Network, Population, Projection, Reindexed


@dataclass(frozen=True)
class Activity:
    """Activations of the populations with weights on the normalisation samples, by population in network order."""

    percentiles: Dict[str, float]  # the chosen percentile of the activations that are not zero; 1 if all are zero
    negative_shares: Dict[str, float]  # fraction of all activations that is below zero, which spikes rectify
    silent: List[str]  # populations whose activations are all zero


class Tail:
    """Percentile of the nonzero values of a stream of `total` values, of which only the largest are kept.

    A percentile p of n values interpolates between the order statistics floor and floor + 1 of (n − 1) p / 100: only
    the largest (n − 1) (1 − p / 100) + 2 of them matter.
    """

    def __init__(self, total: int, percentile: float) -> None:
        self.percentile = percentile
        self.keep = math.ceil((total - 1) * (1 - percentile / 100)) + 2
        self.seen = self.nonzero = self.negative = 0
        self._largest = np.empty(0, np.float32)
        self._pending: List[np.ndarray] = []
        self._floor = -np.inf  # nothing below it is among the largest

    def add(self, values: np.ndarray) -> None:
        """Take float32 values of any shape."""
        values = values.ravel()
        self.seen += values.size
        active = values != 0
        self.nonzero += int(np.count_nonzero(active))  # twenty times as fast as counting nonzero floats
        self.negative += int(np.count_nonzero(values < 0))
        self._pending.append(values[(values > self._floor) & active])
        # Selecting costs time in proportion to all values held: wait until their number has doubled.
        if sum(part.size for part in self._pending) > max(self.keep, 2**18):
            self._select()

    def result(self) -> float:
        """Return the percentile of all values that are not zero, as `numpy.percentile` interpolates; 1 without any."""
        if self.nonzero == 0:
            return 1.0
        self._select()
        largest = np.sort(self._largest)
        position = (self.nonzero - 1) * (self.percentile / 100)
        first = min(math.floor(position), self.nonzero - 1)
        below, above = (
            largest[min(index, self.nonzero - 1) - self.nonzero + largest.size] for index in (first, first + 1)
        )
        # As in numpy, from the nearer end: the difference is float32, the rest float64.
        difference, part = float(above - below), position - first
        return float(above) - difference * (1 - part) if part >= 0.5 else float(below) + difference * part

    def _select(self) -> None:
        values = np.concatenate([self._largest, *self._pending])
        self._pending = []
        if values.size > self.keep:
            values = np.partition(values, values.size - self.keep)[-self.keep :]
            self._floor = values.min()
        self._largest = values


def measure(
    network: Network,
    x: np.ndarray,
    *,
    percentile: float = 99.9,
    batch_size: int,
    progress: Progress = silent,
) -> Activity:
    """Measure percentiles of the activations of all populations with weights, in one pass over the samples.

    As in the toolbox, samples that do not fill a last batch are ignored. `progress` is called with the number of
    samples done.
    """
    populations = with_weights(network)
    samples = len(x) - len(x) % batch_size
    tails = [Tail(samples * population.size, percentile) for population in populations]
    analogue = Analogue(network, [population.name for population in populations])
    for done, values in enumerate(analogue.batches(x[:samples], batch_size), 1):
        for tail, activations in zip(tails, values):
            tail.add(activations)
        progress(done * batch_size, samples)
    named = [(population.name, tail) for population, tail in zip(populations, tails)]
    return Activity(
        percentiles={name: tail.result() for name, tail in named},
        negative_shares={name: tail.negative / tail.seen for name, tail in named},
        silent=[name for name, tail in named if tail.nonzero == 0],
    )


def with_weights(network: Network) -> List[Population]:
    """Return the populations with weights, in network order: all but poolings."""
    return [population for population in network.populations if population.projections[0].kernel is not None]


def scale_factors(network: Network, percentiles: Dict[str, float], *, exact_clip: bool = False) -> Dict[str, float]:
    """Return the scale factor λ of the input (1) and of each population with weights (its percentile; 1 for softmax).

    With `exact_clip` a clipped relu has the factor `max_value`: it fires at every step where it clips. Raise
    `InputError` if a percentile is not above zero, because most activations of a layer without relu are negative.
    """
    factors = {network.input.name: 1.0}
    for population in with_weights(network):
        factor = 1.0 if population.activation == "softmax" else percentiles[population.name]
        if exact_clip and population.max_value is not None:
            factor = population.max_value
        if not 0 < factor < np.inf:
            raise InputError(f"{population.name}: the percentile of its activations is {factor:g}: choose a higher one")
        factors[population.name] = factor
    return factors


def normalised(network: Network, factors: Dict[str, float]) -> Network:
    """Return the network with weights and biases scaled by the factors of `scale_factors`.

    Each weight is scaled by the factor of its presynaptic neuron, also where several branches are concatenated and
    flattened, which the toolbox cannot do. Raise `InputError` if a convolution or a pooling shares its weights among
    neurons of branches with different factors.
    """
    scales: Dict[str, np.ndarray] = {}  # by volume: float64, in its shape; negative in padding
    changed: List[Population] = []
    for volume in network.volumes:
        if isinstance(volume, Reindexed):
            scales[volume.name] = volume.layer.apply([scales[name] for name in volume.inputs])
        elif volume.name in factors:
            scales[volume.name] = np.full(volume.shape, factors[volume.name])
        else:  # a pooling
            assert isinstance(volume, Population)
            read = channel_scales(volume.name, scales[volume.only.input], volume.shape[-1])
            scales[volume.name] = np.broadcast_to(read, volume.shape)
        if isinstance(volume, Population) and volume.name in factors:
            factor = np.float32(factors[volume.name])
            projections = tuple(_scaled(volume.name, p, scales[p.input], factor) for p in volume.projections)
            bias = None if volume.bias is None else volume.bias / factor
            limit = None if volume.max_value is None else float(np.float32(volume.max_value) / factor)
            changed.append(replace(volume, projections=projections, bias=bias, max_value=limit))
    return network.with_populations(changed)


def _scaled(name: str, projection: Projection, scales: np.ndarray, factor: np.float32) -> Projection:
    kernel = projection.kernel
    assert kernel is not None
    if kernel.ndim > 2:
        scales = channel_scales(name, scales, scales.shape[-1])
    present = scales[scales > 0]
    if (present == present[0]).all():
        return replace(projection, kernel=kernel * np.float32(present[0]) / factor)
    # Along the presynaptic axis of (inputs, units) or (height, width, channels, filters); padding is -1.
    return replace(projection, kernel=kernel * (np.abs(scales) / factor).astype(np.float32)[:, np.newaxis])
