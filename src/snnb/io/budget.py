"""The budget of a file: the bytes and steps that its readers may spend on it.

A small file can describe much: an array without values, one array under many names,
a constant that is computed, a part that is repeated in itself. Each reader draws from
the budget of its file before it makes an array or repeats a part, whatever the name
by which it has reached it.
"""

from pathlib import Path
from typing import Optional

from snnb.core.errors import DamagedError
from snnb.core.machine import require_memory

# Of a file of any size: enough for four million neurons without a synapse, a picture of
# 67 million pixels, or two of the largest matrices that NIR's linear nodes are composed
# to.
FREE_BYTES = 1 << 28
# Largest compression ratio of deflate (zlib.net/zlib_tech.html)
BYTES_PER_BYTE = 1032
# More layers than published networks have. Each takes about a millisecond.
FREE_STEPS = 5_000
# A layer of Keras's description, or a node in HDF5, takes several times as many bytes.
BYTES_PER_STEP = 100
# The available memory, which takes 2 ms to find, is found again after so many bytes.
CHECKED_BYTES = 10_000_000


class Budget:
    """Bytes of arrays and steps that are left to the readers of an opened file.

    Attributes
    ----------
    path : Path
        The file, for messages.
    size : int
        Bytes of the file, with those of external files that belong to it.
    """

    def __init__(self, path: Path, size: Optional[int] = None) -> None:
        self.path = path
        self.size = path.stat().st_size if size is None else size
        self._bytes = 0
        self._unchecked_bytes = 0  # drawn since the last check of the available memory
        self._steps = 0

    def draw(
        self,
        number: int,
        unit: str,
        item_bytes: int = 1,
        *,
        in_memory: bool = True,
    ) -> None:
        """Draw the bytes of an array that a reader is about to make.

        Parameters
        ----------
        number : int
            Number of items.
        unit : str
            What the items are, a plural, for messages.
        item_bytes : int
            Bytes of an item in memory.
        in_memory : bool
            Whether all items are in memory at a time.

        Raises
        ------
        DamagedError
            The file is too small for this array and those before.
        ResourceError
            The memory that is available is too small for this array.
        """
        needed_bytes = number * item_bytes
        self._bytes += needed_bytes
        limit = FREE_BYTES + BYTES_PER_BYTE * self.size
        if self._bytes > limit:
            raise DamagedError(
                self.path,
                f"describes {number:,} {unit}: {self._bytes:,} bytes with all that "
                f"was read before, more than the {limit:,} for which a file of "
                f"{self.size:,} bytes is read",
            )
        if in_memory:
            self._unchecked_bytes += needed_bytes
        if self._unchecked_bytes > CHECKED_BYTES:
            require_memory(self._unchecked_bytes, f"{self.path}: the {number:,} {unit}")
            self._unchecked_bytes = 0

    def draw_steps(self, number: int, unit: str) -> None:
        """Draw steps, such as nodes, that a reader is about to take.

        Raise `DamagedError` if the file is too small for these and those before.
        """
        self._steps += number
        limit = FREE_STEPS + self.size // BYTES_PER_STEP
        if self._steps > limit:
            raise DamagedError(
                self.path,
                f"describes more than {limit:,} {unit}, for which a file of "
                f"{self.size:,} bytes is read; parts of it are repeated",
            )
