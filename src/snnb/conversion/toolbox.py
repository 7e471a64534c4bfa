"""The parser and the normalisation of snntoolbox 0.5; the engine `toolbox` has its simulator."""

import tempfile
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Iterator, Tuple

import numpy as np
from snntoolbox.conversion.utils import normalize_parameters
from snntoolbox.parsing.model_libs.keras_input_lib import ModelParser

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import Conversion, check_outputs, with_averages
from snnb.conversion.normalise import with_weights
from snnb.conversion.toolbox_config import configuration, quiet
from snnb.core.errors import InputError, first_line
from snnb.forward.analogue import VERIFIED_SAMPLES, Analogue
from snnb.io.text import load_json
from snnb.model_files.keras import keras
from snnb.model_files.keras_files import write_keras_h5
from snnb.network.layers import ReLU
from snnb.network.network import Network
from snnb.network.read_network import read_network
from snnb.network.trained import TrainedNetwork

RAISED = (AssertionError, AttributeError, ImportError, LookupError, NotImplementedError, TypeError, ValueError)


def convert_with_toolbox(trained: TrainedNetwork, x_norm: np.ndarray, settings: ConversionSettings) -> Conversion:
    """Parse and normalise a model with the toolbox alone; for parameters, result and errors see `convert.convert`."""
    if settings.max_pool == "exact" and trained.has("MaxPooling2D"):
        raise InputError("the toolbox has no exact max pooling: choose --max-pool average or --max-pool toolbox")
    for layer in trained.layers:
        if isinstance(layer.layer, ReLU) and layer.layer.max_value is not None:
            raise InputError(
                f"{layer.label}: max_value {layer.layer.max_value}: the toolbox ignores it: use --parser own"
            )
    settings = settings.changed(batch_size=min(settings.batch_size, len(x_norm)))
    averages, verified = settings.max_pool == "average" and trained.has("MaxPooling2D"), x_norm[:VERIFIED_SAMPLES]
    reference = Analogue(with_averages(trained) if averages else trained).outputs(verified)
    parameters = configuration("network", [settings])
    with tempfile.TemporaryDirectory() as scratch:
        parsed = to_parsed(keras_model(trained), parameters)
        parsed.save(str(before := Path(scratch, "parsed.h5")), save_format="h5")
        network = read_network(before)
        largest_difference = check_outputs(Analogue(network).outputs(verified), reference, "use --parser own")
        hidden = [p.name for p in with_weights(network) if p.activation == "linear" and p is not network.output]
        if hidden:
            reason = "no activation, but spiking neurons rectify: add relu, or use --parser own"
            raise InputError(f"{', '.join(hidden)}: {reason}")
        with _failures("normalisation"):
            normalize_parameters(parsed, parameters, x_norm=x_norm, path=scratch)
        parsed.save(str(after := Path(scratch, "normalised.h5")), save_format="h5")
        network = _by_toolbox(read_network(after))
        percentiles = load_json(Path(scratch, f"{parameters.get('normalization', 'percentile')}.json"))
    ends = {p.name: 1.0 if p.activation == "softmax" else float(percentiles[p.name]) for p in with_weights(network)}
    return Conversion(
        parsed=network,
        spiking=network if settings.max_pool == "toolbox" and trained.has("MaxPooling2D") else None,
        largest_difference=largest_difference,
        samples_verified=len(verified),
        scale_factors={network.input.name: 1.0, **ends},
        negative_shares={},
        warnings=[],
        changes={"average_pooling": network} if averages else {},
        calibration={},
    )


def _by_toolbox(network: Network) -> Network:
    """Return the network with the toolbox's rule of max pooling, which its file does not state."""
    pools = [population for population in network.populations if population.counts_largest]
    layers = [pool.only.layer.model_copy(update={"rule": "leading_input"}) for pool in pools]
    projections = [replace(pool.only, layer=layer) for pool, layer in zip(pools, layers)]
    return network.with_populations(replace(p, projections=(reads,)) for p, reads in zip(pools, projections))


def keras_model(network: TrainedNetwork) -> keras.Model:
    """Return the network as a Keras model, uncompiled."""
    with tempfile.TemporaryDirectory() as scratch:
        write_keras_h5(network, path := Path(scratch, "network.h5"), "network")
        return keras.models.load_model(str(path), compile=False)


def to_parsed(trained: keras.Model, parameters: ConfigParser) -> keras.Model:
    """Parse with the toolbox: batch normalisation absorbed, training-only layers dropped, layers named.

    The toolbox edits the graph of the trained model: do not save or clone it afterwards. Raise `InputError` if the
    parser fails.
    """
    parser = _FreeBatchParser(trained, parameters)
    with _failures("parser"):
        parser.parse()
        return parser.build_parsed_model()


@contextmanager
def _failures(part: str) -> Iterator[None]:
    """Raise `InputError` if a part of the toolbox fails in the block; its output goes to the log."""
    try:
        with quiet():
            yield
    except RAISED as error:
        raise InputError(
            f"snntoolbox 0.5's {part} fails on this model ({type(error).__name__}: {first_line(error)}): "
            "use --parser own"
        ) from error


class _FreeBatchParser(ModelParser):
    """The toolbox's parser, but the parsed model takes batches of any size."""

    def get_batch_input_shape(self) -> Tuple:
        return (None, *self.get_input_shape())
