"""The parser and the normalisation of snntoolbox 0.5.

The engine `toolbox` has its simulator.
"""

import tempfile
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

import numpy as np
from snntoolbox.conversion.utils import normalize_parameters
from snntoolbox.parsing.model_libs.keras_input_lib import ModelParser

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import (
    Conversion,
    check_outputs,
    unit_of_output,
    with_averages,
)
from snnb.conversion.normalise import with_weights
from snnb.conversion.toolbox_config import configuration, quiet
from snnb.core.errors import InputError, first_line
from snnb.forward.analogue import VERIFIED_SAMPLES, Analogue
from snnb.io.text import load_json
from snnb.model_files.keras import keras
from snnb.model_files.keras_files import write_keras_h5
from snnb.network.layers import Conv2D, Conv2DTranspose, Pooling2D, ReLU
from snnb.network.network import Network
from snnb.network.read_network import read_network
from snnb.network.trained import TrainedNetwork

RAISED = (
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


def convert_with_toolbox(
    trained_network: TrainedNetwork,
    x_norm: np.ndarray,
    settings: ConversionSettings,
) -> Conversion:
    """Parse and normalise a model with the toolbox alone.

    For parameters, result and errors see `convert.convert`.
    """
    if settings.max_pool == "exact" and trained_network.has("MaxPooling2D"):
        raise InputError(
            "the toolbox has no exact max pooling: choose --max-pool average or "
            "--max-pool toolbox"
        )
    for layer in trained_network.layers:
        if isinstance(layer.layer, ReLU) and layer.layer.max_value is not None:
            raise InputError(
                f"{layer.label}: max_value {layer.layer.max_value}: the toolbox "
                "ignores it: use --parser own"
            )
        if isinstance(layer.layer, Pooling2D) and not layer.layer.has_keras_padding:
            raise InputError(
                f"{layer.label}: padding {layer.layer.padding}: Keras averages with "
                "valid and same only: use --parser own"
            )
    settings = settings.changed(batch_size=min(settings.batch_size, len(x_norm)))
    for layer in trained_network.layers:
        kind = layer.layer
        has_groups = isinstance(kind, Conv2D) and kind.groups > 1
        if has_groups or isinstance(kind, Conv2DTranspose):
            what = "convolutions with groups" if has_groups else f"{kind.kind}"
            raise InputError(
                f"layer {layer.label}: the toolbox has no {what}: use --parser own"
            )
    averages = settings.max_pool == "average" and trained_network.has("MaxPooling2D")
    verified_samples = x_norm[:VERIFIED_SAMPLES]
    reference = Analogue(
        with_averages(trained_network) if averages else trained_network
    )
    reference_outputs = reference.outputs(verified_samples)
    parameters = configuration("network", [settings])
    with tempfile.TemporaryDirectory() as scratch:
        layer_names = [layer.name for layer in trained_network.layers]
        parsed_model = to_parsed(
            keras_model(trained_network),
            layer_names,
            parameters,
        )
        parsed_path = Path(scratch, "parsed.h5")
        parsed_model.save(str(parsed_path), save_format="h5")
        network = read_network(parsed_path)
        largest_difference = check_outputs(
            Analogue(network).outputs(verified_samples),
            reference_outputs,
            "use --parser own",
        )
        _refuse_hidden_linear(network)
        with _failures("normalisation"):
            normalize_parameters(parsed_model, parameters, x_norm=x_norm, path=scratch)
        normalised_path = Path(scratch, "normalised.h5")
        parsed_model.save(str(normalised_path), save_format="h5")
        network = _by_toolbox(read_network(normalised_path))
        percentile = parameters.get("normalization", "percentile")
        percentiles = load_json(Path(scratch, f"{percentile}.json"))
    scale_factors = {network.input.name: 1.0}
    for population in with_weights(network):
        factor = 1.0
        if population.activation != "softmax":
            factor = float(percentiles[population.name])
        scale_factors[population.name] = factor
    has_toolbox_rule = settings.max_pool == "toolbox" and trained_network.has(
        "MaxPooling2D"
    )
    return Conversion(
        network=network,
        analogue=trained_network if averages else network,
        output_scale=unit_of_output(scale_factors),
        multiply_accumulates=trained_network.multiply_accumulates,
        fidelity=None,
        parsed=network,
        spiking=network if has_toolbox_rule else None,
        largest_difference=largest_difference,
        samples_verified=len(verified_samples),
        scale_factors=scale_factors,
        negative_shares={},
        warnings=[],
        changes={"average_pooling": network} if averages else {},
        calibration={},
    )


def _refuse_hidden_linear(network: Network) -> None:
    """Raise `InputError` if a hidden population has no activation."""
    names = []
    for population in with_weights(network):
        if population.activation == "linear" and population is not network.output:
            names.append(population.name)
    if names:
        raise InputError(
            f"{', '.join(names)}: no activation, but spiking neurons rectify: add "
            "relu, or use --parser own"
        )


def _by_toolbox(network: Network) -> Network:
    """Return the network with the toolbox's rule of max pooling.

    The network's file does not state this rule.
    """
    populations = []
    for population in network.populations:
        if population.counts_largest:
            projection = population.only
            layer = projection.layer.model_copy(update={"rule": "leading_input"})
            projections = (replace(projection, layer=layer),)
            populations.append(replace(population, projections=projections))
    return network.with_populations(populations)


def keras_model(network: TrainedNetwork) -> keras.Model:
    """Return the network as a Keras model, uncompiled."""
    with tempfile.TemporaryDirectory() as scratch:
        write_keras_h5(network, path := Path(scratch, "network.h5"), "network")
        return keras.models.load_model(str(path), compile=False)


def to_parsed(
    trained_model: keras.Model,
    layer_names: Sequence[str],
    parameters: ConfigParser,
) -> keras.Model:
    """Parse with the toolbox.

    It absorbs batch normalisation, drops layers that matter in training only, and names
    layers by their places in `layer_names`.

    The toolbox edits the graph of the trained model: do not save or clone it
    afterwards. Raise `InputError` if the parser fails.
    """
    parser = _OrderedParser(trained_model, layer_names, parameters)
    with _failures("parser"):
        parser.parse()
        return parser.build_parsed_model()


@contextmanager
def _failures(part: str) -> Iterator[None]:
    """Raise `InputError` if a part of the toolbox fails in the block.

    Its output goes to the log.
    """
    try:
        with quiet():
            yield
    except RAISED as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(
            f"snntoolbox 0.5's {part} fails on this model ({reason}): use --parser own"
        ) from error


class _OrderedParser(ModelParser):
    """The toolbox's parser, but the parsed model takes batches of any size.

    It reads the layers in the order of the trained network, as the toolbox reads those
    of the file. A Keras model without the layers that matter in training only, as
    Dropout, may list its branches in another order.
    """

    def __init__(
        self,
        model: keras.Model,
        layer_names: Sequence[str],
        parameters: ConfigParser,
    ) -> None:
        super().__init__(model, parameters)
        self._layer_names = layer_names

    def get_layer_iterable(self) -> List[keras.layers.Layer]:
        return [self.input_model.get_layer(name) for name in self._layer_names]

    def get_batch_input_shape(self) -> Tuple:
        return (None, *self.get_input_shape())
