"""Names of neurons of an external graph, and files with rows `name value`.

The *label* of a neuron is its name, in a graph of several populations
`POPULATION,NAME`.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Protocol, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError
from snnb.io.hdf5 import budget_of, whole
from snnb.io.text import LONGEST_NAME, is_name

# A name with a separator, and the text after it
ROW = re.compile(r"(.*[;,\s])([^;,\s]*)")
NUMBER = re.compile("([0-9]+)")
SHOWN = 40  # characters of a wrong text
NAME_BYTES = 60  # of a name in memory, besides its characters


class Named(Protocol):
    """A population whose neurons may have names."""

    @property
    def name(self) -> str:
        """Name of the population."""

    @property
    def size(self) -> int:
        """Number of neurons."""

    @property
    def names(self) -> Optional[np.ndarray]:
        """Names of the neurons, str in an array of objects, flat; or None."""


def labels_of(populations: Sequence[Named]) -> Optional[List[str]]:
    """Return the labels of all neurons in the order of the ids.

    None if they have no names.
    """
    labels: List[str] = []
    for population in populations:
        if population.names is None:
            return None
        prefix = f"{population.name}," if len(populations) > 1 else ""
        labels += [f"{prefix}{name}" for name in population.names.tolist()]
    return labels


def ids_by_label(populations: Sequence[Named]) -> Optional[Dict[str, int]]:
    """Return the ids by label, and by `POPULATION,NAME` in a graph of one population.

    Return None if the neurons have no names.
    """
    labels = labels_of(populations)
    if labels is None:
        return None
    ids = {label: node for node, label in enumerate(labels)}
    if len(populations) == 1:
        for node, label in enumerate(labels):
            ids.setdefault(f"{populations[0].name},{label}", node)
    return ids


def natural_key(name: str) -> Tuple[List[Tuple[int, str]], str]:
    """Return a key for `sorted` by which numbers in names compare as numbers.

    A2 precedes a10.

    Numbers are not converted, since they may have any number of digits.
    """
    parts = NUMBER.split(name)
    parts[1::2] = [number.lstrip("0") for number in parts[1::2]]
    return [(len(part) if k % 2 else 0, part) for k, part in enumerate(parts)], name


def natural_order(names: Sequence[str]) -> np.ndarray:
    """Return the indices that sort names by `natural_key`: int64, shape (names,)."""
    order = sorted(range(len(names)), key=lambda k: natural_key(names[k]))
    return np.array(order, np.int64)


def fault_of_names(populations: Sequence[Named]) -> Optional[str]:
    """Return the fault of the names of neurons; None if there is none.

    Names may be not unique, not printable, or missing in some populations.
    """
    nameless = [p.name for p in populations if p.names is None]
    if len(nameless) == len(populations):
        return None
    if nameless:
        return (
            f"the neurons of {nameless[0]} have no names, and those of other "
            "populations have; name all, or none"
        )
    for population in populations:
        assert population.names is not None
        if len(population.names) != population.size:
            n_names = len(population.names)
            return (
                f"{population.name} has {population.size:,} neurons and {n_names:,} "
                "names"
            )
        for name in population.names.tolist():
            if not _is_valid(name):
                excerpt = str(name)[:SHOWN]
                return (
                    f"a neuron of {population.name} has the name {excerpt!r}; "
                    f"a name is 1 to {LONGEST_NAME} printable characters "
                    "without spaces at its ends"
                )
    labels = labels_of(populations) or ()
    label, number = Counter(labels).most_common(1)[0]
    if number == 1:
        return None
    return (
        f"{number:,} neurons have the name {label[:SHOWN]!r}; give each a distinct name"
    )


def _is_valid(name: object) -> bool:
    """Whether an object is a name of a neuron.

    A printable text that is not too long.
    """
    if not isinstance(name, str) or name != name.strip():
        return False
    return (name.isprintable() and 0 < len(name) <= LONGEST_NAME) or is_name(name)


def write_names(
    group: h5py.Group,
    path: str,
    names: np.ndarray,
    shape: Tuple[int, ...],
) -> None:
    """Write names as text of fixed length in UTF-8: equal names are equal bytes."""
    texts = np.array([name.encode() for name in names.tolist()])
    kind = h5py.string_dtype("utf-8", texts.dtype.itemsize)
    values = texts.reshape(shape).astype(kind)
    group.create_dataset(path, data=values, dtype=kind, track_times=False)


def read_names(dataset: h5py.Dataset) -> np.ndarray:
    """Read names of fixed or variable length: str in an array of objects, flat."""
    budget_of(dataset).draw(dataset.size, f"names in {dataset.name}", NAME_BYTES)
    texts = []
    for text in whole(dataset).ravel().tolist():
        texts.append(text.decode() if isinstance(text, bytes) else text)
    return as_names(texts)


def as_names(texts: Sequence[str]) -> np.ndarray:
    """Return texts as an array of objects, whatever they contain."""
    names = np.empty(len(texts), object)
    names[:] = texts
    return names


def named_values(
    path: Path,
    lines: Sequence[str],
    ids: Mapping[str, int],
) -> Iterator[Tuple[int, int, str]]:
    """Yield line number, id and value of rows `name value`.

    A comma, semicolon, tab or space separates both. Names may be in quotes. Empty lines
    are skipped, and so is a first line with the names of the columns. Raise
    `DamagedError` for a line without a name, with an unknown name, or with the name of
    another line.
    """
    example = next(iter(ids))
    seen_nodes = set()
    is_first_row = True
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        row = ROW.fullmatch(text)
        if row is None:
            example_row = f"{example},0"
            raise DamagedError(
                path,
                f"line {number:,}, {text[:SHOWN]!r}, has no name, "
                "and neurons of this graph have names; give a row "
                f"`name value` for each, such as {example_row!r}",
            )
        prefix, value = row.groups()
        name = _name_in(prefix, ids)
        node = ids.get(name)
        has_number = re.search(r"\d", value) is not None
        is_head = is_first_row and node is None and not has_number
        is_first_row = False
        if is_head:
            continue
        if node is None:
            raise DamagedError(
                path,
                f"line {number:,}: the graph has no neuron {name[:SHOWN]!r}; "
                f"its neurons have names such as {example!r}",
            )
        if node in seen_nodes:
            raise DamagedError(
                path, f"line {number:,}: neuron {name[:SHOWN]!r} has a value before"
            )
        seen_nodes.add(node)
        yield number, node, value


def _name_in(prefix: str, ids: Mapping[str, int]) -> str:
    """Return the name in a row without the value: one of `ids` if there is one.

    A name may be in quotes, or end in a comma.
    """
    name = ""
    for name in (prefix[:-1].strip(), prefix.rstrip(" \t;,")):
        if name in ids:
            return name
        if _remove_quotes(name) in ids:
            return _remove_quotes(name)
    return name


def _remove_quotes(name: str) -> str:
    """Return a name without the quotes around it, and with `"` for `""`."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


def missing_names(
    path: Path,
    populations: Sequence[Named],
    nodes: np.ndarray,
) -> DamagedError:
    """Return the error for a file that has no values of some neurons.

    `nodes` has the ids of these neurons, ascending.
    """
    labels = labels_of(populations)
    first_node = int(nodes[0])
    label = str(first_node) if labels is None else labels[first_node]
    total = sum(population.size for population in populations)
    return DamagedError(
        path,
        f"has no value of {nodes.size:,} of {total:,} neurons, the first is {label}",
    )
