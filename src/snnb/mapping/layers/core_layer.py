"""The form that a layer has on a core: a convolution."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Tuple

from snnb.chips.hardware import MEMORIES, CoreMemory

Pair = Tuple[int, int]  # along rows and columns


class Fault(NamedTuple):
    """A limit that a layer exceeds, or something that a chip cannot do."""

    limit: str  # a word, for the table
    text: str  # by how much, and what would fit


@dataclass(frozen=True)
class Term:
    """Spikes that a layer reads."""

    source: str  # population, or the input
    # Rows, columns and channels that are read, after pooling
    shape: Tuple[int, int, int]
    pooling: int = 1  # side of the windows that are summed on the way
    before: Pair = (0, 0)  # rows above and columns left of them that are padding


def _count_addresses(entries: int) -> int:
    """Return the next power of two: an address has bits for each axis but one."""
    return 1 << (entries - 1).bit_length()


@dataclass(frozen=True)
class CoreLayer:
    """A layer in the form of a core."""

    name: str
    terms: Tuple[Term, ...]
    input: Pair  # rows and columns of each source
    channels: int  # of all sources
    filters: int
    output: Pair  # rows and columns, before pooling
    kernel_size: Pair = (1, 1)
    strides: Pair = (1, 1)
    padding: Pair = (0, 0)
    biases: int = 0
    faults: Tuple[Fault, ...] = ()

    @property
    def kernel(self) -> int:
        """Entries of the kernel memory."""
        rows, columns = self.kernel_size
        entries = _count_addresses(rows * columns) * _count_addresses(self.filters)
        return self.channels * entries

    @property
    def neurons(self) -> int:
        """Entries of the neuron memory."""
        rows, columns = self.output
        return self.filters * _count_addresses(rows) * _count_addresses(columns)

    def fits(self, core: CoreMemory) -> bool:
        """Whether each memory of a core holds it."""
        return all(getattr(self, name) <= getattr(core, name) for name in MEMORIES)

    def with_filters(self, filters: int) -> "CoreLayer":
        """Return the layer with fewer filters."""
        return replace(self, filters=filters, biases=min(self.biases, filters))

    def with_channels(self, channels: int) -> "CoreLayer":
        """Return the layer with fewer channels of its sources."""
        return replace(self, channels=channels)
