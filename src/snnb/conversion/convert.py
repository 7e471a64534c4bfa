"""Convert a trained model to a parsed, verified and normalised one, with the toolbox's parser or the own parser."""

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import numpy as np

from snnb.conversion.calibrate import Calibration, calibrate
from snnb.conversion.channel_scales import pruned
from snnb.conversion.checks import check_architecture
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.currents import AnalogueNetwork
from snnb.conversion.h5 import load_keras, read_architecture, read_levels, save_keras
from snnb.conversion.integers import in_thresholds, integer_network, prepared_for_integers
from snnb.conversion.normalise import Activity, apply_factors, clipped, linear_ends, measure, scale_factors
from snnb.conversion.numeric_check import check_outputs, permitted, reference_outputs
from snnb.conversion.own_parser import parse_own
from snnb.conversion.spiking_output import quantised_network, spiking_output
from snnb.conversion.toolbox_config import configuration, write_changes
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.io.keras import keras
from snnb.network.network import DROPPED, KEPT, Network, Population
from snnb.network.read_network import open_network, read_network, write_spiking

log = logging.getLogger(__name__)

MORE_WEIGHTS = 1.5  # warn if the parsed model has this many times the weights of the trained model
ROUNDING = "the parsed and the trained model differ by up to {:.3g} in float32, by rounding only: in float64 they agree"
OUTPUT_STEPS = 100  # time steps for the choice of the scale factor of spikes in place of a softmax
DEFAULT_SETTINGS = ConversionSettings()


@dataclass(frozen=True)
class ConversionResult:
    """Result of a conversion."""

    # Largest absolute difference between the outputs of the trained and the parsed, not yet normalised model.
    largest_difference: float
    samples_verified: int
    samples_normalised: int
    # Scale factors of the input and each layer with weights; a population of several layers is named by the last one.
    scale_factors: Dict[str, float]
    # Share of activations below zero, which spikes cannot represent, of the layers without an activation.
    negative_shares: Dict[str, float]
    warnings: List[str]  # messages for the user, one line each
    parser: str  # "toolbox" or "own"
    # Share of the verified samples whose class pruning and rounding the weights changes; None without either
    changed_classes: Optional[float]
    timing: Dict[str, int]  # number of time steps, latency and interval of a network for a number of time steps; or {}


def convert(
    model_path: Path,
    target: Path,
    *,
    name: str,
    x_norm: np.ndarray,
    x_check: np.ndarray,
    settings: ConversionSettings = DEFAULT_SETTINGS,
    progress: Progress = silent,
    pixel_scale: float = 1.0,
) -> ConversionResult:
    """Write `name_parsed.h5`, `config` and `scale_factors.json` into `target`.

    Parameters
    ----------
    model_path : Path
        The trained model, a Keras h5 file.
    target : Path
        An existing directory.
    name : str
        Name of the model.
    x_norm, x_check : np.ndarray
        Samples for the normalisation and the verification (the first 100), float32 `(samples, ...)` in [0, 1].
    settings : ConversionSettings
    progress : Progress
        Called with the number of samples that the activations were measured on.
    pixel_scale : float
        Divisor of the values of the data set: a pixel is value / `pixel_scale`, in an integer network the value.

    Raises
    ------
    InputError
        The file does not hold a model, or the model cannot be converted, or the samples do not fit it.
    VerificationError
        The outputs of the parsed and the trained model differ.
    """
    description, levels = read_architecture(model_path), read_levels(model_path)
    max_pool, rectify_linear = settings.max_pool, settings.rectify_linear
    parser = check_architecture(description, max_pool=max_pool, rectify_linear=rectify_linear, parser=settings.parser)
    log.info("parsed by %s", "snntoolbox's parser" if parser == "toolbox" else "snnb's own parser")
    trained = load_keras(model_path)
    if parser == "own":
        parsed = parse_own(trained, max_pool=max_pool, rectify_linear=rectify_linear)
    _check_samples(trained, x_norm, x_check)
    settings = settings.changed(batch_size=min(settings.batch_size, len(x_norm)))
    parameters = configuration(name, [settings], dataset_path="../dataset")
    reference = reference_outputs(trained, x_check, max_pool=max_pool)
    if parser == "toolbox":
        from snnb.conversion.toolbox_parser import to_parsed

        parsed = to_parsed(trained, parameters)

    def exact() -> np.ndarray:  # loads the model again, since the toolbox's parser has edited its graph
        return reference_outputs(load_keras(model_path), x_check, max_pool=max_pool, in_float64=True)

    largest_difference = check_outputs(parsed, x_check, reference, parser=parser, exact=exact)
    activity = measure(
        parsed,
        x_norm,
        percentile=settings.percentile,
        schedule=settings.normalization_schedule,
        batch_size=settings.batch_size,
        progress=progress,
    )
    factors = scale_factors(parsed, activity.percentiles, exact_clip=settings.exact_clip or levels is not None)
    apply_factors(parsed, factors)
    save_keras(parsed, parsed_path := target / f"{name}_parsed.h5", f"{name}_parsed", levels)
    write_changes(parameters, target / "config")
    (target / "scale_factors.json").write_text(json.dumps(factors, indent=2) + "\n")
    warnings = list(_warnings(activity, trained, parsed, len(x_norm), settings))
    if largest_difference > permitted(reference):
        warnings.append(ROUNDING.format(largest_difference))
    weights: Optional[Network] = None
    if settings.calibrate is not None:
        calibration = _calibrate(parsed_path, x_norm, settings, factors, progress, pixel_scale)
        warnings += calibration.warnings
        weights = calibration.weights
    elif levels is not None or settings.weight_bits is not None or settings.prune:
        spiking = spiking_network(read_network(parsed_path), x_norm, settings, pixel_scale)
        write_spiking(spiking, parsed_path)
        weights = in_thresholds(spiking)
    changed = None
    with open_network(parsed_path, trained=True) as network:
        classifies = network.output.activation == "softmax"
    if weights is not None and (settings.weight_bits is not None or settings.prune) and levels is None and classifies:
        classes = AnalogueNetwork(weights).outputs(x_check[: len(reference)]).argmax(axis=-1)  # without spikes
        changed = float((classes != reference.reshape(len(reference), -1).argmax(axis=-1)).mean())
    timing: Dict[str, int] = {}
    with open_network(parsed_path) as network:
        if network.steps is not None:
            latency, interval = network.latency(network.steps), network.interval(network.steps)
            timing = {"calibrated_steps": network.steps, "latency_steps": latency, "interval_steps": interval}
    return ConversionResult(
        largest_difference=largest_difference,
        samples_verified=len(reference),
        samples_normalised=len(x_norm) - len(x_norm) % settings.batch_size,
        scale_factors=factors,
        negative_shares={layer: activity.negative_shares[layer] for layer in linear_ends(parsed)},
        warnings=warnings,
        parser=parser,
        changed_classes=changed,
        timing=timing,
    )


def spiking_network(network: Network, x_norm: np.ndarray, settings: ConversionSettings, pixel_scale: float) -> Network:
    """Return the spiking network of one trained with quantised activations, a pruned or an integer network."""
    if network.levels is not None:
        network = quantised_network(network, x_norm, settings.firing)
    network = replace(network, zeros=zeros_of(settings))
    if settings.weight_bits is not None and network.output.activation == "softmax":
        network = spiking_output(network, x_norm, OUTPUT_STEPS)
    if settings.prune:
        volumes = (pruned(v, settings.prune) if isinstance(v, Population) else v for v in network.volumes)
        network = replace(network, volumes=tuple(volumes))
    if settings.weight_bits is None:
        return network
    return integer_network(prepared_for_integers(network, settings, pixel_scale, x_norm), settings)


def zeros_of(settings: ConversionSettings) -> Optional[str]:
    """Return the meaning of a weight of 0; see `Network.zeros`."""
    if not settings.prune:
        return None
    return KEPT if settings.keep_zeros else DROPPED


def _calibrate(
    parsed: Path,
    x_norm: np.ndarray,
    settings: ConversionSettings,
    factors: Dict[str, float],
    progress: Progress,
    pixel_scale: float,
) -> Calibration:
    """Calibrate the parsed network, write it into its file, and `calibration.json` next to it."""
    network = read_network(parsed)
    calibration = calibrate(network, x_norm[: settings.calibration_samples], settings, progress, pixel_scale)
    write_spiking(replace(calibration.network, zeros=zeros_of(settings)), parsed)
    document = {}
    for name, layer in calibration.layers.items():
        scales = [scale * factors.get(name, 1.0) for scale in layer.scale_factors]
        document[name] = layer.model_copy(update={"scale_factors": scales}).model_dump()
        if layer.before is not None:
            log.info("%s: mean squared error %.4f → %.4f", name, layer.before, layer.after)
    (parsed.parent / "calibration.json").write_text(json.dumps(document, indent=2) + "\n")
    return calibration


def _warnings(
    activity: Activity, trained: keras.Model, parsed: keras.Model, samples: int, settings: ConversionSettings
) -> Iterator[str]:
    for layer in activity.silent:
        yield f"{layer} is never active on the normalisation samples: scale factor 1"
    for layer in linear_ends(parsed):
        if activity.negative_shares[layer] > 0:
            share = f"{activity.negative_shares[layer]:.1%}"
            yield f"{layer} has no activation: spikes rectify the {share} of its values that are negative"
    rest = samples % settings.batch_size
    if rest:
        yield f"the last {rest} of {samples} normalisation samples do not fill a batch: not used"
    before, after = trained.count_params(), parsed.count_params()
    if after > MORE_WEIGHTS * before:
        yield (
            f"{after:,} weights instead of {before:,}, {after / before:.1f} times as many: a layer without activation "
            "is composed into each population that reads it"
        )
    if settings.exact_clip and not clipped(parsed):
        yield "--exact-clip: no layer clips its activations"


def _check_samples(model: keras.Model, x_norm: np.ndarray, x_check: np.ndarray) -> None:
    for purpose, x in (("normalisation", x_norm), ("verification", x_check)):
        if len(x) == 0:
            raise InputError(f"there are no samples for the {purpose}: prepare more")
        if x.shape[1:] != model.input_shape[1:]:
            raise InputError(
                f"samples for the {purpose} have the shape {x.shape[1:]}, the model takes {model.input_shape[1:]}: "
                "prepare the data set that the model was trained on"
            )
