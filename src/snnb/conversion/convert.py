"""Convert a trained model to a parsed, verified and normalised one, with the toolbox's parser or snnb's parser."""

import json
import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

import numpy as np

from snnb.conversion.calibrate import Calibration, calibrate
from snnb.conversion.conversion_settings import ConversionSettings, Parser
from snnb.conversion.fidelity import Change
from snnb.conversion.integers import BIAS_BITS, integer_network, largest_integer, prepared_for_integers
from snnb.conversion.keras_graph import unrolled_model
from snnb.conversion.layer_rules import choose_parser
from snnb.conversion.normalise import (
    Activity,
    apply_factors,
    clipped,
    linear_ends,
    measure,
    scale_factors,
    uses_percentiles,
)
from snnb.conversion.own_parser import parse_own
from snnb.conversion.rewriting import Channels, presynaptic_scales, pruned, quantised_network, rectified, spiking_output
from snnb.conversion.toolbox_config import configuration, write_changes
from snnb.core.errors import InputError, VerificationError
from snnb.core.progress import Progress, silent
from snnb.io.hdf5 import copy_attributes, in_memory, write_array, writing
from snnb.io.keras import keras, older_description
from snnb.io.keras_file import QCFS_LEVELS, load_model, read_levels
from snnb.network.network import DROPPED, Network
from snnb.network.read_network import read_network, write_spiking

log = logging.getLogger(__name__)

VERIFIED_SAMPLES = 100
TOLERANCE = 1e-3
MORE_WEIGHTS = 1.5  # warn if the parsed model has this many times the weights of the trained model
ROUNDING = "the parsed and the trained model differ by up to {:.3g} in float32, due to rounding; in float64 they agree"
OUTPUT_STEPS = 100  # time steps for the choice of the scale factor of spikes in place of a softmax
DEFAULT_SETTINGS = ConversionSettings()


@dataclass(frozen=True)
class ConversionResult:
    """Result of a conversion."""

    # Largest absolute difference between the outputs of the trained and the parsed, not yet normalised model, which may
    # have average pooling in place of max pooling.
    largest_difference: float
    samples_verified: int
    # Scale factors of the input and each layer with weights; a population of several layers is named by the last one.
    scale_factors: Dict[str, float]
    # Fraction of activations below zero, which spikes cannot represent, of the layers without an activation.
    negative_shares: Dict[str, float]
    warnings: List[str]  # messages for the user, one line each
    parser: str  # "toolbox" or "own"
    # The network without spikes after each change of its function
    changes: Dict[Change, Network]
    timing: Dict[str, int]  # number of time steps, latency and interval of a network for a number of time steps; or {}


def convert(
    model_path: Path,
    target: Path,
    *,
    name: str,
    x_norm: np.ndarray,
    settings: ConversionSettings = DEFAULT_SETTINGS,
    progress: Progress = silent,
    pixel_scale: float = 1.0,
) -> ConversionResult:
    """Convert the model of a Keras h5 file; write `name_parsed.h5`, `config` and `scale_factors.json` into `target`.

    `x_norm` has the samples for the normalisation and, the first 100 of them, for the verification: float32
    (samples, ...). An integer network reads the rounded pixel × `pixel_scale`; its pixels are in [0, 1].
    `progress` is called with the number of samples that the activations were measured on.

    Raise `InputError` if the file does not hold a model, or the model cannot be converted, `VerificationError` if the
    outputs of the parsed and the trained model differ.
    """
    trained, levels = load_model(model_path), read_levels(model_path)
    max_pool, rectify_linear = settings.max_pool, settings.rectify_linear
    parser = choose_parser(trained, max_pool=max_pool, rectify_linear=rectify_linear, parser=settings.parser)
    log.info("parsed by %s", "snntoolbox's parser" if parser == "toolbox" else "snnb's own parser")
    if parser == "own":
        parsed = parse_own(trained, max_pool=max_pool, rectify_linear=rectify_linear)
    settings = settings.changed(batch_size=min(settings.batch_size, len(x_norm)))
    parameters = configuration(name, [settings], dataset_path="../dataset")
    reference = reference_outputs(trained, x_norm, max_pool=max_pool)
    averaged = max_pool == "average" and _has_max_pooling(trained)
    as_trained = reference_outputs(trained, x_norm, max_pool="error") if averaged else reference
    if parser == "toolbox":
        from snnb.conversion.toolbox import to_parsed

        parsed = to_parsed(trained, parameters)

    def exact() -> np.ndarray:  # loads the model again, since the toolbox's parser has edited its graph
        return reference_outputs(load_model(model_path), x_norm, max_pool=max_pool, in_float64=True)

    rounding_error = check_outputs(parsed, x_norm, reference, exact, parser)
    largest_difference = rounding_error
    if averaged:
        largest_difference = float(np.abs(parsed.predict(x_norm[:VERIFIED_SAMPLES], verbose=0) - as_trained).max())
    activity = measure(
        parsed,
        x_norm,
        percentile=settings.percentile,
        batch_size=settings.batch_size,
        progress=progress,
    )
    exact_clip = settings.exact_clip or levels is not None
    factors = scale_factors(parsed, activity.percentiles, exact_clip=exact_clip)
    apply_factors(parsed, factors)
    save_keras(parsed, parsed_path := target / f"{name}_parsed.h5", f"{name}_parsed", levels)
    write_changes(parameters, target / "config")
    (target / "scale_factors.json").write_text(json.dumps(factors, indent=2) + "\n", encoding="utf-8")
    warnings = list(_warnings(activity, trained, parsed, len(x_norm), settings))
    if settings.percentile != DEFAULT_SETTINGS.percentile and not uses_percentiles(parsed, exact_clip=exact_clip):
        warnings.append("--percentile: ignored, because each layer is scaled by the bound of its activations")
    if settings.firing == "free" and settings.calibrate is None and levels is None:
        warnings.append("--firing free: ignored without --calibrate, because the network was not trained with qcfs")
    if rounding_error > permitted(reference):
        warnings.append(ROUNDING.format(rounding_error))
    timing: Dict[str, int] = {}
    rounded = settings.weight_bits is not None or settings.prune > 0
    spikes = settings.calibrate is not None or levels is not None or rounded
    changes: Dict[Change, Network] = {}
    if averaged or rectify_linear or spikes:
        network = read_network(parsed_path)
        changes = {"average_pooling": network} if averaged else {}
        if rectify_linear and rectified(network) is not network:
            changes["rectification"] = rectified(network)
    if spikes:
        if settings.calibrate is not None:
            samples = x_norm[: settings.calibration_samples]
            calibration = calibrate(network, samples, settings, progress, pixel_scale)
            warnings += calibration.warnings
            _write_calibration(calibration, factors, target / "calibration.json")
            spiking, weights = replace(calibration.network, zeros=zeros_of(settings)), calibration.weights
        else:
            spiking = weights = spiking_network(network, x_norm, settings, pixel_scale)
        bias_limit = largest_integer(BIAS_BITS)
        for population in spiking.populations if settings.weight_bits is not None else ():
            if population.bias is not None and np.abs(population.bias).max() == bias_limit:
                warnings.append(f"{population.name} has biases of more than {BIAS_BITS} bits: clipped")
        write_spiking(spiking, parsed_path)
        if spiking.steps is not None:
            latency, interval = spiking.latency(spiking.steps), spiking.interval(spiking.steps)
            timing = {"calibrated_steps": spiking.steps, "latency_steps": latency, "interval_steps": interval}
        if rounded:
            changes[_change_of_weights(settings)] = rectified(_as_trained(weights, levels))
    return ConversionResult(
        largest_difference=largest_difference,
        samples_verified=len(reference),
        scale_factors=factors,
        negative_shares={layer: activity.negative_shares[layer] for layer in linear_ends(parsed)},
        warnings=warnings,
        parser=parser,
        changes=changes,
        timing=timing,
    )


def check_convertible(
    model: keras.Model, *, max_pool: str = "error", rectify_linear: bool = False, parser: Parser = "toolbox"
) -> Parser:
    """Check that a model in memory can be converted, with any weights, and return the parser to use.

    `max_pool` refuses max pooling ("error"), replaces it ("average") or keeps it ("spiking"); `rectify_linear` accepts
    hidden layers without an activation, though spikes rectify them; the parser `auto` is the toolbox's if it is
    installed and can convert the model, else the own parser. Raise `InputError` if the model cannot be converted; the
    message names layers and reasons in one line.
    """
    layers = [inside for inside in model.submodules if isinstance(inside, keras.layers.Layer)]
    if not all(type(layer).__module__.startswith(("keras.", "tf_keras.", "tensorflow.")) for layer in layers):
        raise InputError("the model or one of its layers is a custom class: use built-in Keras layers")
    chosen = choose_parser(model, max_pool=max_pool, rectify_linear=rectify_linear, parser=parser)
    if chosen == "own":
        parse_own(model, max_pool=max_pool, rectify_linear=rectify_linear)
    return chosen


def reference_outputs(trained: keras.Model, x: np.ndarray, *, max_pool: str, in_float64: bool = False) -> np.ndarray:
    """Return the outputs of the trained model on the first 100 samples, computed in float32 or float64.

    Call it before parsing, since the toolbox's parser edits the graph of the model that it reads. If max pooling is
    replaced by average pooling, the reference is a copy of the trained model with the same replacement.
    """
    if max_pool == "average" or in_float64:
        trained = _copied(trained, averages=max_pool == "average", in_float64=in_float64)
    return trained.predict(x[:VERIFIED_SAMPLES], verbose=0)


def permitted(reference: np.ndarray) -> float:
    """Return the difference up to which outputs count as equal: 1e-3, or 1e-3 of the largest where that exceeds 1."""
    return TOLERANCE * max(1.0, float(np.abs(reference).max()))


def check_outputs(
    parsed: keras.Model, x: np.ndarray, reference: np.ndarray, exact: Callable[[], np.ndarray], parser: str
) -> float:
    """Compare the parsed model, before its normalisation, with the trained one; return the largest absolute difference.

    In float32, rounding alone can exceed the permitted difference in a deep network. Then both models are compared in
    float64, where they may differ by the permitted difference, or by the rounding error of the trained model, the
    difference of its outputs in float32 and float64. Raise `VerificationError` if they differ by more, or an output is
    not finite.

    `x` is the argument of `reference_outputs` and `reference` its return value; `exact` returns it in float64, and is
    called if the outputs in float32 differ by more than is permitted. `parser` is for the message.
    """
    outputs = parsed.predict(x[:VERIFIED_SAMPLES], verbose=0)
    if outputs.shape != reference.shape:
        shapes = f"{outputs.shape[1:]} instead of {reference.shape[1:]}"
        raise VerificationError(f"the parsed model's output has the shape {shapes}: {_ADVICE[parser]}")
    differences = np.abs(outputs - reference)
    largest = float(differences.max())
    if largest <= permitted(reference):
        return largest
    sample = int(differences.reshape(len(differences), -1).max(axis=1).argmax())
    message = f"the parsed model's outputs differ from the trained model's by up to {largest:.3g} (sample {sample})"
    if np.isfinite(largest):
        wide, precise = exact(), _copied(parsed, in_float64=True).predict(x[:VERIFIED_SAMPLES], verbose=0)
        remaining, own = float(np.abs(precise - wide).max()), float(np.abs(reference - wide).max())
        if remaining <= max(permitted(wide), own):
            return largest
        message += f", and by up to {remaining:.3g} where both compute in float64, so not by rounding"
    raise VerificationError(f"{message}: {_ADVICE[parser]}")


_ADVICE = {
    "toolbox": "snntoolbox 0.5 parses this architecture wrongly; try --parser own, or simplify it and train again",
    "own": "snnb parses this architecture wrongly; simplify it and train again",
}


def _copied(model: keras.Model, *, averages: bool = False, in_float64: bool = False) -> keras.Model:
    """Return a copy of a model, with average pooling in place of max pooling, or that computes in float64."""
    flat = unrolled_model(model)

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind, config = type(layer), layer.get_config()
        if averages and kind is keras.layers.MaxPooling2D:
            kind = keras.layers.AveragePooling2D
        if in_float64:
            config["dtype"] = "float64"
            if isinstance(layer, keras.layers.BatchNormalization):
                config["fused"] = False  # which TensorFlow has in float32 only
        return kind.from_config(config)

    copy = keras.models.clone_model(flat, clone_function=copied)
    copy.set_weights(flat.get_weights())
    return copy


def spiking_network(network: Network, x_norm: np.ndarray, settings: ConversionSettings, pixel_scale: float) -> Network:
    """Return the spiking network of one trained with quantised activations, a pruned or an integer network."""
    if network.levels is not None:
        network = quantised_network(network, x_norm, settings.firing)
    network = replace(network, zeros=zeros_of(settings))
    if settings.weight_bits is not None and network.output.activation == "softmax":
        network = spiking_output(network, x_norm, OUTPUT_STEPS)
    if settings.prune:
        network = network.with_populations([pruned(p, settings.prune) for p in network.populations])
    if settings.weight_bits is None:
        return network
    return integer_network(prepared_for_integers(network, settings, pixel_scale), settings)


def _has_max_pooling(model: keras.Model) -> bool:
    return any(isinstance(layer, keras.layers.MaxPooling2D) for layer in model.submodules)


def _change_of_weights(settings: ConversionSettings) -> Change:
    if settings.weight_bits is None:
        return "pruning"
    return "pruning_and_rounding" if settings.prune else "rounding"


def _as_trained(network: Network, levels: Optional[int]) -> Network:
    """Return the network with the quantised activations that `quantised_network` has removed: a rate is at most 1."""
    if levels is None or network.levels is not None:
        return network
    clipped = (replace(p, max_value=1.0) for p in network.populations if p.activation == "relu")
    return replace(network.with_populations(clipped), levels=levels)


def zeros_of(settings: ConversionSettings) -> Optional[str]:
    """Return the meaning of a weight of 0; see `Network.zeros`."""
    return DROPPED if settings.prune else None


def _write_calibration(calibration: Calibration, factors: Dict[str, float], path: Path) -> None:
    document, none = {}, np.zeros(1)
    units = {name: Channels(np.array([factor]), none, none) for name, factor in factors.items()}
    for name, layer in calibration.layers.items():
        if name not in units:  # a pooling has the unit of its input
            population = next(p for p in calibration.network.populations if p.name == name)
            [read] = presynaptic_scales(calibration.network, units, population)
            units[name] = Channels(read, none, none)
        scales = (np.array(layer.scale_factors) * units[name].scale).tolist()
        document[name] = layer.model_copy(update={"scale_factors": scales}).model_dump()
        if layer.before is not None:
            log.info("%s: mean squared error %.4f → %.4f", name, layer.before, layer.after)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _warnings(
    activity: Activity, trained: keras.Model, parsed: keras.Model, samples: int, settings: ConversionSettings
) -> Iterator[str]:
    for layer in activity.silent:
        yield f"{layer} is never active on the normalisation samples; its scale factor is 1"
    for layer in linear_ends(parsed):
        if activity.negative_shares[layer] > 0:
            share = f"{activity.negative_shares[layer]:.1%}"
            yield f"{layer} has no activation: spiking neurons rectify the {share} of its values that are negative"
    rest = samples % settings.batch_size
    if rest:
        yield f"the last {rest} of {samples} normalisation samples do not fill a batch and are ignored"
    # Without the biases of positions, which are no synapses.
    kernels = [layer for layer in parsed.layers if not isinstance(layer, keras.layers.BatchNormalization)]
    before, after = trained.count_params(), sum(layer.count_params() for layer in kernels)
    if after > MORE_WEIGHTS * before:
        yield (
            f"{after:,} weights instead of {before:,}, {after / before:.1f} times as many: a layer without "
            "activation is merged into each target population"
        )
    if settings.exact_clip and not clipped(parsed):
        yield "--exact-clip: no layer has a clipped activation"
    if settings.max_pool != "error" and not _has_max_pooling(trained):
        yield f"--max-pool {settings.max_pool} has no effect: the network has no max pooling"


def save_keras(model: keras.Model, path: Path, name: str, levels: Optional[int] = None) -> None:
    """Save a model as h5, without anything that depends on the time or on other models of the process.

    Keras numbers models and weights in the order in which a process makes them, and HDF5 adds a time to each array.
    The model has no models inside. `name` is its name in the file, for `levels` see `read_levels`.
    """
    with in_memory() as keras_file:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
            model.save(keras_file, save_format="h5")
        with writing(path) as file:
            architecture = older_description(json.loads(keras_file.attrs["model_config"]))
            architecture["config"]["name"] = name
            # An attribute that is written twice would leave unused bytes of the first one's size.
            copy_attributes({**keras_file.attrs, "model_config": json.dumps(architecture).encode()}, file)
            if levels is not None:
                file.attrs[QCFS_LEVELS] = levels
            weights = file.create_group("model_weights")
            copy_attributes(keras_file["model_weights"].attrs, weights)
            for layer in sorted(model.layers, key=lambda layer: str(layer.name)):
                # Without the number that Keras adds to the name of an array that was used before
                arrays = {f"{layer.name}/{array.name.rsplit('/', 1)[-1]}": array.numpy() for array in layer.weights}
                group = weights.require_group(layer.name)
                group.attrs["weight_names"] = np.array([name.encode() for name in arrays])
                for key, values in arrays.items():
                    write_array(group, key, values)
