"""The engine `toolbox`: the INI simulator of snntoolbox, the reference for the others.

The simulation is not changed. The spikes of each layer are counted at each step; the
toolbox would keep all of them in memory and on disk.
"""

import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

import numpy as np
from snntoolbox.simulation.target_simulators import INI_temporal_mean_rate_target_sim
from snntoolbox.simulation.utils import is_spiking

from snnb.conversion.toolbox import keras_model
from snnb.conversion.toolbox_config import configuration, quiet
from snnb.core.progress import Progress, silent
from snnb.core.quiet_tensorflow import tensorflow as tf
from snnb.model_files.keras import keras
from snnb.model_files.read_model import read_trained
from snnb.network.network import INPUT as INPUT_NAME
from snnb.network.network import Network
from snnb.network.read_network import write_parsed
from snnb.simulation.engines.engine import INPUT, BlockCounts, Observe, Samples, Streams
from snnb.simulation.settings import SimulationSettings


class ToolboxEngine:
    """Simulates all samples as one block, in batches of `batch_size`.

    The toolbox drops the last batch if it is not full. Here it is filled with copies of
    the last sample, whose spikes are not counted. The spikes of a softmax layer depend
    on the batch size. The Poisson input of the toolbox is not used: it is scaled by the
    maximum of the batch, so that the spikes of an image depend on the other images.
    """

    def __init__(
        self,
        network: Network,
        settings: SimulationSettings,
        progress: Progress = silent,
        *,
        per_sample: bool = False,
    ) -> None:
        """Prepare a parsed network.

        With `per_sample` the counts are not summed over samples.
        """
        self._network = network
        self._settings = settings
        self._progress = progress
        self._per_sample = per_sample

    def simulate(
        self,
        x: Samples,
        first_sample: int,
        observe: Observe,
    ) -> BlockCounts:
        """See `Engine`; there is no read-out."""
        assert isinstance(x, np.ndarray)
        settings = self._settings
        samples = len(x)
        batch_size = min(settings.batch_size, samples)
        batches = -(-samples // batch_size)
        row = np.minimum(np.arange(batches * batch_size), samples - 1)
        # The random numbers of a softmax layer depend on the seed at the creation of
        # Keras's graph: create a new one.
        tf.random.set_seed(settings.seed)
        keras.backend.clear_session()
        with quiet(), tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "network_parsed.h5"
            write_parsed(self._network, path, "network_parsed")
            model = keras_model(read_trained(path))
            # As the toolbox compiles it: `run` evaluates the parsed model too.
            top_5 = keras.metrics.top_k_categorical_accuracy
            model.compile("sgd", "categorical_crossentropy", ["accuracy", top_5])
            parameters = configuration("network", [settings])
            parameters.set("simulation", "num_to_test", str(len(row)))
            parameters.set("simulation", "batch_size", str(batch_size))
            parameters.set("paths", "log_dir_of_current_run", scratch)
            # This makes each layer keep its last spikes.
            parameters.set("output", "log_vars", "{'spiketrains_n_b_l_t'}")
            sample_numbers = range(first_sample, first_sample + samples)
            snn = _CountingSNN(
                parameters,
                settings,
                sample_numbers,
                self._per_sample,
                self._progress,
            )
            snn.build(model)
            placeholder_classes = np.eye(1, snn.num_classes, dtype=np.float32)
            y = placeholder_classes.repeat(len(row), axis=0)
            snn.run(x_test=x[row], y_test=y)
        cumulative = np.concatenate(snn.spikes)
        step_spikes = np.diff(cumulative, axis=2, prepend=0)
        observe(step_spikes.swapaxes(1, 2) > 0, None)
        counts = {name: np.concatenate(parts) for name, parts in snn.counts.items()}
        return BlockCounts(counts=counts, readout=None, late=None, spikes={})


class _Counter:
    """Spike counter that replaces the spike train of a layer in the toolbox.

    The toolbox sets the spikes of a step as if it were an array (batch, ..., steps).

    Attributes
    ----------
    counts
        Spikes after the warm-up: int64 (batch, ...).
    """

    def __init__(self, shape: Tuple[int, ...], warm_up: int) -> None:
        self.counts = np.zeros(shape, np.int64)
        self.warm_up = warm_up

    def __setitem__(self, index: Tuple[Any, int], spike_times: np.ndarray) -> None:
        if index[-1] >= self.warm_up:
            self.counts += spike_times != 0


class _CountingSNN(INI_temporal_mean_rate_target_sim.SNN):
    """The simulator of the toolbox, with counters and another Poisson input.

    The counters are in place of spike trains. The Poisson input is that of this
    package: `Streams`.

    Attributes
    ----------
    counts
        By layer, and by the input if it spikes, the counts of each batch: (samples,
        ...), or (1, ...), summed over all samples.
    spikes
        Cumulative spike counts of the last layer, by batch: int32 (samples, units,
        steps).
    """

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
        self._settings = settings
        self._samples = samples
        self._per_sample = per_sample
        self._progress = progress
        self._samples_done = 0
        self.counts: Dict[str, List[np.ndarray]] = {}
        self.spikes: List[np.ndarray] = []

    def simulate(self, **batch: np.ndarray) -> np.ndarray:
        batch_input = batch["x_b_l"]
        # The last batch is filled with copies, which are not among the samples.
        batch_end = self._samples_done + len(batch_input)
        samples = self._samples[self._samples_done : batch_end]
        warm_up = self._settings.warm_up
        counters = {}
        for layer in self.snn.layers:
            if getattr(layer, "spiketrain", None) is not None:
                counters[layer.name] = _Counter(layer.output_shape, warm_up)
        self.spiketrains_n_b_l_t: Optional[List[Tuple[_Counter, str]]] = []
        for name, counter in counters.items():
            self.spiketrains_n_b_l_t.append((counter, name))
        if self._settings.input == "poisson":
            self._streams = Streams(self._settings.seed, samples, INPUT)
            self._step = 0
            self._input_counter = _Counter(batch_input.shape, warm_up)
            counters = {INPUT_NAME: self._input_counter, **counters}
        cumulative = super().simulate(**batch)
        self.spiketrains_n_b_l_t = None
        for name, counter in counters.items():
            counts = counter.counts[: len(samples)]
            parts = self.counts.setdefault(name, [])
            if self._per_sample:
                parts.append(counts)
            else:
                total = counts.sum(axis=0, keepdims=True)
                parts[:] = [sum(parts, total)]
        self.spikes.append(cumulative[: len(samples)].astype(np.int32))
        self._samples_done += len(samples)
        self._progress(self._samples_done, len(self._samples))
        return cumulative

    def get_poisson_frame_batch(self, x_b_l: np.ndarray) -> np.ndarray:
        samples = min(len(x_b_l), len(self._samples) - self._samples_done)
        rate = self._settings.input_rate
        step_spikes = self._streams.poisson(x_b_l[:samples], rate, 1)[:, 0]
        row = np.minimum(np.arange(len(x_b_l)), samples - 1)
        frame: np.ndarray = step_spikes.astype(np.float32)[row]
        self._input_counter[..., self._step] = frame
        self._step += 1
        return frame

    def set_connectivity(self) -> None:
        """Count only the neurons.

        The toolbox cannot count the synapses of a strided convolution.
        """
        shapes = [self.parsed_model.input_shape]
        for layer in self.parsed_model.layers:
            if is_spiking(layer, self.config):
                shapes.append(layer.output_shape)
        self.num_neurons = [int(np.prod(shape[1:])) for shape in shapes]
        self.num_neurons_with_bias = [0] * len(self.num_neurons)
        self.fanin = self.num_neurons_with_bias
        self.fanout = self.num_neurons_with_bias
        self.num_synapses = 0
