"""Calibrate a converted network for a number of time steps, on training images.

Populations are calibrated in network order, on the activations of the populations calibrated before them:

1. Kernels are fitted to the calibrated rates by ridge regression, where there are enough equations.
2. The bias of each channel shifts so that its mean input becomes the mean pre-activation of the trained network (Li et
   al. 2021, A free lunch from ANN, ICML); with separated firing, the means after a ReLU become equal.
3. The scale factor of each channel is the candidate with the smallest mean squared error from the trained activations.
   With `--spike-weight X`, X times the number of spikes is added, both as shares of their values for the population
   with the smallest errors.
4. With separated firing the bias shifts again: the mean of the rounded and clipped activations becomes the trained
   one, since these are what the next populations read.

With separated firing (Liu et al. 2022, SpikeConverter, AAAI) a population fires after all its input has arrived, so its
spike count is a rounded sum. With free firing all populations fire at once, and the errors are measured on simulated
spikes, before, at and after the calibrated number of steps, so that the rates are right at any time; the initial
potential is a candidate too (Deng & Gu 2021, Optimal conversion, ICLR: half the threshold).
"""

from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np

from snnb.conversion.calibration_loops import balanced_bias, fire, firing_errors, rounded_errors
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.integers import (
    as_integers,
    factors_of,
    largest_integer,
    prepared_for_integers,
    rounded,
    sources_of,
)
from snnb.conversion.least_squares import ROWS, fitted_change, rows_taken, weights_of_channel, windows, with_change
from snnb.conversion.rewriting import (
    Channels,
    centred_output,
    compose_pooling,
    is_separable,
    output_scale,
    presynaptic_scales,
    pruned,
    with_scales,
)
from snnb.core.machine import scratch_array
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import PopulationSums
from snnb.io.text import Document
from snnb.network.network import Network, Population

# Candidates of the scale factor, as shares of the channel's largest activation.
SEPARATED_SHARES, FREE_SHARES = np.geomspace(1.1, 0.15, 24), np.geomspace(1.1, 0.15, 14)
OUTPUT_FACTORS = np.geomspace(0.1, 3, 14).astype(np.float32)
FINE_LEVELS = 1000  # levels of activations before they are rounded to spikes
# Candidates (D, B): the initial potential is ½ − D; the bias adds B spikes in the calibrated steps, a share of D
BIAS_SHARES, POSITIVE_DELAYS = (0, 0.5, 1), (0.25, 0.5, 0.75, 1, 1.5, 2, 3)
DELAYS = np.array([(0, 0), *((delay, share * delay) for delay in POSITIVE_DELAYS for share in BIAS_SHARES)], np.float32)
OUTPUT_DELAYS = (0.25, 0.5, 0.75, 1.0)
TIMES = (0.75, 1, 1.5)  # multiples of the calibrated number of steps after which errors of free firing are measured
SEARCH_SAMPLES, OTHER_SAMPLES = slice(0, 32), slice(32, None)  # candidates are simulated on the former
SEARCH_POSITIONS = 64
BLOCK_BYTES = 16_000_000  # size of the arrays in memory at a time
STEP_ARRAYS = 4  # arrays of a time step with free firing: spikes, rates, and currents twice


class CalibratedLayer(Document):
    """Entry of a population in `calibration.json`; the output and poolings that cannot be scaled have no errors."""

    # Mean squared error of the rates from the trained activations, as a share of their mean square: with bias and scale
    # factor of the parsed network and initial potential ½, on the calibrated input; and of the calibrated network. With
    # free firing the mean of those after `TIMES`.
    before: Optional[float] = None
    after: Optional[float] = None
    bias_shift: Optional[float] = None  # mean absolute shift of the bias, in units of the scale factor
    scale_factors: List[float]  # of each channel; relative to the parsed network, in the file to the trained one


@dataclass(frozen=True)
class Calibration:
    """A calibrated network, and its changes."""

    network: Network
    weights: Network  # the parsed network with pruned and rounded weights, and the biases before calibration
    layers: Dict[str, CalibratedLayer]  # by population
    warnings: List[str]


def calibrate(
    network: Network,
    x: np.ndarray,
    settings: ConversionSettings,
    progress: Progress = silent,
    pixel_scale: float = 1.0,
) -> Calibration:
    """Calibrate a parsed, normalised network; the same input gives the same bytes.

    `x` has training images, float32 (samples, ...); `pixel_scale` is the integer of a pixel of 1 in an integer
    network. `progress` is called with the number of populations done. Raise `InputError` if the network cannot be
    calibrated.
    """
    assert settings.calibrate is not None
    network = compose_pooling(network)
    if settings.weight_bits is not None:
        network = prepared_for_integers(network, settings, pixel_scale)
    run = _Calibration(network, x, settings)
    populations = network.populations
    if settings.calibration_samples is not None and len(x) < settings.calibration_samples:
        run.warnings.append(
            f"--calibration-samples {settings.calibration_samples}: only {len(x)} normalisation samples exist"
        )
    for number, population in enumerate(populations):
        progress(number, len(populations), population.name)
        run.add(population)
    progress(len(populations), len(populations))
    calibrated = replace(with_scales(run.network, run.channels), steps=settings.calibrate)
    if settings.firing == "separated":
        calibrated = calibrated.separated(settings.calibrate)
    if settings.weight_bits is not None:
        thresholds = {name: np.rint(factors * run.channels[name].scale) for name, factors in run.factors.items()}
        calibrated = as_integers(calibrated, thresholds, settings)
    # Without thresholds, weights are not integers: a pixel is in [0, 1].
    return Calibration(calibrated, replace(run.network, pixel=1), run.layers, run.warnings)


class _Calibration:
    """The populations calibrated so far, with their trained and spiking activations in units of the parsed network."""

    def __init__(self, network: Network, x: np.ndarray, settings: ConversionSettings) -> None:
        assert settings.calibrate is not None
        self.network = network
        self.channels: Dict[str, Channels] = {}
        self._steps, self._samples = settings.calibrate, len(x)
        measured = np.ceil(np.multiply(TIMES, self._steps)).astype(int)
        self._weights = np.bincount(measured)[1:] / len(TIMES)  # of the errors after each time step of free firing
        self._simulated = len(self._weights)
        self._trained: Dict[str, np.ndarray] = {network.input.name: x}
        self._spiking: Dict[str, np.ndarray] = {network.input.name: x}  # rates times scale factors
        # With free firing: spikes as bits, uint8 (steps, samples, ⌈size / 8⌉).
        self._trains: Dict[str, np.ndarray] = {}
        # Name of the last population that reads each population or the input, also through re-indexing layers.
        self._last_reader = {name: p.name for p in network.populations for name in network.senders(p)}
        self.layers: Dict[str, CalibratedLayer] = {}
        self.factors: Dict[str, np.ndarray] = {}  # of an integer network, see `factors_of`
        self.warnings: List[str] = []
        self._settings = settings

    def add(self, population: Population) -> None:
        """Calibrate the next population."""
        sums, softmax = PopulationSums(self.network, population), population.activation == "softmax"
        bias = population.channel_bias
        wanted, spiking_sums = (scratch_array((self._samples, *population.shape), np.float32) for _ in range(2))
        for block in self._blocks(population, 1):
            wanted[block] = sums.of(self._trained, block)
        taken = rows_taken(population, self._samples)
        if taken is not None:
            population = self._fitted(population, sums, wanted, bias, taken)
            sums = PopulationSums(self.network, population)
        if (self._settings.weight_bits is not None or self._settings.prune) and not population.counts_largest:
            population = self._changed(population)
            sums = PopulationSums(self.network, population)
        missing = np.zeros(len(bias))
        for block in self._blocks(population, 1):
            spiking_sums[block] = sums.of(self._spiking, block)
            missing += (wanted[block] - spiking_sums[block]).reshape(-1, len(bias)).sum(axis=0, dtype=np.float64)
            wanted[block] += bias
        shifted = (bias + missing / (wanted.size // len(bias))).astype(np.float32)
        if softmax and population.name == self.network.output.name:
            self._add_output(population, sums, wanted, spiking_sums, shifted)
            return
        np.clip(wanted, 0, population.max_value, out=wanted)
        self._trained[population.name] = wanted
        if is_separable(population):
            channels = self._chosen(population, sums, bias, shifted, spiking_sums)
        else:
            [scale] = presynaptic_scales(self.network, self.channels, population)
            channels = Channels(scale, bias, np.full_like(bias, 0 if population.counts_largest else 0.5))
            self.layers[population.name] = CalibratedLayer(scale_factors=scale.tolist())
        self.channels[population.name] = channels
        self._fire(population, sums, spiking_sums)
        # Drop the activations that only this population and those before it read.
        for name in [name for name, reader in self._last_reader.items() if reader == population.name]:
            for values in (self._trained, self._spiking, self._trains):
                values.pop(name, None)

    def _changed(self, population: Population) -> Population:
        """Prune and round the weights, also in the network, after a softmax is replaced."""
        bits = self._settings.weight_bits
        if population.activation == "softmax":
            self.network = centred_output(self.network)
            population = self.network.output
        population = pruned(population, self._settings.prune)
        if bits is not None:
            sources = sources_of(self.network, self.channels, population)
            factors = self.factors[population.name] = factors_of(self.network, population, sources, self._settings)
            population = rounded(population, sources, factors, bits)
        self.network = self.network.with_populations([population])
        return population

    def _allowed(self, population: Population, scales: np.ndarray) -> np.ndarray:
        """Return the scale factors, in an integer network the nearest ones with integer thresholds: float32."""
        if population.name in self.factors:
            factors, limit = self.factors[population.name], largest_integer(self._settings.threshold_bits)
            scales = np.clip(np.rint(scales * factors), 1, limit) / factors
        return scales.astype(np.float32)

    def _fitted(
        self, population: Population, sums: PopulationSums, wanted: np.ndarray, bias: np.ndarray, taken: slice
    ) -> Population:
        """Return the population with kernels fitted to the rates, and put it into the network.

        `wanted` has the trained sums without the bias; the regression has the rows `taken`.
        """
        weights, channels = weights_of_channel(population), len(bias)
        numbers = range(wanted.size // channels)[taken]  # of the rows
        x = scratch_array((len(numbers), weights), np.float32)
        missing = np.empty((len(numbers), channels), np.float32)
        done, positions = 0, population.size // channels
        for block in self._blocks(population, -(-weights // channels)):
            spiking_sums, read = sums.with_inputs(self._spiking, block)
            rows = slice(-block.start * positions % numbers.step, None, numbers.step)
            inputs = windows(population, read)[rows]
            x[done : done + len(inputs)] = inputs
            missing[done : done + len(inputs)] = (wanted[block] - spiking_sums).reshape(-1, channels)[rows]
            done += len(inputs)
        before = None if population.activation == "softmax" else wanted.reshape(-1, channels)[taken] + bias
        fitted = with_change(population, fitted_change(x, missing, before))
        self.network = self.network.with_populations([fitted])
        return fitted

    def _chosen(
        self,
        population: Population,
        sums: PopulationSums,
        bias: np.ndarray,
        shifted: np.ndarray,
        spiking_sums: np.ndarray,
    ) -> Channels:
        """Choose the scale factor and initial potential of each channel, and keep the errors."""
        target, every = self._trained[population.name].reshape(-1, len(bias)), np.arange(len(bias))
        top = target.max(axis=0)
        top[top == 0] = 1
        parsed = self._allowed(population, np.ones((1, len(bias))))
        if self._settings.firing == "separated":
            scales, delays = self._allowed(population, np.outer(SEPARATED_SHARES, top)), DELAYS[:1]
            searched = slice(None, None, len(target) // ROWS | 1)
            flat, target = spiking_sums.reshape(target.shape)[searched], target[searched]
            shifted = balanced_bias(flat, target, shifted, top, FINE_LEVELS)
            errors, spikes = rounded_errors(flat, target, shifted, scales, self._steps)
            least_spikes = spikes[errors.argmin(axis=0), every].sum() or 1.0
            spike_cost = self._settings.spike_weight * spikes / least_spikes
            cost = errors / (errors.min(axis=0).sum() or 1.0) + spike_cost
            errors, cost = errors[np.newaxis], cost[np.newaxis]
            before = rounded_errors(flat, target, bias, parsed, self._steps)[0].sum()
        else:
            scales, delays = self._allowed(population, np.outer(FREE_SHARES, top)), DELAYS
            currents, target = self._searched(population, sums)
            simulated = currents, target, self._steps, self._weights
            errors = cost = firing_errors(*simulated, shifted, scales, DELAYS)
            before = firing_errors(*simulated, bias, parsed, DELAYS[:1]).sum()
        first, chosen = np.unravel_index(cost.reshape(-1, len(bias)).argmin(axis=0), cost.shape[:2])
        delay, scale, after = delays[first].T, scales[chosen, every], errors[first, chosen, every].sum()
        if errors.min(axis=(0, 1)).sum() > before:
            self.warnings.append(f"{population.name}: the calibration would increase the error and is skipped")
            delay, scale, shifted, after = np.zeros_like(delay), parsed[0], bias, before
        elif self._settings.firing == "separated":
            shifted = balanced_bias(flat, target, shifted, scale, self._steps)
            after = rounded_errors(flat, target, shifted, scale[np.newaxis], self._steps)[0].sum()
        square = float(np.einsum("rc,rc->", target, target, dtype=np.float64)) or 1.0  # without a copy
        shift = float(np.abs((shifted - bias) / scale).mean())
        self.layers[population.name] = CalibratedLayer(
            before=float(before) / square, after=float(after) / square, bias_shift=shift, scale_factors=scale.tolist()
        )
        bias = (shifted + delay[1] * scale / self._steps).astype(np.float32)
        return Channels(scale, bias, (0.5 - delay[0]).astype(np.float32))

    def _fire(self, population: Population, sums: PopulationSums, values: np.ndarray) -> None:
        """Replace the sums without bias `values` by the activations that the spikes of the population represent.

        With free firing keep the spikes too; after T steps only of the samples on which candidates are compared.
        """
        self._spiking[population.name] = values
        channels, scale = self.channels[population.name], self.channels[population.name].scale
        if self._settings.firing == "separated":
            unit = scale / np.float32(self._steps)
            for block in self._blocks(population, 1):
                level = np.floor((values[block] + channels.bias) / unit + np.float32(0.5))
                values[block] = np.clip(level, 0, self._steps) * unit
            return
        shape = (self._simulated, self._samples, -(-population.size // 8))
        train = self._trains[population.name] = scratch_array(shape, np.uint8)
        for samples, steps in ((SEARCH_SAMPLES, self._simulated), (OTHER_SAMPLES, self._steps)):
            for block in self._blocks(population, STEP_ARRAYS * steps, samples):
                currents = self._currents(sums, population, block, steps)
                if population.counts_largest:
                    spikes = np.diff(currents, axis=0, prepend=0) > 0
                else:
                    spikes, flat = np.empty(currents.shape, np.bool_), (steps, -1, len(scale))
                    fire((currents / scale).reshape(flat), channels.bias / scale, channels.start, spikes.reshape(flat))
                    values[block] = spikes[: self._steps].mean(axis=0, dtype=np.float32) * scale
                train[:steps, block] = np.packbits(spikes.reshape(*spikes.shape[:2], -1), axis=-1)

    def _add_output(
        self,
        population: Population,
        sums: PopulationSums,
        wanted: np.ndarray,
        spiking_sums: np.ndarray,
        bias: np.ndarray,
    ) -> None:
        """Calibrate a softmax output: logits minus their mean, and one scale factor for all classes."""
        bias = (bias - bias.mean()).astype(np.float32)
        centre = spiking_sums.mean(axis=-1, keepdims=True) if population.activation == "softmax" else np.float32(0)
        logits = spiking_sums - centre + bias
        classes, units, delay = wanted.argmax(axis=-1), np.ones(population.shape[-1], np.float32), 0.0
        scale = output_scale(logits, classes, self._steps)
        if self._settings.firing == "free":
            scale, delay = self._firing_output(population, sums, classes, bias, scale)
        if population.activation == "softmax":
            self.network = centred_output(self.network)
        scales = self._allowed(population, scale * units)
        start = np.float32(0.5 - delay) * units
        self.layers[population.name] = CalibratedLayer(scale_factors=scales.tolist())
        self.channels[population.name] = Channels(scales, bias + np.float32(delay / self._steps) * scales, start)

    def _firing_output(
        self, population: Population, sums: PopulationSums, classes: np.ndarray, bias: np.ndarray, scale: np.float32
    ) -> Tuple[np.float32, float]:
        """Return the scale factor and delay with which most samples get the trained network's class."""
        blocks = self._blocks(population, STEP_ARRAYS * self._steps)
        currents = np.concatenate([self._currents(sums, population, block, self._steps) for block in blocks], axis=1)
        if population.activation == "softmax":
            currents -= currents.mean(axis=-1, keepdims=True)
        flat = (self._steps, -1, len(bias))
        spikes, best = np.empty(currents.shape, np.bool_), (-1, scale, 0.0)
        for candidate in scale * OUTPUT_FACTORS:
            for delay in OUTPUT_DELAYS:
                shift = bias / candidate + np.float32(delay / self._steps)
                start = np.full(len(bias), 0.5 - delay, np.float32)
                fire((currents / candidate).reshape(flat), shift, start, spikes.reshape(flat))
                agreeing = np.count_nonzero(spikes.sum(axis=0).argmax(axis=-1) == classes)
                best = max(best, (agreeing, candidate, delay))
        return best[1], best[2]

    def _searched(self, population: Population, sums: PopulationSums) -> Tuple[np.ndarray, np.ndarray]:
        """Return currents (steps, rows, channels) and targets (rows, channels) of some positions of some images."""
        channels = population.shape[-1]
        positions = population.size // channels
        taken = np.unique(np.linspace(0, positions - 1, min(positions, SEARCH_POSITIONS)).astype(int))
        parts: List[np.ndarray] = []
        for block in self._blocks(population, STEP_ARRAYS * self._simulated, SEARCH_SAMPLES):
            currents = self._currents(sums, population, block, self._simulated)
            parts.append(currents.reshape(*currents.shape[:2], positions, channels)[:, :, taken])
        currents = np.concatenate(parts, axis=1)
        target = self._trained[population.name][: currents.shape[1]].reshape(-1, positions, channels)[:, taken]
        return currents.reshape(self._simulated, -1, channels), target.reshape(-1, channels)

    def _currents(self, sums: PopulationSums, population: Population, block: slice, steps: int) -> np.ndarray:
        """Return currents without bias, of max pooling the largest counts so far: float32 (steps, samples, *shape)."""
        if not self._trains.keys() & self.network.senders(population):  # the constant input alone
            return np.stack([sums.of(self._spiking, block)] * steps)
        sent: Dict[str, np.ndarray] = {}  # in all steps, concatenated along the first axis
        for name in self.network.senders(population):
            shape = self.network.volume(name).shape
            if name in self._trains:
                bits = np.unpackbits(self._trains[name][:steps, block], axis=-1, count=self.network.volume(name).size)
                values = np.cumsum(bits, axis=0, dtype=np.float32) if population.counts_largest else bits
                sent[name] = values.reshape(-1, *shape) * self.channels[name].scale
            else:  # the constant input
                sent[name] = np.stack([self._spiking[name][block]] * steps).reshape(-1, *shape)
        return sums.of(sent).reshape(steps, -1, *population.shape)

    def _blocks(self, population: Population, arrays: int, samples: slice = slice(None)) -> Iterator[slice]:
        """Yield blocks of the samples in which `arrays` of the largest volume fit into `BLOCK_BYTES`."""
        largest = max(self.network.volume(name).size for name in (*population.inputs, population.name))
        size, (first, end, _) = max(1, BLOCK_BYTES // (4 * largest * arrays)), samples.indices(self._samples)
        return (slice(start, min(start + size, end)) for start in range(first, end, size))
