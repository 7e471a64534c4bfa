"""Names of neurons of an external graph, and files with a row `name value` for each neuron.

The *label* of a neuron is its name, in a graph of several populations `POPULATION,NAME`.
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

ROW = re.compile(r"(.*[;,\s])([^;,\s]*)")  # a name with a separator, and the text after it
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
    """Return the labels of all neurons in the order of the ids; None if they have no names."""
    several, labels = len(populations) > 1, []
    for population in populations:
        if population.names is None:
            return None
        labels += [f"{population.name},{name}" if several else name for name in population.names.tolist()]
    return labels


def ids_by_label(populations: Sequence[Named]) -> Optional[Dict[str, int]]:
    """Return the ids by label, and by `POPULATION,NAME` in a graph of one population too; None without names."""
    labels = labels_of(populations)
    if labels is None:
        return None
    ids = {label: node for node, label in enumerate(labels)}
    if len(populations) == 1:
        for node, label in enumerate(labels):
            ids.setdefault(f"{populations[0].name},{label}", node)
    return ids


def natural_key(name: str) -> Tuple[List[Tuple[int, str]], str]:
    """Return a key for `sorted` by which numbers in names compare as numbers: a2 precedes a10.

    Numbers are not converted, since they may have any number of digits.
    """
    parts = NUMBER.split(name)
    parts[1::2] = [number.lstrip("0") for number in parts[1::2]]
    return [(len(part) if k % 2 else 0, part) for k, part in enumerate(parts)], name


def natural_order(names: Sequence[str]) -> np.ndarray:
    """Return the indices that sort names in natural order, see `natural_key`: int64, shape (names,)."""
    return np.array(sorted(range(len(names)), key=lambda k: natural_key(names[k])), np.int64)


def fault_of_names(populations: Sequence[Named]) -> Optional[str]:
    """Return the fault of names that are not unique, not printable, or missing in some populations; else None."""
    without = [population.name for population in populations if population.names is None]
    if len(without) == len(populations):
        return None
    if without:
        return f"the neurons of {without[0]} have no names, and those of other populations have; name all, or none"
    for population in populations:
        assert population.names is not None
        if len(population.names) != population.size:
            return f"{population.name} has {population.size:,} neurons and {len(population.names):,} names"
        for name in population.names.tolist():
            if not isinstance(name, str) or name != name.strip() or not _is_valid(name):
                return (
                    f"a neuron of {population.name} has the name {str(name)[:SHOWN]!r}; a name is 1 to {LONGEST_NAME} "
                    "printable characters without spaces at its ends"
                )
    label, number = Counter(labels_of(populations) or ()).most_common(1)[0]
    return None if number == 1 else f"{number:,} neurons have the name {label[:SHOWN]!r}; give each a distinct name"


def _is_valid(name: str) -> bool:
    return (name.isprintable() and 0 < len(name) <= LONGEST_NAME) or is_name(name)


def write_names(group: h5py.Group, path: str, names: np.ndarray, shape: Tuple[int, ...]) -> None:
    """Write names as text of fixed length in UTF-8, so that equal names are equal bytes."""
    encoded = np.array([name.encode() for name in names.tolist()])
    kind = h5py.string_dtype("utf-8", encoded.dtype.itemsize)
    group.create_dataset(path, data=encoded.reshape(shape).astype(kind), dtype=kind, track_times=False)


def read_names(stored: h5py.Dataset) -> np.ndarray:
    """Read names that are text of fixed or variable length: str in an array of objects, flat."""
    budget_of(stored).draw(stored.size, f"names in {stored.name}", NAME_BYTES)
    texts = [text.decode() if isinstance(text, bytes) else text for text in whole(stored).ravel().tolist()]
    return as_names(texts)


def as_names(texts: Sequence[str]) -> np.ndarray:
    """Return texts as an array of objects, whatever they contain."""
    names = np.empty(len(texts), object)
    names[:] = texts
    return names


def named_values(path: Path, lines: Sequence[str], ids: Mapping[str, int]) -> Iterator[Tuple[int, int, str]]:
    """Yield line number, id and value of rows `name value`, which a comma, semicolon, tab or space separates.

    Names may be in quotes. Empty lines are skipped, and so is a first line with the names of the columns. Raise
    `DamagedError` for a line without a name, with an unknown one, or with one of another line.
    """
    example, seen, first = next(iter(ids)), set(), True
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        row = ROW.fullmatch(text)
        if row is None:
            raise DamagedError(
                path,
                f"line {number:,}, {text[:SHOWN]!r}, has no name, and neurons of this graph have names; give a row "
                f"`name value` for each, such as {f'{example},0'!r}",
            )
        prefix, value = row.groups()
        names = [prefix[:-1].strip(), prefix.rstrip(" \t;,")]  # a name may end in a comma
        name = next((one for text in names for one in (text, _unquoted(text)) if one in ids), names[-1])
        node = ids.get(name)
        head, first = first and node is None and re.search(r"\d", value) is None, False
        if head:
            continue
        if node is None:
            raise DamagedError(
                path,
                f"line {number:,}: the graph has no neuron {name[:SHOWN]!r}; its neurons have names such as "
                f"{example!r}",
            )
        if node in seen:
            raise DamagedError(path, f"line {number:,}: neuron {name[:SHOWN]!r} has a value before")
        seen.add(node)
        yield number, node, value


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if len(name) > 1 and name[0] == name[-1] == '"' else name


def missing_names(path: Path, populations: Sequence[Named], missing: np.ndarray) -> DamagedError:
    """Return the error for neurons, by id, that a file has no values of."""
    labels = labels_of(populations)
    first = str(missing[0]) if labels is None else labels[int(missing[0])]
    nodes = sum(population.size for population in populations)
    return DamagedError(path, f"has no value of {missing.size:,} of {nodes:,} neurons, the first is {first}")
