"""Convert a trained network: parse it, verify the result, normalise it, and calibrate, prune or round it on request."""

import logging
from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Mapping, Optional

import numpy as np

from snnb.conversion.calibrate import CalibratedLayer, Calibration, calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.integers import BIAS_BITS, integer_network, largest_integer, prepared_for_integers
from snnb.conversion.normalise import Activity, measure, normalised, scale_factors, with_weights
from snnb.conversion.own_parser import parse_own
from snnb.conversion.rewriting import Channels, presynaptic_scales, prune, quantised_network, rectify, spiking_output
from snnb.core.errors import VerificationError
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import VERIFIED_SAMPLES, Analogue, compare_outputs
from snnb.network.fidelity import Change, Fidelity
from snnb.network.layers import AveragePooling2D, configured
from snnb.network.network import DROPPED, Network
from snnb.network.trained import TrainedNetwork

log = logging.getLogger(__name__)

MORE_WEIGHTS = 1.5  # warn if the parsed network has this many times the weights of the trained network
OUTPUT_STEPS = 100  # time steps for the choice of the scale factor of spikes in place of a softmax
DEFAULT_SETTINGS = ConversionSettings()


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion."""

    parsed: Network  # normalised, in place of the trained network
    spiking: Optional[Network]  # calibrated, pruned, rounded or of quantised activations; None: `parsed` is simulated
    # Largest absolute difference between the outputs of the trained and the parsed, not yet normalised network, which
    # may have average pooling in place of max pooling.
    largest_difference: float
    samples_verified: int
    # Scale factors of the input and each population with weights
    scale_factors: Dict[str, float]
    # Fraction of activations below zero, which spikes cannot represent, of the populations without an activation.
    negative_shares: Dict[str, float]
    warnings: List[str]  # messages for the user, one line each
    # The network without spikes after each change of its function
    changes: Dict[Change, Network]
    calibration: Dict[str, CalibratedLayer]  # by population; scale factors in units of the trained network


def convert(
    trained: TrainedNetwork,
    *,
    x_norm: np.ndarray,
    settings: ConversionSettings = DEFAULT_SETTINGS,
    progress: Progress = silent,
    pixel_scale: float = 1.0,
) -> Conversion:
    """Convert a trained network.

    `x_norm` has the samples for the normalisation and, the first 100 of them, for the verification: float32
    (samples, ...). An integer network reads the rounded pixel × `pixel_scale`; its pixels are in [0, 1].
    `progress` is called with the number of samples that the activations were measured on.

    Raise `InputError` if the network cannot be converted, `VerificationError` if the outputs of the parsed and the
    trained network differ.
    """
    levels, averages = trained.levels, settings.max_pool == "average" and trained.has("MaxPooling2D")
    parsed = parse_own(trained, max_pool=settings.max_pool, rectify_linear=settings.rectify_linear)
    settings = settings.changed(batch_size=min(settings.batch_size, len(x_norm)))
    verified = x_norm[:VERIFIED_SAMPLES]
    reference, unquantised = with_averages(trained) if averages else trained, replace(parsed, levels=None)
    outputs = Analogue(unquantised).outputs(verified)
    largest_difference = check_outputs(outputs, Analogue(replace(reference, levels=None)).outputs(verified))
    if averages:
        largest_difference = float(np.abs(outputs - Analogue(replace(trained, levels=None)).outputs(verified)).max())
    activity = measure(
        unquantised, x_norm, percentile=settings.percentile, batch_size=settings.batch_size, progress=progress
    )
    exact_clip = settings.exact_clip or levels is not None
    factors = scale_factors(parsed, activity.percentiles, exact_clip=exact_clip)
    warnings = list(_warnings(activity, trained, parsed, len(x_norm), settings))
    bounded = (p.activation == "softmax" or (exact_clip and p.max_value is not None) for p in with_weights(parsed))
    if settings.percentile != DEFAULT_SETTINGS.percentile and all(bounded):
        warnings.append("--percentile: ignored, because each layer is scaled by the bound of its activations")
    if settings.firing == "free" and settings.calibrate is None and levels is None:
        warnings.append("--firing free: ignored without --calibrate, because the network was not trained with qcfs")
    network = normalised(parsed, factors)
    changes: Dict[Change, Network] = {"average_pooling": network} if averages else {}
    if settings.rectify_linear and rectify(network) is not network:
        changes["rectification"] = rectify(network)
    rounded = settings.weight_bits is not None or settings.prune > 0
    # A Keras file does not state the rule of max pooling.
    spiking = network if settings.max_pool == "toolbox" and trained.has("MaxPooling2D") else None
    layers: Dict[str, CalibratedLayer] = {}
    if settings.calibrate is not None:
        calibration = calibrate(network, x_norm[: settings.samples_to_calibrate], settings, progress, pixel_scale)
        warnings += calibration.warnings
        layers = _in_trained_units(calibration, factors)
        spiking, weights = calibration.network, calibration.weights
    elif levels is not None or rounded:
        spiking = weights = spiking_network(network, x_norm, settings, pixel_scale)
    if spiking is not None and settings.weight_bits is not None:
        bias_limit = largest_integer(BIAS_BITS)
        for population in spiking.populations:
            if population.bias is not None and np.abs(population.bias).max() == bias_limit:
                warnings.append(f"{population.name} has biases of more than {BIAS_BITS} bits: clipped")
    if rounded:
        change: Change = "pruning"
        if settings.weight_bits is not None:
            change = "pruning_and_rounding" if settings.prune else "rounding"
        changes[change] = rectify(weights.as_trained(levels))
    if spiking is not None and settings.prune:
        spiking = replace(spiking, zeros=DROPPED)
    return Conversion(
        parsed=network,
        spiking=spiking,
        largest_difference=largest_difference,
        samples_verified=len(verified),
        scale_factors=factors,
        negative_shares={name: activity.negative_shares[name] for name in linear_ends(parsed)},
        warnings=warnings,
        changes=changes,
        calibration=layers,
    )


def with_averages(network: TrainedNetwork) -> TrainedNetwork:
    """Return the network with average pooling in place of max pooling."""
    pools = [layer for layer in network.layers if layer.kind == "MaxPooling2D"]
    return network.with_layers(
        {p.name: replace(p, layer=configured(AveragePooling2D, p.layer.model_dump(), p.name)) for p in pools}
    )


def check_outputs(
    outputs: np.ndarray, reference: np.ndarray, advice: str = "simplify the model and train it again"
) -> float:
    """Compare outputs of the parsed and the trained network; return the largest absolute difference.

    Raise `VerificationError`, with advice, if they differ by more than the tolerance, or an output is not finite.
    """
    largest, is_close = compare_outputs(outputs, reference)
    if not is_close:
        sample = int(np.abs(outputs - reference).max(axis=1).argmax())
        raise VerificationError(
            f"the parsed model's outputs differ from the trained model's by up to {largest:.3g} (sample {sample}): "
            f"{advice}"
        )
    return largest


def spiking_network(network: Network, x_norm: np.ndarray, settings: ConversionSettings, pixel_scale: float) -> Network:
    """Return the spiking network of a network with quantised activations, a pruned or an integer network."""
    if network.levels is not None:
        network = quantised_network(network, x_norm, settings.firing)
    if settings.weight_bits is not None and network.output.activation == "softmax":
        network = spiking_output(network, x_norm, OUTPUT_STEPS)
    if settings.prune:
        network = network.with_populations([prune(p, settings.prune) for p in network.populations])
    if settings.weight_bits is None:
        return network
    return integer_network(prepared_for_integers(network, settings, pixel_scale), settings)


def _in_trained_units(calibration: Calibration, factors: Mapping[str, float]) -> Dict[str, CalibratedLayer]:
    """Return the calibrated populations with scale factors in the units of the trained network."""
    layers, none = {}, np.zeros(1)
    units = {name: Channels(np.array([factor]), none, none) for name, factor in factors.items()}
    for name, layer in calibration.layers.items():
        if name not in units:  # a pooling has the unit of its input
            population = next(p for p in calibration.network.populations if p.name == name)
            [read] = presynaptic_scales(calibration.network, units, population)
            units[name] = Channels(read, none, none)
        scales = (np.array(layer.scale_factors) * units[name].scale).tolist()
        layers[name] = layer.model_copy(update={"scale_factors": scales})
        if layer.before is not None:
            log.info("%s: mean squared error %.4f → %.4f", name, layer.before, layer.after)
    return layers


def linear_ends(network: Network) -> List[str]:
    """Return the names of the populations with weights that have no activation."""
    return [population.name for population in with_weights(network) if population.activation == "linear"]


def _warnings(
    activity: Activity, trained: TrainedNetwork, parsed: Network, samples: int, settings: ConversionSettings
) -> Iterator[str]:
    for name in activity.silent:
        yield f"{name} is never active on the normalisation samples; its scale factor is 1"
    for name in linear_ends(parsed):
        if activity.negative_shares[name] > 0:
            share = f"{activity.negative_shares[name]:.1%}"
            yield f"{name} has no activation: spiking neurons rectify the {share} of its values that are negative"
    rest = samples % settings.batch_size
    if rest:
        yield f"the last {rest} of {samples} normalisation samples do not fill a batch and are ignored"
    kernels = [p.kernel.size for each in parsed.populations for p in each.projections if p.kernel is not None]
    # Without the biases of positions, which are no synapses
    biases = [each.channel_bias.size for each in parsed.populations if each.bias is not None]
    before, after = trained.weights, sum(kernels) + sum(biases)
    if after > MORE_WEIGHTS * before:
        yield (
            f"{after:,} weights instead of {before:,}, {after / before:.1f} times as many: a layer without "
            "activation is merged into each target population"
        )
    if settings.exact_clip and not any(each.max_value is not None for each in parsed.populations):
        yield "--exact-clip: no layer has a clipped activation"
    if settings.max_pool != "exact" and not trained.has("MaxPooling2D"):
        yield f"--max-pool {settings.max_pool} has no effect: the network has no max pooling"


def measure_fidelity(
    trained: TrainedNetwork,
    changes: Mapping[Change, Network],
    x: np.ndarray,
    y: Optional[np.ndarray],
    output_scale: float = 1.0,
) -> Fidelity:
    """Measure the trained network and the network after each change on the same samples.

    `x` are images, float32 (samples, height, width, channels) in [0, 1]; `y` their class ids, or None for a network
    that reproduces its input, whose output of 1 stands for `output_scale` in a changed network.
    """
    figures = []
    analogues = [(Analogue(trained), 1.0), *((Analogue(network), output_scale) for network in changes.values())]
    for analogue, unit in analogues:
        values = analogue.outputs(x)
        if y is not None:
            figures.append(float((values.argmax(axis=1) == y).mean()))
        else:
            figures.append(float(np.square(values.astype(np.float64) * unit - x.reshape(len(x), -1)).mean()))
    ann, *after = figures
    return Fidelity(samples=len(x), classifies=y is not None, trained=ann, after=dict(zip(changes, after)))
