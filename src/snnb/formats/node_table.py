"""The table of nodes of an export: columns, `nodes.csv`, and the graph that it describes."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.description import Description
from snnb.formats.request import Request
from snnb.graph.listed import ListedGraph, ListedPopulation
from snnb.graph.neuron_names import as_names
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.neuron import FIELDS

NODES_FILE = "nodes.csv"
COLUMNS = ("id", "population", "index", "bias", "coding", "spike_count")
OTHER_NEURONS = "its neurons differ from the description; export the graph again"


def node_columns(graph: SynapseGraph, request: Request) -> Dict[str, np.ndarray]:
    """Return the columns of the node table; row n is node n.

    Returns
    -------
    dict
        `population` (int32, which of `population_names`); `index` (int32, one column per
        axis, -1 after the last axis); `bias` (float32); with spike counts, `rate`
        (float64, in the requested unit) and `spike_count` (float64); of neurons with
        names, `name`.
    """
    populations = graph.populations
    axes = max(len(population.shape) for population in populations)
    numbers = np.arange(len(populations), dtype=np.int32)
    index = np.full((graph.number_of_nodes(), axes), -1, np.int32)
    for population in populations:
        population_axes = len(population.shape)
        indices = np.indices(population.shape, np.int32).reshape(population_axes, -1).T
        end = population.first + population.size
        index[population.first : end, :population_axes] = indices
    columns: Dict[str, np.ndarray] = {
        "population": np.repeat(numbers, [p.size for p in populations]),
        "population_names": np.array([p.name for p in populations]),
        "index": index,
        "bias": np.concatenate([p.bias.ravel() for p in populations]),
    }
    if graph.recording is not None:
        spike_counts = [
            population.spike_count.ravel().astype(np.float64)
            for population in populations
            if population.spike_count is not None
        ]
        columns["spike_count"] = np.concatenate(spike_counts)
        rates = columns["spike_count"] / graph.recording.steps
        columns["rate"] = rates * request.rate_scale(graph)
    names: List[str] = []
    for population in populations:
        if population.names is not None:
            names += population.names.tolist()
    if names:
        columns["name"] = np.array(names)
    return columns


def write_node_csv(
    path: Path,
    populations: Sequence[GraphPopulation],
    first_node: int = 0,
) -> None:
    """Write `nodes.csv`, one row per neuron.

    A bias has the digits that read back as the same float64. Of an integer network
    written as integers, the last column is the threshold. Of populations with a neuron
    model, the last columns are its numbers, and the bias that is added from the second
    time step on. If neurons have names, the last column is `name`. `first_node` is the
    id in the graph of the node that is 0 in this export.
    """
    number_names = _names_of_numbers(populations)
    head = [*COLUMNS, *number_names]
    if any(population.names is not None for population in populations):
        head.append("name")
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(head)
        for population in populations:
            first_row = population.first - first_node
            rows.writerows(_rows_of(population, first_row, number_names))


def _names_of_numbers(populations: Sequence[GraphPopulation]) -> Sequence[str]:
    """Return the columns of the neuron models, or of integer thresholds."""
    if any(population.neuron is not None for population in populations):
        return [*FIELDS, "later_bias"]
    if any(np.ndim(population.unit) for population in populations):
        return ["threshold"]
    return []


def _rows_of(
    population: GraphPopulation,
    first_node: int,
    number_names: Sequence[str],
) -> Iterator[List[object]]:
    """Yield the rows of a population, whose nodes count from `first_node`."""
    size = population.size
    nodes = range(first_node, first_node + size)
    biases = map(repr, population.bias.astype(np.float64).ravel().tolist())
    spike_counts: Iterable[str] = [""] * size
    if population.spike_count is not None:
        spike_counts = map(repr, population.spike_count.ravel().tolist())
    labels: Iterable[Tuple[str, ...]] = [()] * size
    if population.names is not None:
        labels = zip(population.names.tolist())
    columns = (
        nodes,
        np.ndindex(*population.shape),
        biases,
        spike_counts,
        _numbers_of(population, number_names),
        labels,
    )
    coding = population.coding or ""
    for node, index, bias, spike_count, numbers, label in zip(*columns):
        cells = [node, population.name, index, bias, coding, spike_count]
        yield [*cells, *numbers, *label]


def _numbers_of(
    population: GraphPopulation,
    names: Sequence[str],
) -> List[Tuple[str, ...]]:
    """Return the numbers of each neuron by name.

    They are empty texts where a population has no such number.
    """
    if not names:
        return [()] * population.size
    numbers = {}
    if population.neuron is not None:
        numbers = population.neuron.numbers(population.shape)
    if names == ["threshold"]:
        numbers = {"threshold": population.threshold}
    if population.later_bias is not None:
        later_bias = population.later_bias.astype(np.float64)
        numbers["later_bias"] = np.broadcast_to(later_bias, population.shape)
    columns = []
    for name in names:
        if name in numbers:
            columns.append(list(map(repr, numbers[name].ravel().tolist())))
        else:
            columns.append([""] * population.size)
    return list(zip(*columns))


def described_graph(
    path: Path,
    description: Description,
    columns: Mapping[str, np.ndarray],
) -> ListedGraph:
    """Return the graph of an export without its edges.

    Parameters
    ----------
    path : Path
        The table of nodes, for messages.
    description : Description
        The description of the export, which has the populations.
    columns : mapping
        `population` (text), and `bias`, `spike_count` and `name` if the table has them:
        arrays of shape (neurons,).

    Raises
    ------
    DamagedError
        The table has other neurons than the description.
    """
    graph = description.graph_without_edges
    if graph.nodes != columns["population"].size:
        raise DamagedError(path, OTHER_NEURONS)
    populations: List[ListedPopulation] = []
    owner_names: List[str] = []
    for population in graph.populations:
        begin = len(owner_names)
        owner_names += [population.name] * population.size
        rows = slice(begin, len(owner_names))
        values = {name: column[rows] for name, column in columns.items()}
        bias = values.get("bias")
        if bias is not None and not bias.any():
            bias = None
        names = None
        if "name" in values:
            names = as_names(values["name"].tolist())
        spikes = values.get("spike_count")
        populations.append(replace(population, bias=bias, spikes=spikes, names=names))
    if columns["population"].tolist() != owner_names:
        raise DamagedError(path, OTHER_NEURONS)
    return replace(graph, populations=populations)
