"""Calibrate a converted network for a number of time steps, on training images.

Populations are calibrated in network order, each on the activations of the populations
calibrated before it:

1. Kernels are fitted to the calibrated rates by ridge regression, where there are
   enough equations. On request, they are pruned and rounded.
2. The bias of each channel shifts so that its mean input current becomes the mean
   pre-activation of the trained network (Li et al. 2021, A free lunch from ANN, ICML);
   with separated firing, the means after a ReLU become equal.
3. The scale factor of each channel is the candidate with the smallest mean squared
   error from the trained activations. With `--spike-weight X`, X times the number of
   spikes is added to the error. Both are shares of the sums over all channels with the
   scale factors of the smallest errors.
4. With separated firing the bias shifts again: the mean of the rounded and clipped
   activations becomes the trained one, since these are what the next populations read.

With separated firing a population fires after all its input has arrived
(`separated_firing`); with free firing all populations fire at once (`free_firing`).
"""

from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, NamedTuple, Optional, Type

import numpy as np

from snnb.conversion.calibration_activations import TrainedActivation
from snnb.conversion.calibration_firing import Choice, Firing, centre
from snnb.conversion.calibration_workspace import Workspace, rows_of_block
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.free_firing import FreeFiring
from snnb.conversion.integers import (
    channel_factors,
    largest_integer,
    prepare_for_integers,
    round_to_integers,
    round_weights,
    source_factors,
)
from snnb.conversion.least_squares import (
    fit_population,
    fitted_rows,
    window_size,
    windows,
)
from snnb.conversion.rewriting import (
    Channels,
    centred_output,
    compose_pooling,
    is_separable,
    output_scale,
    presynaptic_scales,
    prune,
    with_scales,
)
from snnb.conversion.separated_firing import SeparatedFiring
from snnb.core.machine import scratch_array
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import PopulationSums
from snnb.io.text import Document
from snnb.network.network import Network, Population

FIRING: Mapping[str, Type[Firing]] = {"separated": SeparatedFiring, "free": FreeFiring}


class CalibratedLayer(Document):
    """Entry of a population in `calibration.json`.

    The output, and poolings that cannot be scaled, have no errors.
    """

    # Mean squared error of the rates from the trained activations, as a share of their
    # mean square. `before` is that of bias and scale factor of the parsed network and
    # initial potential ½, on the calibrated input; `after` is that of the calibrated
    # network. With free firing it is the mean of the errors after
    # `free_firing.ERROR_TIMES`.
    before: Optional[float] = None
    after: Optional[float] = None
    # Mean absolute shift of the bias, in units of the scale factor
    bias_shift: Optional[float] = None
    # Of each channel; relative to the parsed network, in the file to the trained one
    scale_factors: List[float]


@dataclass(frozen=True)
class Calibration:
    """A calibrated network, and its changes."""

    network: Network
    # The parsed network with the fitted, pruned and rounded weights, and the biases
    # before calibration
    weights: Network
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

    `x` has training images, float32 (samples, ...); `pixel_scale` is the integer of a
    pixel of 1 in an integer network. `progress` is called with the number of
    populations done. Raise `InputError` if the network cannot be calibrated.
    """
    network = compose_pooling(network)
    if settings.weight_bits is not None:
        network = prepare_for_integers(network, settings, pixel_scale)
    calibrator = _Calibrator(network, x, settings)
    requested_samples = settings.calibration_samples
    if requested_samples is not None and len(x) < requested_samples:
        shortage = f"only {len(x)} normalisation samples exist"
        message = f"--calibration-samples {requested_samples}: {shortage}"
        calibrator.warnings.append(message)
    total = len(network.populations)
    for number, population in enumerate(network.populations):
        progress(number, total, population.name)
        calibrator.calibrate(population)
    progress(total, total)
    return calibrator.calibration()


class Equations(NamedTuple):
    """Equations for a change of the kernels: inputs @ change = errors.

    A row is a position of an image. Of a kernel in groups, a channel has the inputs of
    its group only, see `channel_blocks`.
    """

    inputs: np.ndarray  # of the fitted weights: float32 (rows, `window_size`)
    # How much the input currents are below the trained ones: float32 (rows, channels)
    errors: np.ndarray


class _Calibrator:
    """Calibrates the populations of a network, one after the other in network order.

    Attributes
    ----------
    layers : dict
        What `calibration.json` says of the calibrated populations, by name.
    warnings : list
        Messages for the user, one line each.
    """

    def __init__(
        self,
        network: Network,
        x: np.ndarray,
        settings: ConversionSettings,
    ) -> None:
        assert settings.calibrate is not None
        self.layers: Dict[str, CalibratedLayer] = {}
        self.warnings: List[str] = []
        self._settings = settings
        self._steps = settings.calibrate
        self._firing = FIRING[settings.firing]
        self._workspace = Workspace(network, x)

    def calibrate(self, parsed_population: Population) -> None:
        """Calibrate the next population, and record what its readers read."""
        workspace = self._workspace
        name = parsed_population.name
        is_softmax = parsed_population.activation == "softmax"

        target = self._trained_activation(parsed_population)
        workspace.trained[name] = target
        population = self._fit_kernels(parsed_population, target)
        population = self._reduce_weights(population)
        firing = self._firing(workspace, population, self._settings)
        bias = self._mean_bias(population, firing, target)
        if is_softmax:
            channels = self._output_channels(population, firing, target, bias)
            workspace.channels[name] = channels
            return
        if is_separable(population):
            choice = self._best_choice(population, firing, target, bias)
            channels = choice.channels(self._steps)
        else:
            channels = self._sender_channels(population)
        workspace.channels[name] = channels
        firing.fire(channels)
        workspace.release(population)

    def calibration(self) -> Calibration:
        """Return the result, after all populations are calibrated."""
        workspace = self._workspace
        scaled_network = with_scales(workspace.network, workspace.channels)
        network = replace(scaled_network, steps=self._steps)
        network = self._firing.schedule(network, self._steps)
        if self._settings.weight_bits is not None:
            thresholds: Dict[str, np.ndarray] = {}
            for name, factors in workspace.integer_factors.items():
                thresholds[name] = np.rint(factors * workspace.channels[name].scale)
            network = round_to_integers(network, thresholds, self._settings)
        # Without thresholds, weights are not integers: a pixel is in [0, 1].
        weights = replace(workspace.network, pixel=1)
        return Calibration(network, weights, self.layers, self.warnings)

    def _trained_activation(self, population: Population) -> TrainedActivation:
        """Return the activations of a parsed population in the trained network."""
        workspace = self._workspace
        sums = PopulationSums(workspace.network, population)
        current = workspace.input_current(population, sums, workspace.trained)
        return TrainedActivation(current, population.channel_bias, population.max_value)

    def _fit_kernels(
        self,
        population: Population,
        target: TrainedActivation,
    ) -> Population:
        """Fit the kernels to the calibrated rates, where there are enough equations.

        With them, the input currents become those of the trained network.
        """
        table_rows = fitted_rows(population, self._workspace.samples)
        if table_rows is None:
            return population
        equations = self._equations(population, target, table_rows)
        pre_activation = None
        if population.activation != "softmax":
            pre_activation = target.current_rows[table_rows] + target.bias
        fitted_population = fit_population(
            population,
            equations.inputs,
            equations.errors,
            pre_activation,
        )
        self._workspace.replace(fitted_population)
        return fitted_population

    def _equations(
        self,
        population: Population,
        target: TrainedActivation,
        table_rows: slice,
    ) -> Equations:
        """Return the equations of some rows, `table_rows`, of all samples."""
        workspace = self._workspace
        size = window_size(population)
        channels = population.shape[-1]
        row_count = len(target.current_rows[table_rows])
        inputs = scratch_array((row_count, size), np.float32)
        errors = np.empty((row_count, channels), np.float32)
        sums = PopulationSums(workspace.network, population)
        # A row of inputs takes the memory of this many rows of currents.
        rows_of_currents = -(-size // channels)
        for block in workspace.blocks(population, rows_of_currents):
            rates = workspace.inputs(population, workspace.spiking, block)
            current, volumes = sums.compute_with_inputs(rates, slice(None))
            error = (target.current[block] - current).reshape(-1, channels)
            rows = rows_of_block(block, population.size // channels, table_rows.step)
            inputs[rows.in_table] = windows(population, volumes)[rows.in_block]
            errors[rows.in_table] = error[rows.in_block]
        return Equations(inputs, errors)

    def _reduce_weights(self, population: Population) -> Population:
        """Prune the weights and round them to integers, on request.

        A softmax is replaced first, since this changes its weights.
        """
        settings = self._settings
        workspace = self._workspace
        is_requested = settings.weight_bits is not None or settings.prune > 0
        if population.counts_largest or not is_requested:
            return population
        if population.activation == "softmax":
            population = self._replace_softmax()
        reduced_population = prune(population, settings.prune)
        if settings.weight_bits is not None:
            sender_scales = source_factors(
                workspace.network,
                workspace.channels,
                reduced_population,
            )
            factors = channel_factors(
                workspace.network,
                reduced_population,
                sender_scales,
                settings,
            )
            workspace.integer_factors[population.name] = factors
            reduced_population = round_weights(
                reduced_population,
                sender_scales,
                factors,
                settings.weight_bits,
            )
        workspace.replace(reduced_population)
        return reduced_population

    def _replace_softmax(self) -> Population:
        """Replace the softmax of the output in the network; return the output."""
        self._workspace.network = centred_output(self._workspace.network)
        return self._workspace.network.output

    def _mean_bias(
        self,
        population: Population,
        firing: Firing,
        target: TrainedActivation,
    ) -> np.ndarray:
        """Return the bias with which the mean input current is the trained one.

        It is float32 (channels,).
        """
        channels = len(target.bias)
        total_error = np.zeros(channels)
        for block in self._workspace.blocks(population):
            error = target.current[block] - firing.current(block)
            rows = error.reshape(-1, channels)
            total_error += rows.sum(axis=0, dtype=np.float64)
        mean_error = total_error / len(target.current_rows)
        return (target.bias + mean_error).astype(np.float32)

    def _best_choice(
        self,
        population: Population,
        firing: Firing,
        target: TrainedActivation,
        mean_bias: np.ndarray,
    ) -> Choice:
        """Choose bias, scale factor and delay of each channel; record their errors.

        The choice is that of the parsed network, with a warning, if all candidates have
        larger errors. `mean_bias` is that of `_mean_bias`.
        """
        name = population.name
        sample = firing.sample(target)
        largest = target.largest()
        ones = np.ones((1, len(largest)))
        parsed_scale = self._representable(name, ones)[0]
        parsed_error = firing.error(sample, target.bias, parsed_scale)
        search_bias = firing.search_bias(sample, mean_bias, largest)
        scales = self._representable(name, np.outer(firing.SCALE_SHARES, largest))
        candidates = firing.candidates(sample, search_bias, scales)
        if candidates.smallest_error > parsed_error:
            self.warnings.append(
                f"{name}: the calibration would increase the error and is skipped",
            )
            no_delay = np.zeros((len(largest), 2), np.float32)
            choice = Choice(target.bias, parsed_scale, no_delay, parsed_error)
        else:
            choice = firing.correct(sample, candidates.best(search_bias))
        shift = np.abs((choice.bias - target.bias) / choice.scale)
        self.layers[name] = CalibratedLayer(
            before=parsed_error / sample.power,
            after=choice.error / sample.power,
            bias_shift=float(shift.mean()),
            scale_factors=choice.scale.tolist(),
        )
        return choice

    def _sender_channels(self, population: Population) -> Channels:
        """Return the parameters of a pooling that has the scale factors of its sender.

        A max pooling has no membrane, so its initial potential is 0.
        """
        [scale] = presynaptic_scales(
            self._workspace.network,
            self._workspace.channels,
            population,
        )
        bias = population.channel_bias
        start = np.full_like(bias, 0 if population.counts_largest else 0.5)
        self.layers[population.name] = CalibratedLayer(scale_factors=scale.tolist())
        return Channels(scale, bias, start)

    def _output_channels(
        self,
        population: Population,
        firing: Firing,
        target: TrainedActivation,
        mean_bias: np.ndarray,
    ) -> Channels:
        """Replace a softmax by spikes of its logits minus their mean.

        All classes have one scale factor: that with which most samples get the class of
        the trained network. `mean_bias` is that of `_mean_bias`.
        """
        classes = (target.current + target.bias).argmax(axis=-1)
        blocks = self._workspace.blocks(population)
        current = np.concatenate([firing.current(block) for block in blocks])
        bias = (mean_bias - mean_bias.mean()).astype(np.float32)
        logits = centre(population, current) + bias
        rounded_scale = output_scale(logits, classes, self._steps)
        scale, delay = firing.output(classes, bias, rounded_scale)
        if population.activation == "softmax":
            self._replace_softmax()
        ones = np.ones(population.shape[-1], np.float32)
        scales = self._representable(population.name, scale * ones)
        self.layers[population.name] = CalibratedLayer(scale_factors=scales.tolist())
        return Channels(
            scale=scales,
            bias=bias + np.float32(delay / self._steps) * scales,
            start=np.float32(0.5 - delay) * ones,
        )

    def _representable(self, name: str, scales: np.ndarray) -> np.ndarray:
        """Return the scale factors of a population, (..., channels), as float32.

        In an integer network, they are the nearest ones with integer thresholds.
        """
        factors = self._workspace.integer_factors.get(name)
        if factors is None:
            return scales.astype(np.float32)
        highest = largest_integer(self._settings.threshold_bits)
        thresholds = np.clip(np.rint(scales * factors), 1, highest)
        return (thresholds / factors).astype(np.float32)
