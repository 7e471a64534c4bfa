"""Time steps of a network in PyTorch: float32 without TensorFloat-32, deterministic, on a GPU where there is one."""

import os
from typing import Callable, Dict, List, Mapping, Tuple

import numpy as np

# cuBLAS gives equal results from run to run only with a workspace of its own, which it reads when it is loaded.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
from torch import Tensor

from snnb.core.processors import processors
from snnb.network.layers import MaxPooling2D
from snnb.network.network import MEMBRANE, Network, Population, Reindexed
from snnb.simulation.block import initial_potential
from snnb.simulation.engines.dense import Arrays, DenseEngine, StepRecord, accumulates, constant_volumes
from snnb.simulation.engines.torch.currents import current_of, leading, reindexed
from snnb.simulation.simulation_settings import SimulationSettings

# Neurons and samples of a batch: enough for a card's thousands of cores, arrays of at most hundreds of megabytes.
BATCH_NEURONS, LARGEST_BATCH = {"cuda": 30_000_000, "cpu": 3_000_000}, {"cuda": 1000, "cpu": 100}
Tensors = Dict[str, Tensor]


class TorchEngine(DenseEngine):
    """Counts spikes with the arithmetic of PyTorch, which rounds otherwise than TensorFlow's where sums are not exact.

    Parameters
    ----------
    network : Network
    settings : SimulationSettings
    """

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        super().__init__(network, settings, Loop(network, settings, batch_of(network, device), device))


def batch_of(network: Network, device: str) -> int:
    """Return the samples that a device computes at a time: always so many, so that results depend on nothing else."""
    return max(1, min(LARGEST_BATCH[device], BATCH_NEURONS[device] // network.neurons))


class Loop:
    """The network's dynamics, see `dense.Loop`.

    Parameters
    ----------
    network : Network
    settings : SimulationSettings
    batch : int
        Samples in a batch.
    device : str
        Of PyTorch: "cpu", "cuda".
    """

    def __init__(self, network: Network, settings: SimulationSettings, batch: int, device: str) -> None:
        self._network, self._settings, self.batch, self._device = network, settings, batch, device
        _compute_exactly_and_equally(settings.workers)
        self._constant = constant_volumes(network) if settings.input == "constant" else set()
        self._currents: Dict[str, Callable[[Mapping[str, Tensor]], Tensor]] = {
            p.name: current_of(p, device) for p in network.populations if not accumulates(p)
        }
        self._constants: Tensors = {}
        self._potentials: Tensors = {}
        self._counts: Tensors = {}
        self._accumulated: Tensors = {}
        self._readout = self._zeros(network.output.shape)

    def begin(self, x: np.ndarray) -> None:
        """See `dense.Loop`. What constant input alone decides is computed here: currents, and what is passed on."""
        populations = self._network.populations
        self._potentials = {
            p.name: self._zeros(p.shape)
            + torch.from_numpy(initial_potential(p, self._settings).copy()).to(self._device)
            for p in populations
        }
        self._accumulated = {
            p.name: self._zeros(self._network.volume(p.only.input).shape) for p in populations if accumulates(p)
        }
        self._readout = self._zeros(self._network.output.shape)
        self.reset_counts()
        self._constants = {}
        for volume in self._network.volumes:
            if volume.name in self._constant:
                self._constants[volume.name] = self._constant_values(volume.name, x)

    @torch.no_grad()
    def run(self, feed: Arrays, steps: int, recorded: int) -> StepRecord:
        """See `dense.Loop`."""
        outputs: List[Tensor] = []
        readouts: List[Tensor] = []
        kept: Dict[str, List[Tensor]] = {p.name: [] for p in self._network.populations} if recorded else {}
        fed = {name: torch.from_numpy(numbers).to(self._device) for name, numbers in feed.items()}
        for step in range(steps):
            spikes = self._step({name: numbers[step] for name, numbers in fed.items()})
            outputs.append(spikes[self._network.output.name].flatten(1))
            readouts.append(self._readout.flatten(1).clone())
            for name, of_all_steps in kept.items():
                of_all_steps.append(spikes[name][:recorded].flatten(1))
        return StepRecord(
            _by_step(outputs), _by_step(readouts), {name: _by_step(of_all_steps) for name, of_all_steps in kept.items()}
        )

    def counts(self) -> Arrays:
        """See `dense.Loop`."""
        return {name: counts.cpu().numpy() for name, counts in self._counts.items()}

    def reset_counts(self) -> None:
        """See `dense.Loop`."""
        self._counts = {p.name: self._zeros(p.shape) for p in self._network.populations}

    def _zeros(self, shape: tuple) -> Tensor:
        return torch.zeros((self.batch, *shape), device=self._device)

    @torch.no_grad()
    def _constant_values(self, name: str, x: np.ndarray) -> Tensor:
        volume = self._network.volume(name)
        if isinstance(volume, Population):
            return self._currents[name](self._constants)
        if isinstance(volume, Reindexed):
            return reindexed(volume, self._constants)
        return torch.from_numpy(x).to(self._device)

    def _step(self, feed: Tensors) -> Tensors:
        """Do one step; return the spikes of each population, bool. They reach the last layer in this step."""
        tensors, spikes = dict(self._constants), {}
        for volume in self._network.volumes:
            name = volume.name
            if isinstance(volume, Population):
                spikes[name], tensors[name] = self._spikes(volume, tensors, feed)
            elif name in self._constants:
                continue
            elif isinstance(volume, Reindexed):
                tensors[name] = reindexed(volume, tensors)
            else:
                tensors[name] = feed[name].float()
        return spikes

    def _spikes(self, population: Population, tensors: Tensors, feed: Tensors) -> Tuple[Tensor, Tensor]:
        """Integrate a population's current and reset who spikes; return who does, bool, and what they send, float32."""
        name, potential = population.name, self._potentials[population.name]
        current = self._current(population, tensors)
        potential += current
        if population is self._network.output:
            self._readout += current
        if population.activation == "softmax":
            spikes = feed[name].reshape(potential.shape) <= potential.softmax(-1)
        elif population.activation == MEMBRANE:
            spikes = torch.zeros_like(potential, dtype=torch.bool)
        else:
            spikes = potential >= self._settings.threshold
        sent = spikes.float()
        self._counts[name] += sent
        if self._settings.threshold != 1:
            sent *= self._settings.threshold
        if population.activation == "softmax" or self._settings.reset == "zero":
            potential.masked_fill_(spikes, 0)
        else:
            potential -= sent
        return spikes, sent

    def _current(self, population: Population, tensors: Tensors) -> Tensor:
        name = population.name
        if name in self._constants:
            return self._constants[name]
        if not accumulates(population):
            return self._currents[name](tensors)
        layer, read = population.only.layer, tensors[population.only.input]
        assert isinstance(layer, MaxPooling2D)
        self._accumulated[name] += read
        return leading(layer, self._accumulated[name], read)


def _by_step(spikes: List[Tensor]) -> np.ndarray:
    together: np.ndarray = torch.stack(spikes).cpu().numpy()
    return together


def _compute_exactly_and_equally(workers: int) -> None:
    """Set what PyTorch keeps for the whole process: no shorter mantissas, no algorithm that depends on timing."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads any
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(max(1, processors() // workers))
