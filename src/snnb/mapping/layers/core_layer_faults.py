"""What the layers of a network exceed, or do, that a core cannot: the faults of layers.

A function yields the faults of one kind, with what would fit.
"""

from functools import partial
from typing import Callable, Iterator, List, Optional, Sequence

import numpy as np

from snnb.chips.hardware import MEMORIES, CoreMemory, LayerLimits
from snnb.core.recommendation import CALIBRATED_STEPS, recommend
from snnb.mapping.layers.core_layer import CoreLayer, Fault
from snnb.network.layers import (
    AveragePooling2D,
    Convolution2D,
    Dense,
    Layer,
    MaxPooling2D,
)
from snnb.network.network import Network, Population


def find_kind_faults(
    network: Network,
    population: Population,
    layer: Layer,
    limits: LayerLimits,
) -> Iterator[Fault]:
    """Yield the fault of a layer kind that a core does not have."""
    if isinstance(layer, MaxPooling2D):
        remedy = recommend("parse", max_pool="average")
        yield Fault("max pooling", f"max pooling, and a core has sums only: {remedy}")
    elif isinstance(layer, AveragePooling2D):
        yield _pooling_fault(network, population, layer, limits)
    elif not isinstance(layer, (Convolution2D, Dense)):
        text = f"the kind {layer.kind}, which is no convolution and no dense layer"
        yield Fault("kind", text)
    elif not isinstance(layer, Dense) and layer.dilation_rate != (1, 1):
        yield Fault("dilation", "a dilated kernel; use one without gaps")


def _pooling_fault(
    network: Network,
    population: Population,
    layer: AveragePooling2D,
    limits: LayerLimits,
) -> Fault:
    """Return the fault of a pooling that the path to the next core cannot sum."""
    sides = [f"{side} × {side}" for side in limits.pooling if side > 1]
    rows, columns = layer.pool_size
    populations = network.populations
    readers = [p for p in populations if population.name in network.senders(p)]
    is_read_by_dense = all(
        isinstance(reader.projections[0].layer, Dense) for reader in readers
    )
    if is_read_by_dense and not network.trained_spiking:
        calibration = recommend("parse", calibrate=CALIBRATED_STEPS)
        remedy = f"{calibration} composes it with the Dense layer that reads it"
    else:
        remedy = "pool by these"
    return Fault(
        "pooling",
        f"pooling neurons with windows of {rows} × {columns}, and the path to the next "
        f"core sums {' or '.join(sides) or 'nothing'}, in adjacent windows without "
        f"padding, after a layer; {remedy}",
    )


def find_limit_faults(layer: CoreLayer, limits: LayerLimits) -> Iterator[Fault]:
    """Yield the limits of a layer, apart from memories and targets, that it exceeds."""
    for name, what, pair, remedy in (
        ("input_side", "an input", layer.input, "resize the input or pool before it"),
        ("output_side", "an output", layer.output, "use strides or pool before it"),
        (
            "kernel_side",
            "a kernel",
            layer.kernel_size,
            "use a smaller kernel, or pool before a dense layer",
        ),
    ):
        limit = getattr(limits, name)
        if limit is not None and max(pair) > limit:
            excess = max(pair) - limit
            size = f"{what} of {pair[0]} × {pair[1]}"
            text = f"{size}, {excess} more than {limit} × {limit}; {remedy}"
            yield Fault(name.split("_")[0], text)
    rows, columns = layer.kernel_size
    if rows != columns:
        text = f"a kernel of {rows} × {columns}, and a core takes square ones"
        yield Fault("kernel", f"{text}; use a square one")
    for name, what, number in (
        ("channels", "input channels", layer.channels),
        ("channels", "output channels", layer.filters),
        ("padding", "rows or columns of padding", max(layer.padding)),
    ):
        limit = getattr(limits, name)
        if limit is not None and number > limit:
            text = f"{number:,} {what}, {number - limit:,} more than {limit:,}"
            yield Fault(name, f"{text}; use at most {limit:,}")
    if limits.strides is not None:
        allowed = ", ".join(map(str, limits.strides))
        for stride in layer.strides:
            if stride not in limits.strides:
                text = f"a stride of {stride}, and a core takes {allowed}"
                yield Fault("strides", f"{text}; use one of these")
                break


def find_neuron_faults(
    network: Network,
    population: Population,
    limits: LayerLimits,
) -> Iterator[Fault]:
    """Yield what neurons and integers of a population exceed.

    Floating-point weights are not integers yet.
    """
    neuron = population.neuron
    if neuron is not None:
        has_membrane_leak = np.any(np.asarray(neuron.decay_factor) != 1)
        if neuron.current_decay_factor is not None or has_membrane_leak:
            text = "neurons with an exponential leak; train integrate-and-fire neurons"
            yield Fault("leak", text)
    if network.weight_bits is None:
        return
    weight_bits = limits.weight_bits
    if weight_bits is not None and network.weight_bits > weight_bits:
        excess = network.weight_bits - weight_bits
        text = f"weights of {network.weight_bits} bits"
        remedy = f"train it with weights of {weight_bits}"
        if not network.trained_spiking:
            remedy = recommend("parse", weight_bits=weight_bits)
        yield Fault("weights", f"{text}, {excess} more than {weight_bits}; {remedy}")
    state_bits = limits.state_bits
    if state_bits is None:
        return
    threshold = population.integer_threshold
    for what, values in (("threshold", threshold), ("bias", population.bias)):
        largest = 0 if values is None else int(np.abs(values).max(initial=0))
        bits = largest.bit_length() + 1  # with the sign
        if bits > state_bits:
            excess = bits - state_bits
            text = f"a {what} of {largest:,}, {bits} bits"
            remedy = f"train it with a smaller {what}"
            if not network.trained_spiking:
                command = recommend(
                    "parse",
                    weight_bits=network.weight_bits,
                    threshold_bits=state_bits,
                )
                remedy = f"{command}, or fewer threshold bits"
            yield Fault(what, f"{text}, {excess} more than {state_bits}; {remedy}")


def find_target_faults(
    source: str,
    targets: Sequence[str],
    limit: Optional[int],
) -> Iterator[Fault]:
    """Yield the fault of a layer, or of a `source` that is named, with many targets."""
    if limit is not None and len(targets) > limit:
        text = f"{source}targets {', '.join(targets)}"
        excess = f"{len(targets) - limit:,} more than {limit:,}"
        yield Fault("targets", f"{text}, {excess}; remove a branch")


def find_memory_fault(layer: CoreLayer, cores: Sequence[CoreMemory]) -> Fault:
    """Return the memory that a layer exceeds on every core, and what would fit."""
    capacities = {name: max(getattr(core, name) for core in cores) for name in MEMORIES}
    name = max(MEMORIES, key=lambda name: getattr(layer, name) / capacities[name])
    entries = getattr(layer, name)
    capacity = capacities[name]
    if entries > capacity:
        text = f"{entries:,} entries of {name}, {entries - capacity:,} more than"
        text += f" the {capacity:,} of the largest core"
    else:
        text = f"{layer.kernel:,} entries of kernel and {layer.neurons:,} of neurons"
        text += ", and no core holds both"
    fits_with_filters = partial(_fits_with_filters, layer, cores)
    fits_with_channels = partial(_fits_with_channels, layer, cores)
    filters = find_largest(layer.filters, fits_with_filters)
    channels = find_largest(layer.channels, fits_with_channels)
    sizes: List[str] = []
    if filters:
        sizes.append(f"at most {filters:,} of its {layer.filters:,} output channels")
    if channels:
        sizes.append(f"{channels:,} of its {layer.channels:,} input channels")
    reads_all = 1 < max(layer.kernel_size) == max(layer.input)  # a dense layer
    remedies = [f"{' or '.join(sizes)} fit"] if sizes else []
    if name == "neurons" or entries <= capacity or reads_all:
        remedies.append("pool before it")
    return Fault(name, f"{text}; {', or '.join(remedies) or 'use fewer channels'}")


def _fits_with_filters(
    layer: CoreLayer,
    cores: Sequence[CoreMemory],
    filters: int,
) -> bool:
    """Whether a core holds the layer with some of its filters."""
    smaller_layer = layer.with_filters(filters)
    return any(smaller_layer.fits(core) for core in cores)


def _fits_with_channels(
    layer: CoreLayer,
    cores: Sequence[CoreMemory],
    channels: int,
) -> bool:
    """Whether a core holds the layer with some of the channels of its sources."""
    smaller_layer = layer.with_channels(channels)
    return any(smaller_layer.fits(core) for core in cores)


def find_largest(below: int, works: Callable[[int], bool]) -> int:
    """Return the largest number from 1 to `below` − 1 that works; 0 if none does.

    If a number works, all smaller ones do too.
    """
    works_up_to = 0
    while below - works_up_to > 1:
        middle = (works_up_to + below) // 2
        if works(middle):
            works_up_to = middle
        else:
            below = middle
    return works_up_to
