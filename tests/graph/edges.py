"""The edges of a graph as plain arrays, its nodes by name, and neurons stepped with nothing but edges and biases."""

from typing import List, Tuple

import numpy as np

from snnb.graph.synapse_graph import SynapseGraph


def all_edges(graph: SynapseGraph, rate_scale: float = 1.0) -> List[np.ndarray]:
    """Source, target, weight, edge of all edges of the graph, copied from the batches."""
    batches = (
        batch
        for p in graph.projections
        for batch in p.edge_batches(rate_scale=rate_scale)
    )
    return [
        np.concatenate(columns)
        for columns in zip(*([values.copy() for values in batch] for batch in batches))
    ]


def names_of(graph: SynapseGraph) -> List[Tuple[str, Tuple[int, ...]]]:
    """Population and index of every node, by id."""
    return [(graph.nodes[n].population, graph.nodes[n].index) for n in graph.nodes]


def step_by_graph(graph, frames, options):
    """Spike counts `(samples, neurons)` by population: neurons stepped with nothing but the graph's edges and biases.

    frames: the output of the input population, float32 `(steps, neurons, samples)`.
    """
    source, *populations = graph.populations
    samples, threshold = frames.shape[2], np.float32(options.threshold)
    inbound = {
        p.name: [q for q in graph.projections if q.target is p] for p in populations
    }
    currents = {p.name: _current(p, inbound[p.name], threshold) for p in populations}
    start = np.float32(options.initial_potential * options.threshold)
    potential = {p.name: np.full((p.size, samples), start) for p in populations}
    counts = {p.name: np.zeros((samples, p.size), np.int64) for p in populations}
    for step, frame in enumerate(frames):
        active = {source.name: frame}
        for p in populations:
            reached_potential = potential[p.name] + currents[p.name](active)
            fires = reached_potential >= threshold
            active[p.name] = fires * threshold
            potential[p.name] = reached_potential - (
                fires * reached_potential if options.reset == "zero" else active[p.name]
            )
            if step >= options.warm_up:
                counts[p.name] += fires.T
    return counts


def _current(population, inbound, threshold):
    """The current of a population, float32 `(neurons, samples)`, as a function of the outputs of all populations."""
    matrices = {q.source.name: q.to_scipy().T.tocsr() for q in inbound}
    if any(q.rule == "MaxPooling2D" for q in inbound):
        return _Maximum(population, inbound, threshold)
    taps = np.ones((population.size, 1), np.float32)
    if any(
        q.connections[0].weighting == "mean" for q in inbound
    ):  # adds before it divides, as TensorFlow does
        taps_at = np.rint(1 / inbound[0].connections[0].scale).reshape(-1, 1)
        taps = np.repeat(taps_at, population.shape[-1], axis=0).astype(np.float32)
        for matrix in matrices.values():
            matrix.data[:] = np.rint(
                matrix.data * np.repeat(taps[:, 0], np.diff(matrix.indptr))
            )
    bias = population.bias.ravel()[:, np.newaxis]

    def current(active):
        return (
            sum(matrix @ active[name] for name, matrix in matrices.items()) / taps
            + bias
        ).astype(np.float32)

    return current


class _Maximum:
    """A spike of each window in which the largest spike count so far of its neurons rises."""

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
        place, window = place[order], window[order]
        number = np.arange(len(window)) - np.searchsorted(window, window)
        self._inputs = np.full((population.size, number.max() + 1), self._nowhere)
        self._inputs[window, number] = place
        self._counts = 0
        self._highest = 0
        self._threshold = threshold

    def __call__(self, active):
        present = np.zeros(
            (self._nowhere + 1, next(iter(active.values())).shape[1]), np.float32
        )
        for name, where in self._where.items():
            present[where[where >= 0]] = active[name][where >= 0]
        self._counts = self._counts + (present > 0)
        before, self._highest = self._highest, self._counts[self._inputs].max(axis=1)
        return np.float32(self._threshold) * (self._highest > before)
