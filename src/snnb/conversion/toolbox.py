"""snntoolbox 0.5: its parser and normalisation, and its INI simulator, `SNN.run`, as the reference for all engines.

The simulation is not changed. The spikes of each layer are counted at each step; the toolbox would keep all of them in
memory and on disk.
"""

import tempfile
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np
import tensorflow as tf
from snntoolbox.conversion.utils import normalize_parameters
from snntoolbox.parsing.model_libs.keras_input_lib import ModelParser
from snntoolbox.simulation.target_simulators.INI_temporal_mean_rate_target_sim import SNN
from snntoolbox.simulation.utils import is_spiking

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import Conversion, check_outputs, with_averages
from snnb.conversion.normalise import with_weights
from snnb.conversion.toolbox_config import configuration, quiet
from snnb.core.errors import InputError, first_line
from snnb.core.options import Options
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import VERIFIED_SAMPLES, Analogue
from snnb.io.keras import keras
from snnb.io.text import load_json
from snnb.model_files.keras_files import write_keras_h5
from snnb.model_files.read_model import read_trained
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


# (first sample of the batch, step) -> the input of that step, float32 in a batch's shape
Frames = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class ToolboxRun:
    """Result of a simulation by the toolbox; counts and input are summed over the steps after the warm-up."""

    # Spikes per spiking layer, in network order: int64 (*shape), summed over the samples, or (samples, *shape)
    counts: Dict[str, np.ndarray]
    input_sum: np.ndarray  # float64, of such a shape: current of constant input, or number of spikes of Poisson input
    output: np.ndarray  # spikes of the last layer, cumulative over all steps: int32 (samples, units, steps)


def run_toolbox(
    parsed: Path,
    x: np.ndarray,
    *,
    duration: int,
    warm_up: int = 0,
    batch_size: int = 50,
    seed: int = 0,
    options: Sequence[Options] = (),
    frames: Optional[Frames] = None,
    per_sample: bool = False,
    progress: Progress = silent,
) -> ToolboxRun:
    """Simulate a parsed network, a Keras file, with the toolbox's own `SNN.run`, in a scratch directory.

    The toolbox drops the last batch if it is not full. Here it is filled with copies of the last sample, whose spikes
    are not counted. The toolbox's Poisson input is not used: it is scaled by the maximum of the batch, so that the
    spikes of an image depend on the other images.

    `x` has the samples, float32 (samples, ...) in [0, 1]. `seed` is the seed of the softmax layer. `options` are
    further options of the toolbox, such as the threshold, see `toolbox_config.configuration`. `frames` returns the
    input of each step (Poisson spikes); without it, the input is a constant current. With `per_sample` the counts are
    not summed over the samples. `progress` is called with the number of samples done.
    """
    batch_size = min(batch_size, len(x))
    filled = np.minimum(np.arange(-(-len(x) // batch_size) * batch_size), len(x) - 1)
    # The softmax layer's random numbers depend on the seed at the creation of Keras's graph: create a new one.
    tf.random.set_seed(seed)
    keras.backend.clear_session()
    model = keras_model(read_trained(parsed))
    with quiet(), tempfile.TemporaryDirectory() as scratch:
        # As the toolbox compiles it: `run` evaluates the parsed model too.
        model.compile("sgd", "categorical_crossentropy", ["accuracy", keras.metrics.top_k_categorical_accuracy])
        parameters = configuration("network", options)
        for key, number in (("num_to_test", len(filled)), ("duration", duration), ("batch_size", batch_size)):
            parameters.set("simulation", key, str(number))
        parameters.set("input", "poisson_input", str(frames is not None))
        parameters.set("paths", "log_dir_of_current_run", scratch)
        parameters.set("output", "log_vars", "{'spiketrains_n_b_l_t'}")  # makes each layer keep its last spikes
        snn = _RecordingSNN(parameters, len(x), warm_up, per_sample, frames, progress)
        snn.build(model)
        snn.run(x_test=x[filled], y_test=np.eye(1, snn.num_classes, dtype=np.float32).repeat(len(filled), axis=0))
    sums = {name: np.concatenate(parts) if per_sample else parts[0] for name, parts in snn.sums.items()}
    return ToolboxRun(sums, sums.pop("input"), np.concatenate(snn.spikes))


class _Counter:
    """Spike counter that replaces a layer's spike train of shape `(batch, ..., steps)` in the toolbox."""

    def __init__(self, shape: Tuple[int, ...], warm_up: int) -> None:
        self.counts = np.zeros(shape, np.int64)
        self.warm_up = warm_up

    def __setitem__(self, index: Tuple[Any, int], spike_times: np.ndarray) -> None:
        if index[-1] >= self.warm_up:
            self.counts += spike_times != 0


class _RecordingSNN(SNN):
    """The toolbox's simulator with counters in place of spike trains, and the Poisson input of this package."""

    def __init__(
        self,
        parameters: ConfigParser,
        samples: int,
        warm_up: int,
        per_sample: bool,
        frames: Optional[Frames],
        progress: Progress,
    ) -> None:
        super().__init__(parameters)
        self._log_keys: Set[str] = set()  # quantities that `run` would keep and write
        self._samples, self._warm_up, self._per_sample = samples, warm_up, per_sample
        self._frames, self._progress, self._done = frames, progress, 0
        self.sums: Dict[str, List[np.ndarray]] = {}  # of the counts of each batch by layer, or the counts
        self.spikes: List[np.ndarray] = []  # of the last layer, of each batch

    def simulate(self, **batch: np.ndarray) -> np.ndarray:
        x = batch["x_b_l"]
        spiking = [layer for layer in self.snn.layers if getattr(layer, "spiketrain", None) is not None]
        counters = {layer.name: _Counter(layer.output_shape, self._warm_up) for layer in spiking}
        self.spiketrains_n_b_l_t: Optional[List[Tuple[_Counter, str]]] = [(c, name) for name, c in counters.items()]
        self._step, self._input = 0, np.zeros(x.shape)
        cumulative = super().simulate(**batch)
        self.spiketrains_n_b_l_t = None
        if self._frames is None:
            self._input += x.astype(np.float64) * (self._num_timesteps - self._warm_up)
        keep = min(len(x), self._samples - self._done)  # the last batch is filled with copies
        for name, counts in {"input": self._input, **{n: c.counts for n, c in counters.items()}}.items():
            parts = self.sums.setdefault(name, [])
            if self._per_sample or not parts:
                parts.append(counts[:keep] if self._per_sample else counts[:keep].sum(axis=0))
            else:
                parts[0] += counts[:keep].sum(axis=0)
        self.spikes.append(cumulative[:keep].astype(np.int32))
        self._done += keep
        self._progress(self._done, self._samples)
        return cumulative

    def get_poisson_frame_batch(self, x_b_l: np.ndarray) -> np.ndarray:
        assert self._frames is not None
        frame = self._frames(self._done, self._step)
        if self._step >= self._warm_up:
            self._input += frame
        self._step += 1
        return frame

    def set_connectivity(self) -> None:
        """Count only the neurons, since the toolbox cannot count the synapses of a strided convolution."""
        shapes = [layer.output_shape for layer in self.parsed_model.layers if is_spiking(layer, self.config)]
        self.num_neurons = [int(np.prod(shape[1:])) for shape in [self.parsed_model.input_shape, *shapes]]
        self.fanin = self.fanout = self.num_neurons_with_bias = [0] * len(self.num_neurons)
        self.num_synapses = 0
