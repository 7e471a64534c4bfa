"""Integer networks.

They have weights of a few bits, and integer biases, thresholds and initial potentials.

Multiplying the incoming weights, the bias, the threshold and the initial potential of a
neuron by one positive factor changes no spike. So each channel gets the factor that
makes its largest weight the largest integer of the bit width, and all of them are
rounded. A spike adds a weight to a membrane potential; a pixel of a constant input is
an integer.
"""

import math
from dataclasses import replace
from typing import Dict, List, Mapping, Sequence

import numpy as np

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.rewriting import (
    Channels,
    average_kernel,
    is_separable,
    presynaptic_scales,
)
from snnb.core.errors import InputError
from snnb.network.layers import AveragePooling2D
from snnb.network.network import (
    Network,
    Population,
    Projection,
    Reindexed,
    channel_medians,
)

# A channel whose largest weight is a smaller share of the population's does not use all
# bits.
SMALLEST_SHARE = 1e-3
# Thresholds are integers up to this multiple of the scale factor of the normalisation.
LARGEST_SCALE = 8
BIAS_BITS = 24


def largest_integer(bits: int) -> int:
    """Return the largest signed integer of a bit width."""
    return int(2 ** (bits - 1)) - 1


def prepare_for_integers(
    network: Network,
    settings: ConversionSettings,
    pixel_scale: float,
) -> Network:
    """Return the network with convolutions in place of average poolings.

    They are depthwise, with equal weights.

    `pixel_scale` is the integer of a pixel of 1. Raise `InputError` if a pooling has
    windows of different sizes.
    """
    convolutions = []
    for population in network.populations:
        if not isinstance(population.projections[0].layer, AveragePooling2D):
            continue
        if not is_separable(population):
            raise InputError(
                f"layer {population.name}: partial average pooling windows at the "
                "border have no integer weights: use padding valid, or omit "
                "--weight-bits",
            )
        convolution = average_kernel(population.only)
        kernel = np.asarray(convolution.kernel, np.float32)
        convolution = replace(convolution, kernel=kernel)
        convolutions.append(replace(population, projections=(convolution,)))
    network = network.with_populations(convolutions)
    return replace(network, weight_bits=settings.weight_bits, pixel=int(pixel_scale))


def source_factors(
    network: Network,
    channels: Mapping[str, Channels],
    population: Population,
) -> List[np.ndarray]:
    """Return the scale factors of the presynaptic channels of each projection.

    `channels` has the scale factors of populations, 1 by default; the unit of the input
    has 1 / `network.pixel`. Raise `InputError` if a projection reads a concatenation of
    the input and spikes: its weights have one step, and those of pixels would be 0.
    """
    input_name = network.input.name
    for projection in population.projections:
        volume = network.volume(projection.input)
        if not isinstance(volume, Reindexed):
            continue
        senders = network.senders(volume)
        if input_name in senders and len(senders) > 1:
            raise InputError(
                f"layer {population.name} concatenates the input with spikes, which "
                "have no common integer scale: insert a layer after the input, or omit "
                "--weight-bits",
            )
    none = np.zeros(1, np.float32)
    pixel_scale = np.float32(1 / network.pixel) + none
    scales = {**channels, input_name: Channels(pixel_scale, none, none)}
    return presynaptic_scales(network, scales, population)


def channel_factors(
    network: Network,
    population: Population,
    sources: Sequence[np.ndarray],
    settings: ConversionSettings,
) -> np.ndarray:
    """Return the factor of each channel from weights × `sources` to integers.

    The factors are float64 (channels,). The channels of the output, which are compared,
    have one factor. `threshold_bits` limits the factors.
    """
    assert settings.weight_bits is not None
    if population.projections[0].kernel is None:  # max pooling
        return np.full(population.shape[-1], 1 / float(sources[0].max()))
    limit = largest_integer(settings.weight_bits)
    rows = _rows(population, sources)
    projection_weights = []  # of each channel, its largest integer in units of the step
    for projection_rows, step in zip(rows, _steps(rows)):
        projection_weights.append(np.abs(projection_rows).max(axis=0) / step)
    channel_weights = np.max(projection_weights, axis=0)
    largest_weight = float(channel_weights.max()) or 1.0
    is_output = population.name == network.output.name
    if settings.scale_per == "layer" or is_output:
        channel_weights = np.full_like(channel_weights, largest_weight)
    else:
        smallest_weight = SMALLEST_SHARE * largest_weight
        channel_weights = np.maximum(channel_weights, smallest_weight)
    largest_factor = largest_integer(settings.threshold_bits) / LARGEST_SCALE
    factors: np.ndarray = limit / np.maximum(channel_weights, limit / largest_factor)
    return factors


def _rows(population: Population, sources: Sequence[np.ndarray]) -> List[np.ndarray]:
    """Return the weights × `sources` of each projection.

    Each is float64 (weights of a channel, channels).
    """
    rows = []
    for projection, source in zip(population.projections, sources):
        weights = projection.weights().astype(np.float64) * source[:, np.newaxis]
        rows.append(projection.geometry.weights_of_filters(weights))
    return rows


def _steps(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return the step of the integers of each projection.

    It is a power of two, of which they are multiples: 1 for the smallest weights.
    """
    tops = np.array([np.abs(row).max() for row in rows])
    tops[tops == 0] = tops.max() or 1.0
    steps: np.ndarray = 2.0 ** np.floor(np.log2(tops / tops.min()))
    return steps


def round_weights(
    population: Population,
    sources: Sequence[np.ndarray],
    factors: np.ndarray,
    bits: int,
) -> Population:
    """Return the population with integer weights of a bit width.

    Its weights are multiplied by `sources` and `factors`, then rounded.

    If several projections are summed, the larger weights are integers × a power of two
    for each projection.
    """
    if population.projections[0].kernel is None:
        return population
    limit = largest_integer(bits)
    steps = _steps(_rows(population, sources))
    projections = []
    for projection, source, step in zip(population.projections, sources, steps):
        factor = _factor(projection, source, factors / step)
        weights = projection.weights().astype(np.float64) * factor
        integers = np.clip(np.rint(weights), -limit, limit)
        projections.append(projection.replace_weights(integers / factor))
    return replace(population, projections=tuple(projections))


def _factor(
    projection: Projection,
    source: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """Return the factor of each weight from its unit to integers.

    `source` are the factors of the channels, `factors` those of the filters.
    """
    return source[:, np.newaxis] * projection.geometry.spread_filters(factors)


def integer_network(network: Network, settings: ConversionSettings) -> Network:
    """Return the integer network of an uncalibrated one.

    Raise `InputError` if a threshold would be 0.
    """
    assert settings.weight_bits is not None
    limit = largest_integer(settings.weight_bits)
    thresholds: Dict[str, np.ndarray] = {}
    populations = []
    for population in network.populations:
        sources = source_factors(network, {}, population)
        factors = channel_factors(network, population, sources, settings)
        smallest = float(factors.min())
        if smallest * (1 + 1e-6) < 1:
            bits = 1 + math.ceil(math.log2(limit / smallest + 1))
            raise InputError(
                f"layer {population.name}: a threshold of {smallest:.2g} at "
                f"{settings.weight_bits} bits, which is rounded to 0: give "
                f"--weight-bits {bits}, or --calibrate",
            )
        # Integer factors, so that the threshold is not rounded separately from the
        # weights.
        threshold = np.floor(factors * (1 + 1e-6))
        thresholds[population.name] = threshold
        populations.append(
            round_weights(population, sources, threshold, settings.weight_bits),
        )
    return round_to_integers(
        network.with_populations(populations), thresholds, settings
    )


def round_to_integers(
    network: Network,
    thresholds: Mapping[str, np.ndarray],
    settings: ConversionSettings,
) -> Network:
    """Return the network with these thresholds, in integers.

    Its weights, biases and initial potentials are integers too. The network is
    normalised to thresholds of 1, its weights are rounded so that a multiplication
    makes them integers; `thresholds` are integers of up to `threshold_bits`, shape
    (channels,). The rounding errors of the biases, summed over the time steps of the
    calibration, are added to the initial potentials.
    """
    assert settings.weight_bits is not None
    populations = []
    for population in network.populations:
        if population.counts_largest:  # without a membrane
            threshold = np.ones(population.shape[-1], np.float32)
            integer_population = replace(
                population,
                initial_potential=None,
                integer_threshold=threshold,
            )
        else:
            threshold = thresholds[population.name]
            _check_threshold(population, threshold, settings)
            sources = source_factors(network, {}, population)
            steps = network.steps or 0
            integer_population = _round_to_integers(
                population, sources, threshold, steps
            )
        populations.append(integer_population)
    return network.with_populations(populations)


def _check_threshold(
    population: Population,
    threshold: np.ndarray,
    settings: ConversionSettings,
) -> None:
    """Raise `InputError` if the threshold of a pooling has too many bits."""
    largest = largest_integer(settings.threshold_bits)
    if population.projections[0].kernel is None and threshold.max() > largest:
        raise InputError(
            f"layer {population.name}: a threshold of {threshold.max():g} has more "
            f"than {settings.threshold_bits} bits: give more --threshold-bits",
        )


def _round_to_integers(
    population: Population,
    sources: Sequence[np.ndarray],
    threshold: np.ndarray,
    steps: int,
) -> Population:
    """Return a population with integers for its weights, biases and potentials.

    `sources` are the scale factors of the presynaptic channels of its projections, see
    `sources_of`; `threshold` is of its channels; `steps` are those of the calibration.
    """
    projections = []
    for projection, source in zip(population.projections, sources):
        if projection.kernel is not None:
            factor = _factor(projection, source, threshold)
            weights = np.rint(projection.weights().astype(np.float64) * factor)
            projection = projection.replace_weights(weights)
        projections.append(projection)
    bias = np.zeros(1) if population.bias is None else population.bias * threshold
    initial = population.initial_potential
    if initial is not None:
        bias_error = channel_medians(bias - np.rint(bias))
        initial = np.rint(initial * threshold + steps * bias_error).astype(np.float32)
    integer_bias = None
    if population.bias is not None:
        largest_bias = largest_integer(BIAS_BITS)
        integer_bias = np.clip(np.rint(bias), -largest_bias, largest_bias)
        integer_bias = integer_bias.astype(np.float32)
    return replace(
        population,
        projections=tuple(projections),
        bias=integer_bias,
        initial_potential=initial,
        integer_threshold=threshold.astype(np.float32),
    )
