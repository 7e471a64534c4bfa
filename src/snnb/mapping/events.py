"""Events of each core that take energy and time: spikes, messages and synaptic operations.

A spike is a message to each core that holds a target of its neuron, including that of the neuron itself, and an
operation of each of its synapses, as in SANA-FE (SLAM-Lab/SANA-FE 2.1.1, src/chip.cpp: `pipeline_process_axon_out`,
`process_message`).
"""

from typing import Optional

import numpy as np
from scipy.sparse import csr_matrix

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.mapping.cost_kernels import count_messages
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.traffic import TrafficSums
from snnb.network.axis import Axis
from snnb.network.reindexing import PADDING

EDGES = 1 << 20  # of a batch
NOTHING = np.empty(0, np.int32)


def core_events(sums: TrafficSums, spikes: np.ndarray, outside: Optional[np.ndarray] = None) -> np.ndarray:
    """Count the events of each core: float64, shape (4, rows, cores).

    They are spikes of the neurons of the core, messages that these send, messages that the core receives (including
    those from a spiking input), and synaptic operations: spikes at the synapses onto its neurons.

    Parameters
    ----------
    spikes : (rows, neurons) float64 array; spikes of each placed neuron in a time step, or in several
    outside : (rows, input) float64 array; spikes of the input; None for a constant current
    """
    network, rows = sums.network, len(spikes)
    events = np.zeros((4, rows, sums.cores))
    for population, sets in sums.sets:
        placed = population.first >= network.first
        own = sums.core[network.part(population)] if placed else NOTHING
        sent = spikes[:, network.part(population)] if placed else outside
        assert sent is not None  # only a spiking input has sets
        for row in range(rows):
            count_messages(own, np.ascontiguousarray(sent[row]), sets, events[1, row], events[2, row])
    number = np.arange(network.neurons)
    members = csr_matrix((np.ones(number.size), (sums.core, number)), (sums.cores, number.size))
    events[0], events[3] = (members @ spikes.T).T, (members @ received(network, spikes, outside).T).T
    return events


def axons_out(sums: TrafficSums) -> np.ndarray:
    """Count the output axons of each core: pairs of a neuron of it and a core that holds a target; int64, (cores,)."""
    out = np.zeros(sums.cores)
    for population, sets in sums.sets:
        if population.first >= sums.network.first:
            own = sums.core[sums.network.part(population)]
            count_messages(own, np.ones(population.size), sets, out, np.zeros(sums.cores))
    return out.astype(np.int64)


def updated_neurons(sums: TrafficSums) -> np.ndarray:
    """Count the active neurons of each core, and the others: int64, shape (2, cores)."""
    active = active_neurons(sums.network)
    return np.stack([np.bincount(sums.core[which], minlength=sums.cores) for which in (active, ~active)])


def active_neurons(network: PlacedNetwork) -> np.ndarray:
    """Return which neurons are active in a step: bool, shape (neurons,).

    Active neurons have a bias, a constant input, an initial potential, or a source that spikes in some sample. A neuron
    of SANA-FE is active in each step in which bias, input or potential are not 0 (src/models.cpp): these in some steps,
    all others in none.
    """
    outside = None if network.outside is None else network.outside[None]
    active = received(network, network.spikes[None], outside)[0] > 0
    for population in network.populations:
        part = active[network.part(population)]
        part |= population.bias.ravel() != 0
        if population.initial_potential is not None:
            part |= np.broadcast_to(population.initial_potential != 0, population.shape).ravel()
    if network.outside is None:
        for projection in network.projections_from(network.graph.populations[0]):
            active[network.part(projection.target)] |= projection.in_degrees > 0
    return active


def received(network: PlacedNetwork, spikes: np.ndarray, outside: Optional[np.ndarray] = None) -> np.ndarray:
    """Count the spikes at the synapses of each placed neuron: float64, shape (rows, neurons); see `core_events`."""
    found = np.zeros(spikes.shape)
    for projection in network.graph.projections:
        placed = projection.source.first >= network.first
        sent = spikes[:, network.part(projection.source)] if placed else outside
        if sent is not None:
            over = _over_edges if projection.merged else _over_windows
            found[:, network.part(projection.target)] += over(projection, sent)
    return found


def _over_edges(projection: GraphProjection, spikes: np.ndarray) -> np.ndarray:
    """Count the spikes at the targets of a projection by listing its synapses, a batch at a time."""
    source, target = projection.source, projection.target
    found = np.zeros((len(spikes), target.size))
    for batch in projection.edge_batches(EDGES):
        ends = batch.source - source.first, batch.target - target.first
        found += (csr_matrix((np.ones(ends[0].size), ends), (source.size, target.size)).T @ spikes.T).T
    return found


def _over_windows(projection: GraphProjection, spikes: np.ndarray) -> np.ndarray:
    """Count the spikes at the targets of a projection in the windows of its only connection."""
    (connection,) = projection.connections
    geometry = connection.geometry
    volume = _volume(connection, spikes)
    if geometry.pairing == "dense":
        volume = volume.sum(axis=3, keepdims=True)
    windows = _incidence(geometry.rows) @ np.moveaxis(volume, 3, 1) @ _incidence(geometry.columns).T
    found = np.repeat(np.moveaxis(windows, 1, 3), geometry.filters // volume.shape[3], axis=3)
    return found.reshape(len(spikes), -1)


def _volume(connection: Connection, spikes: np.ndarray) -> np.ndarray:
    """Return the spikes at the positions of a layer's input: shape (rows, height, width, channels)."""
    ids = connection.positions.ids
    index = np.where(ids == PADDING, spikes.shape[1], ids - connection.source.first)
    padded: np.ndarray = np.concatenate([spikes, np.zeros((len(spikes), 1))], axis=1)[:, index]
    return padded


def _incidence(axis: Axis) -> np.ndarray:
    """Count the taps by which outputs and inputs of an axis meet: float64, shape (outputs, inputs)."""
    taps = np.zeros((axis.outputs, axis.size))
    np.add.at(taps, (axis.output, axis.input), 1)
    return taps
