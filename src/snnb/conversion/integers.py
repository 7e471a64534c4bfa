"""Integer networks: weights of a few bits, and integer biases, thresholds and initial potentials.

Multiplying the incoming weights, the bias, the threshold and the initial potential of a neuron by one positive factor
changes no spike. So each channel gets the factor that makes its largest weight the largest integer of the bit width,
and all of them are rounded. A spike adds a weight to a membrane potential; a pixel of a constant input is an integer.
"""

import math
from dataclasses import replace
from typing import Dict, List, Mapping, Sequence

import numpy as np

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.rewriting import Channels, average_kernel, is_separable, presynaptic_scales
from snnb.core.errors import InputError
from snnb.network.layers import AveragePooling2D
from snnb.network.network import Network, Population, Projection, channel_medians

# A channel whose largest weight is a smaller share of the population's does not use all bits.
SMALLEST_SHARE = 1e-3
# Thresholds are integers up to this multiple of the scale factor of the normalisation.
LARGEST_SCALE = 8
BIAS_BITS = 24


def largest_integer(bits: int) -> int:
    """Return the largest signed integer of a bit width."""
    return int(2 ** (bits - 1)) - 1


def prepared_for_integers(network: Network, settings: ConversionSettings, pixel_scale: float) -> Network:
    """Return the network with depthwise convolutions of equal weights in place of average poolings.

    `pixel_scale` is the integer of a pixel of 1. Raise `InputError` if a pooling has windows of different sizes.
    """
    convolutions = []
    for population in network.populations:
        if isinstance(population.projections[0].layer, AveragePooling2D):
            if not is_separable(population):
                raise InputError(
                    f"layer {population.name}: partial average pooling windows at the border have no integer "
                    "weights: use padding valid, or omit --weight-bits"
                )
            convolution = average_kernel(population.only)
            convolution = replace(convolution, kernel=np.asarray(convolution.kernel, np.float32))
            convolutions.append(replace(population, projections=(convolution,)))
    network = network.with_populations(convolutions)
    return replace(network, weight_bits=settings.weight_bits, pixel=int(pixel_scale))


def sources_of(network: Network, channels: Mapping[str, Channels], population: Population) -> List[np.ndarray]:
    """Return for each projection of a population the scale factor of each presynaptic channel.

    `channels` has the scale factors of populations, 1 by default; the unit of the input has 1 / `network.pixel`.
    """
    senders, name = network.senders(population), network.input.name
    if name in senders and len(senders) > 1:
        raise InputError(
            f"layer {population.name} reads the input and spikes, which have no common integer scale: insert a "
            "layer after the input, or omit --weight-bits"
        )
    none = np.zeros(1, np.float32)
    scales = {**channels, name: Channels(np.float32(1 / network.pixel) + none, none, none)}
    return presynaptic_scales(network, scales, population)


def factors_of(
    network: Network, population: Population, sources: Sequence[np.ndarray], settings: ConversionSettings
) -> np.ndarray:
    """Return the factor of each channel from weights × `sources` to integers: float64, shape (channels,).

    The channels of the output, which are compared, have one factor. `threshold_bits` limits the factors.
    """
    assert settings.weight_bits is not None
    if population.projections[0].kernel is None:  # max pooling
        return np.full(population.shape[-1], 1 / float(sources[0].max()))
    limit, shared = largest_integer(settings.weight_bits), settings.scale_per == "layer"
    shared = shared or population.name == network.output.name
    rows = _rows(population, sources)
    largest = np.max([np.abs(row).max(axis=0) / step for row, step in zip(rows, _steps(rows))], axis=0)
    top, highest = float(largest.max()) or 1.0, largest_integer(settings.threshold_bits) / LARGEST_SCALE
    largest = np.full_like(largest, top) if shared else np.maximum(largest, SMALLEST_SHARE * top)
    factors: np.ndarray = limit / np.maximum(largest, limit / highest)
    return factors


def _rows(population: Population, sources: Sequence[np.ndarray]) -> List[np.ndarray]:
    """Return the weights × `sources` of each projection: float64, shape (weights of a channel, channels)."""
    pairs = zip(population.projections, sources)
    products = [np.asarray(p.kernel, np.float64) * source[:, np.newaxis] for p, source in pairs]
    return [product.reshape(-1, population.shape[-1]) for product in products]


def _steps(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return the power of two that the integers of each projection are multiples of: 1 for the smallest weights."""
    tops = np.array([np.abs(row).max() for row in rows])
    tops[tops == 0] = tops.max() or 1.0
    steps: np.ndarray = 2.0 ** np.floor(np.log2(tops / tops.min()))
    return steps


def rounded(population: Population, sources: Sequence[np.ndarray], factors: np.ndarray, bits: int) -> Population:
    """Return the population whose weights are integers of a bit width after × `sources` × `factors`.

    If several projections are summed, the larger weights are integers × a power of two for each projection.
    """
    if population.projections[0].kernel is None:
        return population
    limit, projections = largest_integer(bits), []
    for p, source, step in zip(population.projections, sources, _steps(_rows(population, sources))):
        factor = _factor(p, source, factors / step)
        kernel = np.clip(np.rint(np.asarray(p.kernel, np.float64) * factor), -limit, limit) / factor
        projections.append(replace(p, kernel=kernel.astype(np.float32)))
    return replace(population, projections=tuple(projections))


def _factor(projection: Projection, source: np.ndarray, factors: np.ndarray) -> np.ndarray:
    if projection.geometry.pairing == "diagonal":
        factors = factors.reshape(projection.geometry.channels, -1)
    return source[:, np.newaxis] * factors


def integer_network(network: Network, settings: ConversionSettings) -> Network:
    """Return the integer network of an uncalibrated one; raise `InputError` if a threshold would be 0."""
    assert settings.weight_bits is not None
    limit = largest_integer(settings.weight_bits)
    thresholds: Dict[str, np.ndarray] = {}
    populations = []
    for population in network.populations:
        sources = sources_of(network, {}, population)
        factors = factors_of(network, population, sources, settings)
        least = float(factors.min())
        if least * (1 + 1e-6) < 1:
            bits = 1 + math.ceil(math.log2(limit / least + 1))
            raise InputError(
                f"layer {population.name}: a threshold of {least:.2g} at {settings.weight_bits} bits, which is rounded "
                f"to 0: give --weight-bits {bits}, or --calibrate"
            )
        # Integer factors, so that the threshold is not rounded separately from the weights.
        threshold = thresholds[population.name] = np.floor(factors * (1 + 1e-6))
        populations.append(rounded(population, sources, threshold, settings.weight_bits))
    return as_integers(network.with_populations(populations), thresholds, settings)


def as_integers(network: Network, thresholds: Mapping[str, np.ndarray], settings: ConversionSettings) -> Network:
    """Return the network with these thresholds; its weights, biases and initial potentials are integers.

    The network is normalised to thresholds of 1, its weights are rounded so that a multiplication makes them integers;
    `thresholds` are integers of up to `threshold_bits`, shape (channels,). The rounding errors of the biases, summed
    over the time steps of the calibration, are added to the initial potentials.
    """
    assert settings.weight_bits is not None
    populations = []
    steps = network.steps or 0
    limit, bias_limit = (largest_integer(bits) for bits in (settings.threshold_bits, BIAS_BITS))
    for population in network.populations:
        if population.counts_largest:  # without a membrane
            ones = np.ones(population.shape[-1], np.float32)
            populations.append(replace(population, initial_potential=None, integer_threshold=ones))
            continue
        threshold, projections = thresholds[population.name], []
        if population.projections[0].kernel is None and threshold.max() > limit:
            raise InputError(
                f"layer {population.name}: a threshold of {threshold.max():g} has more than {settings.threshold_bits} "
                "bits: give more --threshold-bits"
            )
        for p, source in zip(population.projections, sources_of(network, {}, population)):
            if p.kernel is not None:
                weights = np.rint(np.asarray(p.kernel, np.float64) * _factor(p, source, threshold))
                p = replace(p, kernel=weights.astype(np.float32))
            projections.append(p)
        bias = np.zeros(1) if population.bias is None else population.bias * threshold
        start = population.initial_potential
        if start is not None:
            error = channel_medians(bias - np.rint(bias))
            start = np.rint(start * threshold + steps * error).astype(np.float32)
        integers = None
        if population.bias is not None:
            integers = np.clip(np.rint(bias), -bias_limit, bias_limit).astype(np.float32)
        populations.append(
            replace(
                population,
                projections=tuple(projections),
                bias=integers,
                initial_potential=start,
                integer_threshold=threshold.astype(np.float32),
            )
        )
    return network.with_populations(populations)
