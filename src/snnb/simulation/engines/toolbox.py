"""The engine `toolbox`: snntoolbox's INI simulator, `SNN.run`, the reference for the others.

The simulation is not changed. The spikes of each layer are counted at each step; the toolbox would keep all of them in
memory and on disk.
"""

import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

import numpy as np
import tensorflow as tf
from snntoolbox.simulation.target_simulators.INI_temporal_mean_rate_target_sim import SNN
from snntoolbox.simulation.utils import is_spiking

from snnb.conversion.toolbox import keras_model
from snnb.conversion.toolbox_config import configuration, quiet
from snnb.core.progress import Progress, silent
from snnb.model_files.keras import keras
from snnb.model_files.read_model import read_trained
from snnb.network.network import INPUT as INPUT_NAME
from snnb.simulation.engines.engine import INPUT, BlockCounts, Observe, Samples, Streams
from snnb.simulation.settings import SimulationSettings


class ToolboxEngine:
    """Simulates all samples as one block, in batches of `batch_size`.

    The toolbox drops the last batch if it is not full. Here it is filled with copies of the last sample, whose spikes
    are not counted. The softmax layer's spikes depend on the batch size. The toolbox's Poisson input is not used: it is
    scaled by the maximum of the batch, so that the spikes of an image depend on the other images.
    """

    def __init__(
        self, parsed: Path, settings: SimulationSettings, progress: Progress = silent, *, per_sample: bool = False
    ) -> None:
        """Prepare the network in the Keras file `parsed`; with `per_sample` the counts are not summed over samples."""
        self._parsed, self._settings, self._progress, self._per_sample = parsed, settings, progress, per_sample

    def simulate(self, x: Samples, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`; there is no read-out."""
        assert isinstance(x, np.ndarray)
        settings, samples = self._settings, range(first, first + len(x))
        batch_size = min(settings.batch_size, len(x))
        filled = np.minimum(np.arange(-(-len(x) // batch_size) * batch_size), len(x) - 1)
        # The softmax layer's random numbers depend on the seed at the creation of Keras's graph: create a new one.
        tf.random.set_seed(settings.seed)
        keras.backend.clear_session()
        model = keras_model(read_trained(self._parsed))
        with quiet(), tempfile.TemporaryDirectory() as scratch:
            # As the toolbox compiles it: `run` evaluates the parsed model too.
            model.compile("sgd", "categorical_crossentropy", ["accuracy", keras.metrics.top_k_categorical_accuracy])
            parameters = configuration("network", [settings])
            parameters.set("simulation", "num_to_test", str(len(filled)))
            parameters.set("simulation", "batch_size", str(batch_size))
            parameters.set("paths", "log_dir_of_current_run", scratch)
            parameters.set("output", "log_vars", "{'spiketrains_n_b_l_t'}")  # makes each layer keep its last spikes
            snn = _CountingSNN(parameters, settings, samples, self._per_sample, self._progress)
            snn.build(model)
            snn.run(x_test=x[filled], y_test=np.eye(1, snn.num_classes, dtype=np.float32).repeat(len(filled), axis=0))
        observe(np.diff(np.concatenate(snn.spikes), axis=2, prepend=0).swapaxes(1, 2) > 0, None)
        counts = {name: np.concatenate(parts) for name, parts in snn.counts.items()}
        return BlockCounts(counts=counts, readout=None, late=None, spikes={})


class _Counter:
    """Spike counter that replaces a layer's spike train of shape `(batch, ..., steps)` in the toolbox."""

    def __init__(self, shape: Tuple[int, ...], warm_up: int) -> None:
        self.counts = np.zeros(shape, np.int64)
        self.warm_up = warm_up

    def __setitem__(self, index: Tuple[Any, int], spike_times: np.ndarray) -> None:
        if index[-1] >= self.warm_up:
            self.counts += spike_times != 0


class _CountingSNN(SNN):
    """The toolbox's simulator with counters in place of spike trains, and the Poisson input of this package."""

    def __init__(
        self,
        parameters: ConfigParser,
        settings: SimulationSettings,
        samples: range,
        per_sample: bool,
        progress: Progress,
    ) -> None:
        super().__init__(parameters)
        self._log_keys: Set[str] = set()  # quantities that `run` would keep and write
        self._settings, self._samples, self._per_sample, self._progress = settings, samples, per_sample, progress
        self._done = 0
        # By layer, and by the input if it spikes: of each batch (samples, ...), or (1, ...), summed over all samples
        self.counts: Dict[str, List[np.ndarray]] = {}
        self.spikes: List[np.ndarray] = []  # of the last layer, cumulative: int32 (samples, units, steps), by batch

    def simulate(self, **batch: np.ndarray) -> np.ndarray:
        warm_up = self._settings.warm_up
        samples = self._samples[self._done : self._done + len(batch["x_b_l"])]  # the last batch is filled with copies
        spiking = [layer for layer in self.snn.layers if getattr(layer, "spiketrain", None) is not None]
        counters = {layer.name: _Counter(layer.output_shape, warm_up) for layer in spiking}
        self.spiketrains_n_b_l_t: Optional[List[Tuple[_Counter, str]]] = [(c, name) for name, c in counters.items()]
        if self._settings.input == "poisson":
            self._streams, self._step = Streams(self._settings.seed, samples, INPUT), 0
            self._drawn = _Counter(batch["x_b_l"].shape, warm_up)
            counters = {INPUT_NAME: self._drawn, **counters}
        cumulative = super().simulate(**batch)
        self.spiketrains_n_b_l_t = None
        for name, counter in counters.items():
            counts, parts = counter.counts[: len(samples)], self.counts.setdefault(name, [])
            if self._per_sample:
                parts.append(counts)
            else:
                parts[:] = [sum(parts, counts.sum(axis=0, keepdims=True))]
        self.spikes.append(cumulative[: len(samples)].astype(np.int32))
        self._done += len(samples)
        self._progress(self._done, len(self._samples))
        return cumulative

    def get_poisson_frame_batch(self, x_b_l: np.ndarray) -> np.ndarray:
        samples = min(len(x_b_l), len(self._samples) - self._done)
        spikes = self._streams.poisson(x_b_l[:samples], self._settings.input_rate, 1)[:, 0].astype(np.float32)
        frame: np.ndarray = spikes[np.minimum(np.arange(len(x_b_l)), samples - 1)]
        self._drawn[..., self._step] = frame
        self._step += 1
        return frame

    def set_connectivity(self) -> None:
        """Count only the neurons, since the toolbox cannot count the synapses of a strided convolution."""
        shapes = [layer.output_shape for layer in self.parsed_model.layers if is_spiking(layer, self.config)]
        self.num_neurons = [int(np.prod(shape[1:])) for shape in [self.parsed_model.input_shape, *shapes]]
        self.fanin = self.fanout = self.num_neurons_with_bias = [0] * len(self.num_neurons)
        self.num_synapses = 0
