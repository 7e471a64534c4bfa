"""Weight normalisation: scale each layer by a percentile of its activations, so that rates stay below one.

Rueckauer et al. 2017 (Front. Neurosci. 11:682), section 2.2.2: with λ the percentile of a layer's activations, weights
become w · λ(l−1) / λ(l) and biases b / λ(l). The factors are equal to those of snntoolbox 0.5 to the last bit,
but activations are not kept in memory or on disk.
"""

import math
from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np
import tensorflow as tf

from snnb.conversion.keras_graph import inbound
from snnb.conversion.rewriting import of_channels
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.io.keras import keras

# Layers that belong to the population of the layer before them; batch normalisation adds a bias for each position.
PARTS = {"Add", "BatchNormalization", "Activation", "ReLU"}


@dataclass(frozen=True)
class Activity:
    """Activations of the layers with weights on the normalisation samples, by layer in network order."""

    percentiles: Dict[str, float]  # the chosen percentile of the activations that are not zero; 1 if all are zero
    negative_shares: Dict[str, float]  # fraction of all activations that is below zero, which spikes rectify
    silent: List[str]  # layers whose activations are all zero


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
    model: keras.Model,
    x: np.ndarray,
    *,
    percentile: float = 99.9,
    batch_size: int,
    progress: Progress = silent,
) -> Activity:
    """Measure percentiles of the activations of all layers with weights, in one pass over the samples.

    As in the toolbox, samples that do not fill a last batch are ignored. The last bits of activations depend on the
    batch size. `progress` is called with the number of samples done.
    """
    layers = list(population_ends(model).values())
    activations = tf.function(keras.Model(model.input, [layer.output for layer in layers]))
    samples = len(x) - len(x) % batch_size
    tails = [Tail(samples * int(np.prod(layer.output_shape[1:])), percentile) for layer in layers]
    for start in range(0, samples, batch_size):
        outputs = activations(tf.constant(x[start : start + batch_size]))
        for tail, output in zip(tails, tf.nest.flatten(outputs)):
            tail.add(output.numpy())
        progress(start + batch_size, samples)
    names = [layer.name for layer in layers]
    return Activity(
        percentiles={name: tail.result() for name, tail in zip(names, tails)},
        negative_shares={name: tail.negative / tail.seen for name, tail in zip(names, tails)},
        silent=[name for name, tail in zip(names, tails) if tail.nonzero == 0],
    )


def population_ends(model: keras.Model) -> Dict[str, keras.layers.Layer]:
    """Return the layer that each population with weights ends in, by its name, in network order.

    A layer without activation that an `Add` or an activation reads belongs to the population that ends there.
    """
    ends = _ends(model)
    names = {end.name for name, end in ends.items()}
    return {layer.name: layer for layer in model.layers if layer.name in names}


def linear_ends(model: keras.Model) -> List[str]:
    """Return the names of the populations with weights that have no activation."""
    return [name for name, layer in population_ends(model).items() if _activation(layer) == "linear"]


def _ends(model: keras.Model) -> Dict[str, keras.layers.Layer]:
    """Return the end of the population that each layer with weights, sum or activation is a part of, by its name."""
    readers: Dict[str, List[keras.layers.Layer]] = {}
    for layer in model.layers:
        for before in inbound(layer):
            readers.setdefault(before.name, []).append(layer)
    ends: Dict[str, keras.layers.Layer] = {}
    for layer in reversed(model.layers):
        if layer.weights or type(layer).__name__ in PARTS:
            part_of = [reader for reader in readers.get(layer.name, []) if type(reader).__name__ in PARTS]
            ends[layer.name] = ends[part_of[0].name] if part_of else layer
    return ends


def _activation(layer: keras.layers.Layer) -> str:
    """Return the activation of a population's last layer, by Keras's name."""
    kind = type(layer).__name__
    return {"Add": "linear", "BatchNormalization": "linear", "ReLU": "relu"}.get(kind) or str(layer.activation.__name__)


def clipped(model: keras.Model) -> List[str]:
    """Return the names of the populations whose activations are clipped."""
    return [name for name, layer in population_ends(model).items() if _limit(layer) is not None]


def _limit(layer: keras.layers.Layer) -> Optional[float]:
    limit = getattr(layer, "max_value", None)
    return None if limit is None else float(limit)


def scale_factors(model: keras.Model, percentiles: Dict[str, float], *, exact_clip: bool = False) -> Dict[str, float]:
    """Return the scale factor λ of the input (1) and of each layer with weights (its percentile; 1 for softmax).

    With `exact_clip` a clipped relu has the factor `max_value`: it fires at every step where it clips. Raise
    `InputError` if a percentile is not above zero, because most activations of a layer without relu are negative.
    """
    factors = {model.layers[0].name: 1.0}
    for layer in population_ends(model).values():
        factor = 1.0 if _activation(layer) == "softmax" else percentiles[layer.name]
        if exact_clip and _limit(layer) is not None:
            factor = float(layer.max_value)
        if not 0 < factor < np.inf:
            raise InputError(f"{layer.name}: the percentile of its activations is {factor:g}: choose a higher one")
        factors[layer.name] = factor
    return factors


def uses_percentiles(model: keras.Model, *, exact_clip: bool) -> bool:
    """Return whether `scale_factors` depends on the percentile of any layer."""
    ends = population_ends(model).values()
    return any(_activation(layer) != "softmax" and not (exact_clip and _limit(layer) is not None) for layer in ends)


def apply_factors(model: keras.Model, factors: Dict[str, float]) -> None:
    """Scale the weights and biases of the parsed model in place by the factors of `scale_factors`.

    Each weight is scaled by the factor of its presynaptic neuron, also where several branches are concatenated and
    flattened, which the toolbox cannot do. To find the layer of each neuron, the layers that only re-index are applied
    to labels in place of activations. Raise `InputError` if a convolution or a pooling shares its weights among neurons
    of branches with different factors.
    """
    names = list(factors)
    # Label 0 is padding, whose factor is not used.
    numbered = np.array([1.0, *factors.values()])
    origins: Dict[str, np.ndarray] = {}
    ends = _ends(model)
    for layer in model.layers:
        inputs = [origins[before.name] for before in inbound(layer)]
        shape = layer.output_shape[0] if isinstance(layer, keras.layers.InputLayer) else layer.output_shape
        if layer.name in factors or layer.name in ends:
            own = ends.get(layer.name, layer).name
            origins[layer.name] = np.full(shape[1:], names.index(own) + 1, np.float32)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(layer.beta / np.float32(factors[ends[layer.name].name]))
        elif layer.weights:
            _scale(layer, inputs[0], numbered, factors[ends[layer.name].name])
        elif "Pooling2D" in type(layer).__name__:
            origins[layer.name] = np.broadcast_to(of_channels(layer.name, inputs[0], shape[-1]), shape[1:])
        elif layer.name not in origins:
            batches = [origin[np.newaxis] for origin in inputs]
            origins[layer.name] = layer(batches if len(batches) > 1 else batches[0]).numpy()[0]
        if _limit(layer) is not None:
            layer.max_value /= np.float32(factors[layer.name])
            model.predict_function = None  # it may hold the old value


def _scale(layer: keras.layers.Layer, origin: np.ndarray, factors: np.ndarray, own: float) -> None:
    weights, *biases = layer.get_weights()
    numbers = origin if isinstance(layer, keras.layers.Dense) else of_channels(layer.name, origin, origin.shape[-1])
    present = np.unique(numbers[numbers > 0].astype(int))
    if len(present) == 1:
        weights = weights * np.float32(factors[present[0]]) / np.float32(own)
    else:
        # In the shape of a presynaptic axis: (inputs, units) or (height, width, channels, filters). The toolbox
        # divides first here, in float64.
        ratio = (factors[numbers.astype(int)] / own).astype(np.float32)
        weights = weights * ratio[:, np.newaxis]
    layer.set_weights([weights, *(bias / np.float32(own) for bias in biases)])
