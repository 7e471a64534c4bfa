"""Graphs from files of hypergraphs, which have neither populations nor weights."""

from dataclasses import replace
from pathlib import Path
from typing import Iterable, Optional, Sequence

import numpy as np

from snnb.formats.description import Description, description_path, read_description
from snnb.formats.named_neurons import NEURONS
from snnb.graph.listed import Edges, ListedGraph, ListedPopulation

NOT_HELD = (
    "the file has no weights of synapses: all are 1",
    "neurons without targets have no hyperedge, and so no spikes",
)
NOT_GROUPED = "the file has no populations: all neurons are one, and none is an input"


def description_of(path: Path, format: str, nodes: int) -> Optional[Description]:
    """Return the description next to a hypergraph of a number of nodes.

    Return None if it is missing, or describes another graph or format.
    """
    if not description_path(path).is_file():
        return None
    description = read_description(description_path(path))
    described_nodes = description.graph_without_edges.nodes
    if description.format != format or described_nodes != nodes:
        return None
    return description


def hypergraph_of(
    path: Path,
    description: Optional[Description],
    nodes: int,
    edges: Iterable[Edges],
    spikes: Optional[np.ndarray],
    *,
    per_step: bool = False,
    notes: Sequence[str] = (),
) -> ListedGraph:
    """Return the graph of a hypergraph, with the populations of its description.

    Without a description, all neurons are one population.

    Parameters
    ----------
    path : Path
        The file of the hypergraph.
    description : Description, optional
        The description next to it, see `description_of`.
    nodes : int
        Number of neurons.
    edges : iterable
        The synapses.
    spikes : array, optional
        Spike counts of the neurons, or with `per_step` spikes per time step, shape
        (nodes,); None if the file does not state them.
    per_step : bool
        Whether `spikes` are spikes per time step.
    notes : sequence of str
        Further content that was not read.
    """
    if description is None:
        population = ListedPopulation(NEURONS, (nodes,), spikes=spikes)
        all_notes = (*NOT_HELD, NOT_GROUPED, *notes)
        return ListedGraph([population], edges, per_step=per_step, notes=all_notes)
    graph = replace(
        description.graph_without_edges,
        edges=edges,
        per_step=per_step,
        files=(path, description_path(path)),
        notes=(*NOT_HELD, *notes),
    )
    return graph if spikes is None else graph.with_spikes(spikes)
