"""The layers of a network on a chip whose cores take a layer each, such as Speck: memories, limits, and the cores.

Memories, and when a network fits, are those of sinabs 3.1.3 (synsense/sinabs, commit 904eb89, backend/dynapcnn:
`DynapcnnLayer.memory_summary`, `LayerConstraints.fits`, `get_valid_mapping`); the limits of a layer are in
docs/speck/overview.md there. A core has one kernel, which reads the maps of all its sources one after the other along
the channels, pads on both sides alike, and is square. What a network has in another form is filled up with weights of
0: a kernel padded on one side, the other channels of a depthwise convolution, a smaller kernel of a sum.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from snnb.chips.hardware import MEMORIES, CoreMemory, LayerHardware, LayerLimits
from snnb.network.geometry import window_padding
from snnb.network.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Layer,
    MaxPooling2D,
    Reshape,
    ZeroPadding2D,
)
from snnb.network.network import Network, Population, Projection, Reindexed

Pair = Tuple[int, int]


class Fault(NamedTuple):
    """A limit that a layer exceeds, or something that a chip cannot do."""

    limit: str  # a word, for the table
    text: str  # by how much, and what would fit


@dataclass(frozen=True)
class Term:
    """Spikes that a layer reads."""

    source: str  # population, or the input
    shape: Tuple[int, int, int]  # rows, columns and channels that are read, after pooling
    pooling: int = 1  # side of the windows that are summed on the way
    before: Pair = (0, 0)  # rows above and columns left of them that are padding


def _addresses(entries: int) -> int:
    """Return the next power of two: an address has bits for each axis but one."""
    return 1 << (entries - 1).bit_length()


@dataclass(frozen=True)
class CoreLayer:
    """A layer in the form of a core: a convolution."""

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
        return self.channels * _addresses(rows * columns) * _addresses(self.filters)

    @property
    def neurons(self) -> int:
        """Entries of the neuron memory."""
        rows, columns = self.output
        return self.filters * _addresses(rows) * _addresses(columns)

    def fits(self, core: CoreMemory) -> bool:
        """Whether each memory of a core holds it."""
        return all(getattr(self, name) <= getattr(core, name) for name in MEMORIES)

    def with_filters(self, filters: int) -> "CoreLayer":
        """Return the layer with fewer filters."""
        return replace(self, filters=filters, biases=min(self.biases, filters))


@dataclass(frozen=True)
class LayerAssignment:
    """The layers of a network, and the cores that they get; or the reason why there is no such assignment."""

    layers: Tuple[CoreLayer, ...]
    fits: Tuple[Tuple[int, ...], ...]  # cores that hold each layer
    core: Tuple[Optional[int], ...]  # of each layer; None: it gets none
    folded: Mapping[str, int]  # poolings without neurons on the chip, and the sides of their windows
    reason: Optional[str] = None  # None: the network fits

    def rows(self) -> List[Tuple[str, ...]]:
        """Return a row of text for each layer, below a head."""
        rows: List[Tuple[str, ...]] = [("layer", "kernel", "neurons", "biases", "fits cores", "core", "exceeds")]
        for layer, fits, core in zip(self.layers, self.fits, self.core):
            memories = (f"{getattr(layer, name):,}" for name in MEMORIES)
            exceeded = ", ".join(dict.fromkeys(fault.limit for fault in layer.faults))
            rows.append((layer.name, *memories, " ".join(map(str, fits)), "–" if core is None else str(core), exceeded))
        return rows


def text_table(rows: Sequence[Sequence[str]]) -> List[str]:
    """Return rows as lines with aligned columns, without columns that are empty below the head."""
    filled = [column for column in zip(*rows) if any(column[1:])]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in filled]
    return ["  ".join(cells).rstrip() for cells in zip(*padded)]


def assign_layers(network: Network, hardware: LayerHardware) -> LayerAssignment:
    """Assign a core to each layer of a network."""
    limits, cores = hardware.layer, hardware.cores
    folded = _folded(network, limits)
    formed = [_layer(network, folded, p, limits) for p in network.populations if p.name not in folded]
    targets: Dict[str, List[str]] = {}  # of each source
    for layer in formed:
        for term in layer.terms:
            targets.setdefault(term.source, []).append(layer.name)
    layers: List[CoreLayer] = []
    fits: List[List[int]] = []
    for layer in formed:
        faults = [*layer.faults, *_of_targets("", targets.get(layer.name, []), limits.targets)]
        if not layers:
            faults += _of_targets("an input with ", targets.get(network.input.name, []), limits.targets)
        fitting_cores = [number for number, core in enumerate(cores) if layer.fits(core)]
        if not fitting_cores:
            faults.append(_memory_fault(layer, cores))
        layers.append(replace(layer, faults=tuple(faults)))
        fits.append([] if faults else fitting_cores)
    core_of_layer = maximum_matching(fits, len(cores))
    reasons = []
    if len(layers) > len(cores):
        excess = len(layers) - len(cores)
        name = "core" if len(cores) == 1 else "cores"
        reasons.append(
            f"{len(layers):,} layers, {excess:,} more than the {len(cores):,} {name}, which take one layer each"
        )
    faulty = [layer for layer in layers if layer.faults]
    if faulty:
        rest = f" (and {len(faulty) - 1:,} more in the table)" if len(faulty) > 1 else ""
        reasons.append(f"layer {faulty[0].name} has {faulty[0].faults[0].text}{rest}")
    if not reasons and None in core_of_layer:
        reasons.append(_shared(layers, cores, fits, core_of_layer))
    reason = f"{hardware.name}: {'; '.join(reasons)}" if reasons else None
    return LayerAssignment(tuple(layers), tuple(map(tuple, fits)), tuple(core_of_layer), folded, reason)


def maximum_matching(fits: Sequence[Sequence[int]], cores: int) -> List[Optional[int]]:
    """Return a core for each layer, or None: a maximum matching of layers to the cores that they fit.

    Of several, the first layers have the cores with the lowest numbers.
    """
    from scipy.optimize import linear_sum_assignment

    number = len(fits)
    cost = np.arange(number, 0.0, -1.0)[:, np.newaxis] * np.arange(cores)
    unfit = np.ones(cost.shape, bool)
    for layer, fitting in enumerate(fits):
        unfit[layer, fitting] = False
    cost[unfit] += number * number * cores  # more than all others cost together
    # Not `maximum_bipartite_matching`: that of scipy 1.4.1 is not always maximum.
    core: List[Optional[int]] = [None] * number
    for layer, chosen in zip(*linear_sum_assignment(cost)):
        core[layer] = None if unfit[layer, chosen] else int(chosen)
    return core


def _shared(
    layers: Sequence[CoreLayer],
    cores: Sequence[CoreMemory],
    fits: Sequence[Sequence[int]],
    core: Sequence[Optional[int]],
) -> str:
    """Return why layers that each fit some core have no matching: a set of layers with fewer cores than layers."""
    rivals: Set[int] = {core.index(None)}  # and the layers that compete with it (Hall's theorem)
    reached: Set[int] = set()  # cores that they fit
    while True:
        new_cores = {number for layer in rivals for number in fits[layer]} - reached
        if not new_cores:
            break
        reached |= new_cores
        rivals |= {layer for layer, number in enumerate(core) if number in new_cores}
    names, numbers = ", ".join(layers[layer].name for layer in sorted(rivals)), ", ".join(map(str, sorted(reached)))
    text = f"layers {names} fit cores {numbers} only, {len(rivals) - len(reached):,} too few"
    for layer in sorted(rivals, key=lambda one: layers[one].filters):

        def works(filters: int, layer: int = layer) -> bool:
            smaller = layers[layer].with_filters(filters)
            fitting_cores = [number for number, one in enumerate(cores) if smaller.fits(one)]
            return None not in maximum_matching(
                [fitting_cores if one == layer else fitting for one, fitting in enumerate(fits)], len(cores)
            )

        max_filters = _most(layers[layer].filters, works)
        if max_filters:
            one = layers[layer]
            return f"{text}; with at most {max_filters:,} of the {one.filters:,} output channels of {one.name} all fit"
    return f"{text}; use fewer or smaller layers"


def _most(below: int, works: Callable[[int], bool]) -> int:
    """Return the largest number from 1 to `below` - 1 that works, if all smaller ones do too; 0 if none does."""
    low, high = 0, below
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if works(middle) else (low, middle)
    return low


def _memory_fault(layer: CoreLayer, cores: Sequence[CoreMemory]) -> Fault:
    """Return the memory that a layer exceeds on every core, by how much, and what would fit."""
    largest = {name: max(getattr(core, name) for core in cores) for name in MEMORIES}
    name = max(MEMORIES, key=lambda name: getattr(layer, name) / largest[name])
    needed, capacity = getattr(layer, name), largest[name]
    if needed > capacity:
        what = f"{needed:,} entries of {name}, {needed - capacity:,} more than the {capacity:,} of the largest core"
    else:
        what = f"{layer.kernel:,} entries of kernel and {layer.neurons:,} of neurons, and no core holds both"

    def holds(smaller: CoreLayer) -> bool:
        return any(smaller.fits(core) for core in cores)

    filters = _most(layer.filters, lambda number: holds(layer.with_filters(number)))
    channels = _most(layer.channels, lambda number: holds(replace(layer, channels=number)))
    limits = [f"at most {filters:,} of its {layer.filters:,} output channels"] if filters else []
    limits += [f"{channels:,} of its {layer.channels:,} input channels"] if channels else []
    smaller = name == "neurons" or needed <= capacity or 1 < max(layer.kernel_size) == max(layer.input)  # with pooling
    remedies = [*([f"{' or '.join(limits)} fit"] if limits else []), *(["pool before it"] if smaller else [])]
    return Fault(name, f"{what}; {', or '.join(remedies) or 'use fewer channels'}")


def _folded(network: Network, limits: LayerLimits) -> Dict[str, int]:
    """Return the average poolings that the path between two cores can sum, and the sides of their windows."""
    folded: Dict[str, int] = {}
    for population in network.populations:
        side = _window_side(population)
        if side in limits.pooling and population is not network.output and side is not None:
            with suppress(_NoFormError):
                terms = _terms(network, folded, population.only.input)
                if all(term.pooling == 1 and term.before == (0, 0) for term in terms):
                    folded[population.name] = side
    return folded


def _window_side(population: Population) -> Optional[int]:
    """Return the side of the square, adjacent, full windows of an average pooling; None for any other layer.

    An integer network has depthwise convolutions of equal weights instead of average poolings.
    """
    layer = population.projections[0].layer
    if len(population.projections) > 1 or not isinstance(layer, (AveragePooling2D, DepthwiseConv2D)):
        return None
    if isinstance(layer, AveragePooling2D):
        size = layer.pool_size
    else:
        weights, size = population.only.weights(), layer.kernel_size
        if weights.shape[-1] > 1 or np.ptp(weights, axis=(0, 1)).any() or (weights <= 0).any() or size == (1, 1):
            return None
    full = bool((population.only.geometry.taps() == size[0] * size[1]).all())
    return size[0] if size[0] == size[1] and layer.strides == size and full else None


class _NoFormError(ValueError):
    """A network moves spikes as no core does."""


def _terms(network: Network, folded: Mapping[str, int], name: str) -> List[Term]:
    """Return the spikes that are read from a volume, in the order of the channels; or raise `_NoFormError`."""
    volume = network.volume(name)
    if name in folded:
        assert isinstance(volume, Population)
        rows, columns, _ = volume.shape
        terms = _terms(network, folded, volume.only.input)
        return [replace(term, shape=(rows, columns, term.shape[2]), pooling=folded[name]) for term in terms]
    if not isinstance(volume, Reindexed):
        rows, columns, channels = (1,) * (3 - len(volume.shape)) + volume.shape
        return [Term(name, (rows, columns, channels))]
    terms = [term for read in volume.inputs for term in _terms(network, folded, read)]
    layer = volume.layer
    if isinstance(layer, (Flatten, Reshape)) and len(volume.shape) == 1:
        return terms
    if isinstance(layer, ZeroPadding2D):
        (top, _), (left, _) = layer.padding
        return [replace(term, before=(term.before[0] + top, term.before[1] + left)) for term in terms]
    if isinstance(layer, Concatenate) and layer.along(len(volume.shape)) == len(volume.shape) - 1:
        return terms
    raise _NoFormError(f"a {layer.kind} before it, which moves values between positions; omit it")


def _uncomposed(projection: Projection, term: Term, limits: LayerLimits) -> Term:
    """Return the spikes that a Dense layer reads, with pooling if its weights are equal in each window.

    That is a pooling that `parse --calibrate` has composed with it: the path sums the windows again.
    """
    rows, columns, channels = term.shape
    for side in sorted(limits.pooling, reverse=True):
        if side > 1 and rows % side == 0 and columns % side == 0 and term.before == (0, 0):
            windows = projection.weights().reshape(rows // side, side, columns // side, side, -1)
            if (windows == windows[:, :1, :, :1]).all():
                return replace(term, shape=(rows // side, columns // side, channels), pooling=side)
    return term


class _Side(NamedTuple):
    """Rows, or columns, of a projection."""

    size: int
    outputs: int
    taps: int
    stride: int
    before: int  # padding

    @property
    def after(self) -> int:
        """Padding that the last window needs."""
        return max(0, (self.outputs - 1) * self.stride + self.taps - self.before - self.size)


def _layer(network: Network, folded: Mapping[str, int], population: Population, limits: LayerLimits) -> CoreLayer:
    """Return a population in the form of a core, with the limits that it exceeds apart from memories and targets."""
    faults: List[Fault] = []
    terms: List[Term] = []
    sides: Tuple[List[_Side], List[_Side]] = [], []
    rows, columns, filters = (1,) * (3 - len(population.shape)) + population.shape
    for projection in population.projections:
        layer = projection.layer
        if projection.delay:
            faults.append(
                Fault("recurrence", f"input from {projection.input} with a delay, which closes a cycle; remove it")
            )
            continue
        try:
            read = _terms(network, folded, projection.input)
        except _NoFormError as error:
            faults.append(Fault("order", str(error)))
            continue
        if isinstance(layer, Dense) and len(read) == 1 and read[0].pooling == 1 and len(population.shape) == 1:
            read = [_uncomposed(projection, read[0], limits)]
        terms += read
        faults += _of_kind(network, population, layer, limits)
        for term in read:
            for axis, of_axis in enumerate(sides):
                size = term.shape[axis]
                if isinstance(layer, (Conv2D, DepthwiseConv2D)):
                    taps, stride = layer.kernel_size[axis], layer.strides[axis]
                    padded = projection.geometry.input_volume[axis]
                    padding_before, _ = window_padding(padded, taps, stride, layer.dilation_rate[axis], layer.padding)
                    of_axis.append(_Side(size, (rows, columns)[axis], taps, stride, padding_before + term.before[axis]))
                elif isinstance(layer, (AveragePooling2D, MaxPooling2D)):
                    of_axis.append(_Side(size, (rows, columns)[axis], layer.pool_size[axis], layer.strides[axis], 0))
                else:  # a Dense layer reads all positions, or each alone
                    of_axis.append(_Side(size, (rows, columns)[axis], size if len(population.shape) == 1 else 1, 1, 0))
    kernel, padding = zip(*map(_kernel_side, sides)) if terms else ((1, 1), (0, 0))
    bias = population.bias
    built = CoreLayer(
        name=population.name,
        terms=tuple(terms),
        input=(sides[0][0].size, sides[1][0].size) if terms else (1, 1),
        channels=sum(term.shape[2] for term in terms),
        filters=filters,
        output=(rows, columns),
        kernel_size=kernel,
        strides=(sides[0][0].stride, sides[1][0].stride) if terms else (1, 1),
        padding=padding,
        biases=filters if bias is not None and bias.any() else 0,
    )
    if any(len({side.size for side in axis}) > 1 or len({side.stride for side in axis}) > 1 for axis in sides):
        faults.append(Fault("sum", "a sum of sources that differ in size or stride; a core has one kernel"))
    if not faults:
        faults += _of_limits(built, limits)
    faults += _of_neurons(network, population, limits)
    return replace(built, faults=tuple(faults))


def _kernel_side(sides: Sequence[_Side]) -> Pair:
    """Return side and padding of the kernel that has zeros where it is padded on one side only, or is smaller."""
    padding = max(max(side.before, side.after) for side in sides)
    sizes = [max(s.taps + padding - s.before, s.size + 2 * padding - s.outputs * s.stride + 1) for s in sides]
    return max(sizes), padding


def _of_kind(network: Network, population: Population, layer: Layer, limits: LayerLimits) -> Iterator[Fault]:
    """Yield the fault of a layer kind that a core does not have."""
    if isinstance(layer, MaxPooling2D):
        yield Fault("max pooling", "max pooling, and a core has sums only: `parse --max-pool average`")
    elif isinstance(layer, AveragePooling2D):
        allowed = " or ".join(f"{side} × {side}" for side in limits.pooling if side > 1) or "nothing"
        rows, columns = layer.pool_size
        readers = [other for other in network.populations if population.name in network.senders(other)]
        dense = all(isinstance(reader.projections[0].layer, Dense) for reader in readers)
        remedy = "`parse --calibrate` composes it with the Dense layer that reads it" if dense else "pool by these"
        yield Fault(
            "pooling",
            f"pooling neurons with windows of {rows} × {columns}, and the path to the next core sums {allowed}, in "
            f"adjacent windows without padding, after a layer; {remedy}",
        )
    elif not isinstance(layer, (Conv2D, DepthwiseConv2D, Dense)):
        yield Fault("kind", f"the kind {layer.kind}, which is no convolution and no dense layer")
    elif not isinstance(layer, Dense) and layer.dilation_rate != (1, 1):
        yield Fault("dilation", "a dilated kernel; use one without gaps")


def _of_limits(layer: CoreLayer, limits: LayerLimits) -> Iterator[Fault]:
    """Yield the limits of a layer, other than memories and targets, that it exceeds."""
    for name, what, value, remedy in (
        ("input_side", "an input", layer.input, "resize the input or pool before it"),
        ("output_side", "an output", layer.output, "use strides or pool before it"),
        ("kernel_side", "a kernel", layer.kernel_size, "use a smaller kernel, or pool before a dense layer"),
    ):
        limit = getattr(limits, name)
        if limit is not None and max(value) > limit:
            size = f"{what} of {value[0]} × {value[1]}, {max(value) - limit} more than {limit} × {limit}"
            yield Fault(name.split("_")[0], f"{size}; {remedy}")
    rows, columns = layer.kernel_size
    if rows != columns:
        yield Fault("kernel", f"a kernel of {rows} × {columns}, and a core takes square ones; use a square one")
    for name, what, number in (
        ("channels", "input channels", layer.channels),
        ("channels", "output channels", layer.filters),
        ("padding", "rows or columns of padding", max(layer.padding)),
    ):
        limit = getattr(limits, name)
        if limit is not None and number > limit:
            yield Fault(name, f"{number:,} {what}, {number - limit:,} more than {limit:,}; use at most {limit:,}")
    wrong = [stride for stride in layer.strides if limits.strides is not None and stride not in limits.strides]
    if wrong:
        allowed = ", ".join(map(str, limits.strides or ()))
        yield Fault("strides", f"a stride of {wrong[0]}, and a core takes {allowed}; use one of these")


def _of_neurons(network: Network, population: Population, limits: LayerLimits) -> Iterator[Fault]:
    """Yield what neurons and integers of a population exceed; floating-point weights are not integers yet."""
    weight_bits, state_bits = limits.weight_bits, limits.state_bits
    neuron = population.neuron
    if neuron is not None and (neuron.current_leak is not None or np.any(np.asarray(neuron.leak) != 1)):
        yield Fault("leak", "neurons with an exponential leak; train integrate-and-fire neurons")
    if network.weight_bits is None:
        return
    if weight_bits is not None and network.weight_bits > weight_bits:
        excess = network.weight_bits - weight_bits
        text = f"weights of {network.weight_bits} bits, {excess} more than {weight_bits}"
        yield Fault("weights", f"{text}; `parse --weight-bits {weight_bits}`")
    for what, values in (("threshold", population.integer_threshold), ("bias", population.bias)):
        largest = 0 if values is None else int(np.abs(values).max(initial=0))
        bits = largest.bit_length() + 1
        if state_bits is not None and bits > state_bits:
            exceeded = f"a {what} of {largest:,}, {bits} bits, {bits - state_bits} more than {state_bits}"
            yield Fault(what, f"{exceeded}; `parse --threshold-bits {state_bits}` or fewer")


def _of_targets(source: str, targets: Sequence[str], limit: Optional[int]) -> Iterator[Fault]:
    """Yield the fault of a layer, or of a `source` that is named, with too many targets."""
    if limit is not None and len(targets) > limit:
        text = f"{source}targets {', '.join(targets)}, {len(targets) - limit:,} more than {limit:,}; remove a branch"
        yield Fault("targets", text)
