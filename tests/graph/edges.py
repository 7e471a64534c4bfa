"""The edges of a graph as plain arrays, its nodes by name, and neurons stepped by them.

The neurons are stepped with nothing but the edges and the biases.
"""

from typing import List, Tuple

import numpy as np

from snnb.graph.synapse_graph import SynapseGraph


def all_edges(graph: SynapseGraph, rate_scale: float = 1.0) -> List[np.ndarray]:
    """Source, target, weight, edge of all edges of the graph, copied from the batches."""
    batches = []
    for projection in graph.projections:
        for batch in projection.edge_batches(rate_scale=rate_scale):
            batches.append([values.copy() for values in batch])
    return [np.concatenate(columns) for columns in zip(*batches)]


def names_of(graph: SynapseGraph) -> List[Tuple[str, Tuple[int, ...]]]:
    """Population and index of every node, by id."""
    return [(graph.nodes[n].population, graph.nodes[n].index) for n in graph.nodes]


def step_by_graph(graph, frames, options):
    """Spike counts `(samples, neurons)` by population, of neurons stepped by the graph.

    frames: the output of the input population, float32 `(steps, neurons, samples)`.
    """
    source, *populations = graph.populations
    samples = frames.shape[2]
    stepped_populations = [_Stepped(p, graph, samples, options) for p in populations]
    for step, frame in enumerate(frames):
        outputs = {source.name: frame}
        for population in stepped_populations:
            fires = population.step(outputs)
            if step >= options.warm_up:
                population.counts += fires.T
    return {population.name: population.counts for population in stepped_populations}


class _Stepped:
    """A population, its potential `(neurons, samples)` and its counts."""

    def __init__(self, population, graph, samples, options):
        self.name = population.name
        self.counts = np.zeros((samples, population.size), np.int64)
        self._threshold = np.float32(options.threshold)
        self._resets_to_zero = options.reset == "zero"
        start = np.float32(options.initial_potential * options.threshold)
        self._potential = np.full((population.size, samples), start)
        inbound = [p for p in graph.projections if p.target is population]
        if any(projection.rule == "MaxPooling2D" for projection in inbound):
            self._current = _Maximum(population, inbound, self._threshold)
        else:
            self._current = _Sum(population, inbound)

    def step(self, outputs):
        """Return which neurons spike, and add their output to that of the others."""
        potential = self._potential + self._current(outputs)
        fires = potential >= self._threshold
        outputs[self.name] = fires * self._threshold
        subtrahend = fires * potential if self._resets_to_zero else outputs[self.name]
        self._potential = potential - subtrahend
        return fires


class _Sum:
    """The current of a population, float32 `(neurons, samples)`, given all outputs."""

    def __init__(self, population, inbound):
        self._matrices = {p.source.name: p.to_scipy().T.tocsr() for p in inbound}
        self._bias = population.bias.ravel()[:, np.newaxis]
        self._taps = np.ones((population.size, 1), np.float32)
        if any(p.connections[0].weighting == "mean" for p in inbound):
            # It adds before it divides, as TensorFlow does.
            taps = np.rint(1 / inbound[0].connections[0].scale).reshape(-1, 1)
            channel_taps = np.repeat(taps, population.shape[-1], axis=0)
            self._taps = channel_taps.astype(np.float32)
            for matrix in self._matrices.values():
                entry_taps = np.repeat(self._taps[:, 0], np.diff(matrix.indptr))
                matrix.data[:] = np.rint(matrix.data * entry_taps)

    def __call__(self, outputs):
        sums = sum(matrix @ outputs[name] for name, matrix in self._matrices.items())
        return (sums / self._taps + self._bias).astype(np.float32)


class _Maximum:
    """A spike of each window in which the largest spike count of its neurons rises."""

    def __init__(self, population, inbound, threshold):
        self._where = {q.source.name: q.connections[0].where for q in inbound}
        # After all inputs, where there is always 0
        self._nowhere = int(np.prod(inbound[0].connections[0].geometry.input_volume))
        edges = [(q.source.name, q.to_scipy().tocoo()) for q in inbound]
        place = np.concatenate(
            [self._where[name][matrix.row] for name, matrix in edges]
        )
        window = np.concatenate([matrix.col for _, matrix in edges])
        order = np.lexsort((place, window))
        place = place[order]
        window = window[order]
        number = np.arange(len(window)) - np.searchsorted(window, window)
        self._inputs = np.full((population.size, number.max() + 1), self._nowhere)
        self._inputs[window, number] = place
        self._counts = 0
        self._highest = 0
        self._threshold = threshold

    def __call__(self, outputs):
        samples = next(iter(outputs.values())).shape[1]
        present = np.zeros((self._nowhere + 1, samples), np.float32)
        for name, where in self._where.items():
            present[where[where >= 0]] = outputs[name][where >= 0]
        self._counts = self._counts + (present > 0)
        highest_before = self._highest
        self._highest = self._counts[self._inputs].max(axis=1)
        return np.float32(self._threshold) * (self._highest > highest_before)
