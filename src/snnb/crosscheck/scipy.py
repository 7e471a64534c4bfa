"""The exported network stepped with scipy's sparse matrices, in float64.

All populations are simulated in each step.
"""

from typing import Dict, List, Set, Tuple

import numpy as np

from snnb.crosscheck.exported import (
    ExportedNetwork,
    ExportedPopulation,
    Simulate,
    largest_counts,
)


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    return _Simulator(network).simulate


class _Simulator:
    """Simulates samples, all at a time."""

    def __init__(self, network: ExportedNetwork) -> None:
        self._network = network
        delays = [projection.delay for projection in network.projections]
        self._buffer_steps = 1 + max(delays, default=0)
        self._inbound = {}
        # Names of the volumes that a max pooling reads
        self._pooling_inputs: Set[str] = set()
        for population in network.simulated_populations:
            inbound = network.spiking_inbound(population.name)
            self._inbound[population.name] = inbound
            if population.counts_largest:
                self._pooling_inputs.update(p.source for p in inbound)

    def simulate(self, inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        """See `Simulate`."""
        network = self._network
        state = _State(network, inputs)
        for name in self._pooling_inputs:
            size = network.population(name).size
            state.counts[name] = np.zeros((size, len(inputs)))
        is_constant = network.input.coding == "current"
        rows: Dict[str, List[np.ndarray]] = {}
        for population in network.simulated_populations:
            rows[population.name] = [np.empty((0, 3), np.int64)]
        for step in range(steps):
            if not is_constant:
                input_spikes = inputs[:, :, step].T.astype(np.float64)
                self._send(state, network.input.name, step, input_spikes)
            for population in network.simulated_populations:
                if population.counts_largest:
                    is_spike = self._pool(population, state)
                else:
                    is_spike = self._integrate(population, step, state)
                spikes = is_spike.astype(np.float64)
                self._send(state, population.name, step, spikes)
                sample, neuron = np.nonzero(is_spike.T)
                step_column = np.full_like(sample, step)
                columns = [sample, neuron, step_column]
                rows[population.name].append(np.stack(columns, axis=1))
        return {name: np.concatenate(parts) for name, parts in rows.items()}

    def _send(self, state: "_State", name: str, step: int, spikes: np.ndarray) -> None:
        """Keep the spikes of a population in a step, (neurons, samples)."""
        state.spikes[name, step % self._buffer_steps] = spikes
        if name in state.counts:
            state.counts[name] += spikes

    def _pool(self, population: ExportedPopulation, state: "_State") -> np.ndarray:
        """Return where the largest count of a max pooling rises: bool."""
        inbound = self._inbound[population.name]
        counts = largest_counts(inbound, state.counts)
        is_spike: np.ndarray = counts > state.largest_counts[population.name]
        state.largest_counts[population.name] = counts
        return is_spike

    def _integrate(
        self,
        population: ExportedPopulation,
        step: int,
        state: "_State",
    ) -> np.ndarray:
        """Integrate the input of a population in a step; return where it spikes."""
        name = population.name
        potential = state.potential[name]
        x = population.bias_and_current(step, state.input_current[name])
        for projection in self._inbound[name]:
            if step >= projection.delay:
                sent_in = (step - projection.delay) % self._buffer_steps
                sums = projection.weights @ state.spikes[projection.source, sent_in]
                x += np.floor(sums) if population.fixed_point else sums
        population.integrate(potential, state.synaptic_current[name], x)
        threshold = population.threshold[:, None]
        is_spike = (potential >= threshold) & population.fires(step)
        population.reset(potential, is_spike)
        return is_spike


class _State:
    """State of the populations in all samples.

    Attributes
    ----------
    input_current, potential, synaptic_current
        Constant current of the input, membrane potential and synaptic current, by
        population: float64 (neurons, samples).
    spikes
        By population and step modulo the length of the buffer: float64 (neurons,
        samples), 0 or 1.
    counts
        Spike counts so far, by population that a max pooling reads: float64 (neurons,
        samples).
    largest_counts
        Largest count of the inputs so far, by max pooling: float64 (neurons, samples).
    """

    def __init__(self, network: ExportedNetwork, inputs: np.ndarray) -> None:
        """Set the state before the first step; `inputs` are those of `Simulate`."""
        samples = len(inputs)
        self.input_current: Dict[str, np.ndarray] = {}
        self.potential: Dict[str, np.ndarray] = {}
        self.synaptic_current: Dict[str, np.ndarray] = {}
        self.spikes: Dict[Tuple[str, int], np.ndarray] = {}
        self.counts: Dict[str, np.ndarray] = {}
        self.largest_counts: Dict[str, np.ndarray] = {}
        for population in network.simulated_populations:
            name = population.name
            self.input_current[name] = network.input_current(population, inputs)
            start = population.start[:, None].astype(float)
            self.potential[name] = np.repeat(start, samples, axis=1)
            self.synaptic_current[name] = np.zeros_like(self.potential[name])
            if population.counts_largest:
                shape = (population.size, samples)
                self.largest_counts[name] = np.zeros(shape)
