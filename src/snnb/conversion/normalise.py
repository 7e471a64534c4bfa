"""Weight normalisation.

Each layer is scaled by a percentile of its activations, so that rates stay below one.

Rueckauer et al. 2017 (Front. Neurosci. 11:682), section 2.2.2: with λ the percentile of
a layer's activations, weights become w · λ(l−1) / λ(l) and biases b / λ(l). Only the
activations that determine the percentile are kept.
"""

import math
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping

import numpy as np

from snnb.conversion.rewriting import channel_scales
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import Analogue
from snnb.network.network import Network, Population, Projection, Reindexed


@dataclass(frozen=True)
class Activity:
    """Activations of the populations with weights on the normalisation samples.

    They are by population, in network order.
    """

    # The chosen percentile of the activations that are not zero; 1 if all are zero
    percentiles: Dict[str, float]
    # Fraction of all activations that is below zero, which spikes rectify
    negative_shares: Dict[str, float]
    silent: List[str]  # populations whose activations are all zero


class Tail:
    """Percentile of the nonzero values of a stream of `total` values.

    Only the largest values are kept.

    A percentile p of n values interpolates between the order statistics floor and floor
    + 1 of (n − 1) p / 100: only the largest (n − 1) (1 − p / 100) + 2 of them matter.
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
        # Twenty times as fast as counting nonzero floats
        self.nonzero += int(np.count_nonzero(active))
        self.negative += int(np.count_nonzero(values < 0))
        self._pending.append(values[(values > self._floor) & active])
        # Selecting costs time in proportion to all values held: wait until their number
        # has doubled.
        if sum(part.size for part in self._pending) > max(self.keep, 2**18):
            self._select()

    def result(self) -> float:
        """Return the percentile of all values that are not zero; 1 without any.

        It is interpolated as by `numpy.percentile`.
        """
        if self.nonzero == 0:
            return 1.0
        self._select()
        largest = np.sort(self._largest)
        position = (self.nonzero - 1) * (self.percentile / 100)
        index = min(math.floor(position), self.nonzero - 1)
        below = self._order_statistic(largest, index)
        above = self._order_statistic(largest, index + 1)
        # As in numpy, from the nearer end: the difference is float32, the rest float64.
        difference = float(above - below)
        fraction = position - index
        if fraction >= 0.5:
            return float(above) - difference * (1 - fraction)
        return float(below) + difference * fraction

    def _order_statistic(self, largest: np.ndarray, index: int) -> np.float32:
        """Return the value of an index, or the largest value, of the sorted values.

        `largest` are the largest of these values, sorted.
        """
        index = min(index, self.nonzero - 1)
        return largest[index - self.nonzero + largest.size]

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
    """Measure percentiles of the activations of all populations with weights.

    The samples are read once.

    As in the toolbox, samples that do not fill a last batch are ignored. `progress` is
    called with the number of samples done.
    """
    populations = with_weights(network)
    samples = len(x) - len(x) % batch_size
    tails = [Tail(samples * population.size, percentile) for population in populations]
    analogue = Analogue(network, [population.name for population in populations])
    for done, values in enumerate(analogue.batches(x[:samples], batch_size), 1):
        for tail, activations in zip(tails, values):
            tail.add(activations)
        progress(done * batch_size, samples)
    activity = Activity({}, {}, [])
    for population, tail in zip(populations, tails):
        name = population.name
        activity.percentiles[name] = tail.result()
        activity.negative_shares[name] = tail.negative / tail.seen
        if tail.nonzero == 0:
            activity.silent.append(name)
    return activity


def with_weights(network: Network) -> List[Population]:
    """Return the populations with weights, in network order: all but poolings."""
    populations = []
    for population in network.populations:
        if population.projections[0].kernel is not None:
            populations.append(population)
    return populations


def scale_factors(
    network: Network,
    percentiles: Dict[str, float],
    *,
    exact_clip: bool = False,
) -> Dict[str, float]:
    """Return the scale factor λ of the input and of each population with weights.

    It is 1 for the input and a softmax, and the percentile for another population.

    With `exact_clip` a clipped relu has the factor `max_value`: it fires at every step
    where it clips. Raise `InputError` if a percentile is not above zero, because most
    activations of a layer without relu are negative.
    """
    factors = {network.input.name: 1.0}
    for population in with_weights(network):
        factor = percentiles[population.name]
        if population.activation == "softmax":
            factor = 1.0
        if exact_clip and population.max_value is not None:
            factor = population.max_value
        if not 0 < factor < np.inf:
            raise InputError(
                f"{population.name}: the percentile of its activations is {factor:g}: "
                "choose a higher one"
            )
        factors[population.name] = factor
    return factors


def normalise_weights(network: Network, factors: Dict[str, float]) -> Network:
    """Return the network with weights and biases scaled by `scale_factors`.

    Each weight is scaled by the factor of its presynaptic neuron, also where several
    branches are concatenated and flattened, which the toolbox cannot do. Raise
    `InputError` if a convolution or a pooling shares its weights among neurons of
    branches with different factors.
    """
    # By volume: float64, in its shape; negative in padding
    scales: Dict[str, np.ndarray] = {}
    populations: List[Population] = []
    for volume in network.volumes:
        if isinstance(volume, Reindexed):
            inputs = [scales[name] for name in volume.inputs]
            scales[volume.name] = volume.layer.apply(inputs)
        elif volume.name in factors:
            scales[volume.name] = np.full(volume.shape, factors[volume.name])
        else:  # a pooling
            assert isinstance(volume, Population)
            read_scales = scales[volume.only.input]
            input_scales = channel_scales(volume.name, read_scales, volume.shape[-1])
            scales[volume.name] = np.broadcast_to(input_scales, volume.shape)
        if isinstance(volume, Population) and volume.name in factors:
            factor = np.float32(factors[volume.name])
            populations.append(_scale_population(volume, scales, factor))
    return network.with_populations(populations)


def _scale_population(
    population: Population,
    scales: Mapping[str, np.ndarray],
    factor: np.float32,
) -> Population:
    """Return a population with weights and bias divided by a factor.

    The weights are multiplied by the scales of the presynaptic neurons: `scales` are
    those of volumes, by name.
    """
    projections = []
    for projection in population.projections:
        read_scales = scales[projection.input]
        projections.append(
            _scale_projection(population.name, projection, read_scales, factor),
        )
    max_value = population.max_value
    if max_value is not None:
        max_value = float(np.float32(max_value) / factor)
    return replace(
        population,
        projections=tuple(projections),
        bias=None if population.bias is None else population.bias / factor,
        max_value=max_value,
    )


def _scale_projection(
    name: str,
    projection: Projection,
    scales: np.ndarray,
    factor: np.float32,
) -> Projection:
    """Return a projection onto a population `name`; see `_scale_population`."""
    kernel = projection.kernel
    assert kernel is not None
    if kernel.ndim > 2:
        scales = channel_scales(name, scales, scales.shape[-1])
    neuron_scales = scales[scales > 0]  # without those of padding, which are -1
    scale = neuron_scales[0]
    if (neuron_scales == scale).all():
        return replace(projection, kernel=kernel * np.float32(scale) / factor)
    # Along the presynaptic axis, the last but one
    ratios = (np.abs(scales) / factor).astype(np.float32)
    return projection.replace_weights(projection.weights() * ratios[:, np.newaxis])
