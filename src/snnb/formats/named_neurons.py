"""Ids of the neurons that a table of edges names, and their populations.

A neuron has a name within a group; without columns of groups, all neurons are in the
group "". Names get numbers in the order in which they appear in the file, and then ids
that do not depend on the order of the rows.
"""

import re
from itertools import repeat
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.listed import ListedGraph, ListedPopulation
from snnb.graph.neuron_names import as_names, natural_key, natural_order

FEWEST_SPARSE_IDS = 1_000_000  # ids that may always be numbers of neurons
SPARSE_IDS = 100  # further ids for each edge, above which they are not
INDEX = re.compile(r"\(\s*(\d+\s*(,\s*\d+\s*)*),?\s*\)")
NEURONS = "neurons"  # name of the population of neurons without groups
INPUT = "input"  # name of the group that is an input if no edge leads to it
Name = Tuple[
    str,
    str,
]  # group and name of a neuron; the group is empty if the file has none


def number_names(
    numbers: Dict[Name, int],
    batch: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Return the numbers of the sources and targets of some edges, and add new names.

    Parameters
    ----------
    numbers : dict
        Numbers by name. New names are added with the next numbers, in the order of the
        edges, and the source of an edge before its target.
    batch : mapping
        The columns `source` and `target`, and `source_group` and `target_group` if the
        table has groups: arrays of text, shape (edges,).

    Returns
    -------
    array
        Numbers of the sources, and of the targets: int64, shape (2, edges).
    """
    pairs: List[Tuple[int, int]] = []
    for source, target in zip(_names_of(batch, "source"), _names_of(batch, "target")):
        source_number = numbers.setdefault(source, len(numbers))
        target_number = numbers.setdefault(target, len(numbers))
        pairs.append((source_number, target_number))
    return np.array(pairs, np.int64).reshape(-1, 2).T


def _names_of(batch: Mapping[str, np.ndarray], end: str) -> Iterable[Name]:
    """Return the names of the neurons at one end of some edges."""
    texts = map(str, batch[end].tolist())
    if f"{end}_group" not in batch:
        return zip(repeat(""), texts)
    groups = map(str, batch[f"{end}_group"].tolist())
    return zip(groups, texts)


def ids_in_graph(path: Path, names: Iterable[Name], graph: ListedGraph) -> np.ndarray:
    """Return the ids of neurons in a graph by population and name: int64, shape (names,).

    A neuron of a population without names is named by its index, such as `(1, 2, 0)`.
    Raise `DamagedError` for `path` if the graph has no neuron of a name.
    """
    ids: Dict[Name, int] = {}
    for population in graph.populations:
        texts = map(str, np.ndindex(*population.shape))
        if population.names is not None:
            texts = iter(population.names.tolist())
        for neuron, text in enumerate(texts, len(ids)):
            ids[population.name, text] = neuron
    unknown_name = next((name for name in names if name not in ids), None)
    if unknown_name is not None:
        text = " ".join(unknown_name)
        raise DamagedError(
            path,
            f"names neuron {text!r}, which its description does not have",
        )
    return np.array([ids[name] for name in names], np.int64)


def populations_of_names(
    names: Sequence[Name],
    is_target: np.ndarray,
) -> Tuple[ListedGraph, np.ndarray]:
    """Return a population for each group of named neurons, and the ids of the names.

    Groups are in the natural order of their names, after an input. The neurons of a
    group are numbered as their names are if all are indices, `3` or `(1, 2, 0)`, else
    in natural order. Names without groups that are 0 to n - 1 are ids, and no names.

    Parameters
    ----------
    names : sequence
        All names; name k has the number k.
    is_target : array
        Whether an edge leads to the neuron: bool, shape (names,).

    Returns
    -------
    ListedGraph
        The populations, without edges.
    array
        Ids of the names: int64, shape (names,).
    """
    numbers_by_group: Dict[str, List[int]] = {}
    for number, (group, _) in enumerate(names):
        numbers_by_group.setdefault(group, []).append(number)
    inputs: List[str] = []
    if INPUT in numbers_by_group and not is_target[numbers_by_group[INPUT]].any():
        inputs = [INPUT]
    layers = sorted(numbers_by_group.keys() - {*inputs}, key=natural_key)
    ids = np.empty(len(names), np.int64)
    first_id = 0
    populations: List[ListedPopulation] = []
    for group in [*inputs, *layers]:
        texts = [names[number][1] for number in numbers_by_group[group]]
        if not group and len(numbers_by_group) == 1:
            population, indices = _population_without_group(texts)
        else:
            population, indices = _population_of_group(group, texts)
        ids[numbers_by_group[group]] = first_id + indices
        first_id += population.size
        populations.append(population)
    return ListedGraph(populations, (), len(inputs)), ids


def _population_without_group(
    texts: Sequence[str],
) -> Tuple[ListedPopulation, np.ndarray]:
    """Return the population of all neurons of a table, and the index of each in it."""
    if set(texts) == set(map(str, range(len(texts)))):
        population = ListedPopulation(NEURONS, (len(texts),))
        return population, np.array(texts).astype(np.int64)
    return _population_in_natural_order(NEURONS, texts)


def _population_of_group(
    group: str,
    texts: Sequence[str],
) -> Tuple[ListedPopulation, np.ndarray]:
    """Return the population of a group, and the flat index of each of its neurons."""
    positions = _positions(texts) if group else None
    if positions is None:
        return _population_in_natural_order(group or NEURONS, texts)
    shape = tuple((positions.max(axis=0) + 1).tolist())
    indices = np.ravel_multi_index(tuple(positions.T), shape)
    is_decimal = all(text.isdecimal() for text in texts)
    labels = range(shape[0]) if is_decimal else np.ndindex(*shape)
    names = as_names(list(map(str, labels)))  # also of neurons without edges
    names[indices] = texts
    return ListedPopulation(group, shape, names=names), indices


def _population_in_natural_order(
    name: str,
    texts: Sequence[str],
) -> Tuple[ListedPopulation, np.ndarray]:
    """Return a population whose neurons are in natural order, and the index of each."""
    order = natural_order(texts)
    indices = np.empty(len(texts), np.int64)
    indices[order] = np.arange(len(texts))
    population = ListedPopulation(name, (len(texts),), names=as_names(texts)[order])
    return population, indices


def _positions(texts: Sequence[str]) -> Optional[np.ndarray]:
    """Return the positions that names state: int64, shape (neurons, axes).

    Return None if a name is not a position, or if the positions are not those of a
    dense population. Names of one position, such as 1 and 01, are no positions.
    """
    rows: List[List[int]] = []
    for text in texts:
        match = INDEX.fullmatch(text)
        numbers = match.group(1).split(",") if match else [text]
        if not all(number.strip().isdecimal() for number in numbers):
            return None
        if rows and len(numbers) != len(rows[0]):
            return None
        rows.append([int(number) for number in numbers])
    if not rows or len(set(map(tuple, rows))) < len(rows):
        return None
    size = np.prod(np.max(rows, axis=0).astype(float) + 1)
    if size > FEWEST_SPARSE_IDS + SPARSE_IDS * len(rows):
        return None
    return np.array(rows, np.int64)
