"""Groups and arrays in memory, which are written and read as those of an HDF5 file."""

from typing import Any, Dict, Iterator, Tuple, Union

import h5py
import numpy as np


class MemoryGroup:
    """A group in memory, with the methods of `h5py.Group` that a graph needs.

    An array is held as a read-only view of what is given, without a copy.

    Attributes
    ----------
    filename : str
        Name for messages.
    attrs : dict
        Attributes by name.
    """

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.attrs: Dict[str, Any] = {}
        self._items: Dict[str, Union[MemoryGroup, np.ndarray]] = {}
        # Options of `create_dataset`, by name of the array
        self._storage: Dict[str, Dict[str, object]] = {}

    def create_group(self, path: str) -> "MemoryGroup":
        """Create a group, and the groups on the way to it."""
        name, _, rest = path.partition("/")
        child = self._items.setdefault(name, MemoryGroup(self.filename))
        assert isinstance(child, MemoryGroup)
        return child.create_group(rest) if rest else child

    def create_dataset(self, name: str, data: np.ndarray, **storage: object) -> None:
        """Hold an array; `write` stores it with the options `storage`."""
        array = data.view()
        array.flags.writeable = False
        self._items[name] = array
        self._storage[name] = storage

    def get(self, path: str) -> Union["MemoryGroup", np.ndarray, None]:
        """Return a group or an array, or None if there is none."""
        name, _, rest = path.partition("/")
        item = self._items.get(name)
        if not rest:
            return item
        return item.get(rest) if isinstance(item, MemoryGroup) else None

    def __getitem__(self, path: str) -> Any:
        item = self.get(path)
        if item is None:
            raise KeyError(path)
        return item

    def __contains__(self, path: str) -> bool:
        return self.get(path) is not None

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def items(self) -> Iterator[Tuple[str, Union["MemoryGroup", np.ndarray]]]:
        """Iterate over names with groups and arrays."""
        return iter(self._items.items())

    def close(self) -> None:
        """Do nothing: the arrays remain as long as they are needed."""

    def write(self, group: h5py.Group) -> None:
        """Write attributes, groups and arrays into a group of an HDF5 file."""
        group.attrs.update(self.attrs)
        for name, item in self._items.items():
            if isinstance(item, MemoryGroup):
                item.write(group.create_group(name))
            else:
                group.create_dataset(name, data=item, **self._storage[name])
