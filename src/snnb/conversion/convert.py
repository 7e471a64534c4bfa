"""Convert a trained network.

It is parsed, the result is verified and normalised, and on request calibrated, pruned
or rounded.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, TypeVar, Union

import numpy as np

from snnb.conversion.calibrate import CalibratedLayer, Calibration, calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.integers import (
    BIAS_BITS,
    integer_network,
    largest_integer,
    prepare_for_integers,
)
from snnb.conversion.normalise import (
    Activity,
    measure,
    normalise_weights,
    scale_factors,
    with_weights,
)
from snnb.conversion.own_parser import parse_own
from snnb.conversion.rewriting import (
    Channels,
    presynaptic_scales,
    prune,
    quantised_network,
    rectify,
    spiking_output,
)
from snnb.core.errors import VerificationError
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import VERIFIED_SAMPLES, Analogue, compare_outputs
from snnb.network.converted import ConvertedNetwork
from snnb.network.fidelity import Change, Fidelity
from snnb.network.layers import AveragePooling2D, configured
from snnb.network.network import DROPPED, Network
from snnb.network.read_network import write_parsed, write_spiking
from snnb.network.trained import TrainedLayer, TrainedNetwork

log = logging.getLogger(__name__)

# Warn if the parsed network has this many times the weights of the trained network
MORE_WEIGHTS = 1.5
# Time steps for the choice of the scale factor of spikes in place of a softmax
OUTPUT_STEPS = 100
DEFAULT_SETTINGS = ConversionSettings()
M = TypeVar("M", bound=ConvertedNetwork)


@dataclass(frozen=True, eq=False, repr=False)
class Conversion(ConvertedNetwork):
    """Result of a conversion: the network to simulate, and how it was made."""

    parsed: Network  # normalised, in place of the trained network
    # Calibrated, pruned, rounded or of quantised activations; None: `parsed` is
    # simulated
    spiking: Optional[Network]
    # Largest absolute difference between the outputs of the trained and the parsed, not
    # yet normalised network, which may have average pooling in place of max pooling.
    largest_difference: float
    samples_verified: int
    # Scale factors of the input and each population with weights
    scale_factors: Dict[str, float]
    # Fraction of activations below zero, which spikes cannot represent, of the
    # populations without an activation.
    negative_shares: Dict[str, float]
    warnings: List[str]  # messages for the user, one line each
    # The network without spikes after each change of its function
    changes: Dict[Change, Network]
    # By population; scale factors in units of the trained network
    calibration: Dict[str, CalibratedLayer]

    def write(self, path: Union[str, Path]) -> None:
        """Write the network as MODEL_parsed.h5, which Keras and `snnb` read.

        Parameters
        ----------
        path : str or Path
        """
        path = Path(path)
        write_parsed(self.parsed, path, path.stem)
        if self.spiking is not None or self.network is not self.parsed:
            write_spiking(self.network, path)


def convert(
    trained_network: TrainedNetwork,
    *,
    x_norm: np.ndarray,
    settings: ConversionSettings = DEFAULT_SETTINGS,
    progress: Progress = silent,
    pixel_scale: float = 1.0,
) -> Conversion:
    """Convert a trained network.

    `x_norm` has the samples for the normalisation and, the first 100 of them, for the
    verification: float32 (samples, ...). An integer network reads the rounded pixel ×
    `pixel_scale`; its pixels are in [0, 1]. `progress` is called with the number of
    samples that the activations were measured on.

    Raise `InputError` if the network cannot be converted, `VerificationError` if the
    outputs of the parsed and the trained network differ.
    """
    levels = trained_network.levels
    has_max_pooling = trained_network.has("MaxPooling2D")
    averages = settings.max_pool == "average" and has_max_pooling
    parsed_network = parse_own(
        trained_network,
        max_pool=settings.max_pool,
        rectify_linear=settings.rectify_linear,
    )
    settings = settings.changed(batch_size=min(settings.batch_size, len(x_norm)))
    verified_samples = x_norm[:VERIFIED_SAMPLES]
    reference = with_averages(trained_network) if averages else trained_network
    network_without_levels = replace(parsed_network, levels=None)
    outputs = Analogue(network_without_levels).outputs(verified_samples)
    reference_outputs = _outputs_without_levels(reference, verified_samples)
    largest_difference = check_outputs(outputs, reference_outputs)
    if averages:
        trained_outputs = _outputs_without_levels(trained_network, verified_samples)
        largest_difference = float(np.abs(outputs - trained_outputs).max())
    activity = measure(
        network_without_levels,
        x_norm,
        percentile=settings.percentile,
        batch_size=settings.batch_size,
        progress=progress,
    )
    exact_clip = settings.exact_clip or levels is not None
    factors = scale_factors(parsed_network, activity.percentiles, exact_clip=exact_clip)
    warnings = list(
        _warnings(activity, trained_network, parsed_network, len(x_norm), settings)
    )
    has_percentile = settings.percentile != DEFAULT_SETTINGS.percentile
    if has_percentile and _are_bounded(parsed_network, exact_clip):
        reason = "because each layer is scaled by the bound of its activations"
        warnings.append(f"--percentile: ignored, {reason}")
    if settings.firing == "free" and settings.calibrate is None and levels is None:
        reason = "because the network was not trained with qcfs"
        warnings.append(f"--firing free: ignored without --calibrate, {reason}")
    network = normalise_weights(parsed_network, factors)
    changes: Dict[Change, Network] = {"average_pooling": network} if averages else {}
    if settings.rectify_linear and rectify(network) is not network:
        changes["rectification"] = rectify(network)
    changes_weights = settings.weight_bits is not None or settings.prune > 0
    spiking = None
    if settings.max_pool == "toolbox" and has_max_pooling:
        spiking = network  # a Keras file does not state the rule of max pooling
    layers: Dict[str, CalibratedLayer] = {}
    if settings.calibrate is not None:
        calibration = calibrate(
            network,
            x_norm[: settings.samples_to_calibrate],
            settings,
            progress,
            pixel_scale,
        )
        warnings += calibration.warnings
        layers = _to_trained_units(calibration, factors)
        spiking = calibration.network
        changed_network = calibration.weights
    elif levels is not None or changes_weights:
        spiking = spiking_network(network, x_norm, settings, pixel_scale)
        changed_network = spiking
    if spiking is not None and settings.weight_bits is not None:
        warnings += _warnings_of_clipped_biases(spiking)
    if changes_weights:
        change: Change = "pruning"
        if settings.weight_bits is not None:
            change = "pruning_and_rounding" if settings.prune else "rounding"
        changes[change] = rectify(changed_network.as_trained(levels))
    if spiking is not None and settings.prune:
        spiking = replace(spiking, zeros=DROPPED)
    negative_shares: Dict[str, float] = {}
    for name in linear_ends(parsed_network):
        negative_shares[name] = activity.negative_shares[name]
    return Conversion(
        network=spiking or network,
        analogue=trained_network if averages else network,
        output_scale=unit_of_output(factors),
        multiply_accumulates=trained_network.multiply_accumulates,
        fidelity=None,
        parsed=network,
        spiking=spiking,
        largest_difference=largest_difference,
        samples_verified=len(verified_samples),
        scale_factors=factors,
        negative_shares=negative_shares,
        warnings=warnings,
        changes=changes,
        calibration=layers,
    )


def with_spiking_output(model: M, x_norm: np.ndarray, steps: int) -> M:
    """Replace a softmax output by neurons that spike, for a number of time steps."""
    if model.network.output.activation != "softmax":
        return model
    return replace(model, network=spiking_output(model.network, x_norm, steps))


def unit_of_output(scale_factors: Mapping[str, float]) -> float:
    """Return the activation of the last layer that corresponds to a firing rate of 1."""
    return [1.0, *scale_factors.values()][-1]


def _outputs_without_levels(network: TrainedNetwork, x: np.ndarray) -> np.ndarray:
    """Return the outputs of a trained network without quantised activations."""
    return Analogue(replace(network, levels=None)).outputs(x)


def _are_bounded(network: Network, exact_clip: bool) -> bool:
    """Whether no percentile is used: all populations have activations with a bound."""
    for population in with_weights(network):
        is_clipped = exact_clip and population.max_value is not None
        if population.activation != "softmax" and not is_clipped:
            return False
    return True


def _warnings_of_clipped_biases(network: Network) -> Iterator[str]:
    """Yield a message for each population of an integer network with clipped biases."""
    largest_bias = largest_integer(BIAS_BITS)
    for population in network.populations:
        bias = population.bias
        if bias is not None and np.abs(bias).max() == largest_bias:
            subject = f"{population.name} has biases of more than {BIAS_BITS} bits"
            yield f"{subject}: clipped"


def with_averages(network: TrainedNetwork) -> TrainedNetwork:
    """Return the network with average pooling in place of max pooling."""
    replacements: Dict[str, TrainedLayer] = {}
    for layer in network.layers:
        if layer.kind == "MaxPooling2D":
            settings = layer.layer.model_dump()
            pooling = configured(AveragePooling2D, settings, layer.name)
            replacements[layer.name] = replace(layer, layer=pooling)
    return network.with_layers(replacements)


def check_outputs(
    outputs: np.ndarray,
    reference: np.ndarray,
    advice: str = "simplify the model and train it again",
) -> float:
    """Compare outputs of the parsed and the trained network.

    Return the largest absolute difference.

    Raise `VerificationError`, with advice, if they differ by more than the tolerance,
    or an output is not finite.
    """
    largest, is_close = compare_outputs(outputs, reference)
    if not is_close:
        sample = int(np.abs(outputs - reference).max(axis=1).argmax())
        raise VerificationError(
            "the parsed model's outputs differ from the trained model's by up to "
            f"{largest:.3g} (sample {sample}): {advice}",
        )
    return largest


def spiking_network(
    network: Network,
    x_norm: np.ndarray,
    settings: ConversionSettings,
    pixel_scale: float,
) -> Network:
    """Return the spiking network of a normalised network without calibration.

    The network has quantised activations, or is pruned or rounded to integers.
    """
    if network.levels is not None:
        network = quantised_network(network, x_norm, settings.firing)
    if settings.weight_bits is not None and network.output.activation == "softmax":
        network = spiking_output(network, x_norm, OUTPUT_STEPS)
    if settings.prune:
        share = settings.prune
        populations = [prune(population, share) for population in network.populations]
        network = network.with_populations(populations)
    if settings.weight_bits is None:
        return network
    network = prepare_for_integers(network, settings, pixel_scale)
    return integer_network(network, settings)


def _to_trained_units(
    calibration: Calibration,
    factors: Mapping[str, float],
) -> Dict[str, CalibratedLayer]:
    """Return the calibrated populations by name.

    Their scale factors are in the units of the trained network.
    """
    layers: Dict[str, CalibratedLayer] = {}
    none = np.zeros(1)
    units: Dict[str, Channels] = {}
    for name, factor in factors.items():
        units[name] = Channels(np.array([factor]), none, none)
    network = calibration.network
    for name, layer in calibration.layers.items():
        if name not in units:  # a pooling has the unit of its input
            population = next(p for p in network.populations if p.name == name)
            [unit] = presynaptic_scales(network, units, population)
            units[name] = Channels(unit, none, none)
        scales = (np.array(layer.scale_factors) * units[name].scale).tolist()
        layers[name] = layer.model_copy(update={"scale_factors": scales})
        if layer.before is not None:
            message = "%s: mean squared error %.4f → %.4f"
            log.info(message, name, layer.before, layer.after)
    return layers


def linear_ends(network: Network) -> List[str]:
    """Return the names of the populations with weights that have no activation."""
    names = []
    for population in with_weights(network):
        if population.activation == "linear":
            names.append(population.name)
    return names


def _warnings(
    activity: Activity,
    trained_network: TrainedNetwork,
    network: Network,
    samples: int,
    settings: ConversionSettings,
) -> Iterator[str]:
    """Yield a message for each thing that the user should know of a conversion.

    `samples` is the number of samples of the normalisation.
    """
    for name in activity.silent:
        subject = f"{name} is never active on the normalisation samples"
        yield f"{subject}; its scale factor is 1"
    for name in linear_ends(network):
        if activity.negative_shares[name] > 0:
            share = f"{activity.negative_shares[name]:.1%}"
            subject = f"{name} has no activation"
            fault = f"spiking neurons rectify the {share} of its values"
            yield f"{subject}: {fault} that are negative"
    rest = samples % settings.batch_size
    if rest:
        subject = f"the last {rest} of {samples} normalisation samples"
        yield f"{subject} do not fill a batch and are ignored"
    count_before = trained_network.weights
    count = 0
    for population in network.populations:
        for projection in population.projections:
            count += 0 if projection.kernel is None else projection.kernel.size
        if population.bias is not None:
            # Without the biases of positions, which are no synapses
            count += population.channel_bias.size
    if count > MORE_WEIGHTS * count_before:
        yield (
            f"{count:,} weights instead of {count_before:,}, "
            f"{count / count_before:.1f} times as many: a layer without activation is "
            "merged into each target population"
        )
    max_values = [population.max_value for population in network.populations]
    if settings.exact_clip and not any(value is not None for value in max_values):
        yield "--exact-clip: no layer has a clipped activation"
    if settings.max_pool != "exact" and not trained_network.has("MaxPooling2D"):
        subject = f"--max-pool {settings.max_pool} has no effect"
        yield f"{subject}: the network has no max pooling"


def measure_fidelity(
    trained_network: TrainedNetwork,
    changes: Mapping[Change, Network],
    x: np.ndarray,
    y: Optional[np.ndarray],
    output_scale: float = 1.0,
) -> Fidelity:
    """Measure the trained network, and the network after each change.

    All are measured on the same samples.

    `x` are images, float32 (samples, height, width, channels) in [0, 1]; `y` their
    class ids, or None for a network that reproduces its input, whose output of 1 stands
    for `output_scale` in a changed network.
    """
    analogues = [(Analogue(trained_network), 1.0)]
    for network in changes.values():
        analogues.append((Analogue(network), output_scale))
    metrics = []
    for analogue, unit in analogues:
        outputs = analogue.outputs(x)
        if y is not None:
            metrics.append(float((outputs.argmax(axis=1) == y).mean()))
        else:
            errors = outputs.astype(np.float64) * unit - x.reshape(len(x), -1)
            metrics.append(float(np.square(errors).mean()))
    return Fidelity(
        samples=len(x),
        classifies=y is not None,
        trained=metrics[0],
        after=dict(zip(changes, metrics[1:])),
    )
