"""The layers of a network on a chip whose cores take a layer each, such as Speck.

Memories, and when a network fits, are those of sinabs 3.1.3 (synsense/sinabs, commit
904eb89, backend/dynapcnn: `DynapcnnLayer.memory_summary`, `LayerConstraints.fits`,
`get_valid_mapping`); the limits of a layer are in docs/speck/overview.md there.

form_layers.py gives the populations the form of a core, core_layer_faults.py finds what
they exceed; this module matches layers and cores.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from snnb.chips.hardware import MEMORIES, CoreMemory, LayerHardware, LayerLimits
from snnb.mapping.layers.core_layer import CoreLayer, Fault
from snnb.mapping.layers.core_layer_faults import (
    find_largest,
    find_memory_fault,
    find_target_faults,
)
from snnb.mapping.layers.form_layers import fold_poolings, form_layer
from snnb.network.network import Network


@dataclass(frozen=True)
class LayerAssignment:
    """The layers of a network, and the cores that they get, or why there are none."""

    layers: Tuple[CoreLayer, ...]
    fits: Tuple[Tuple[int, ...], ...]  # cores that hold each layer
    core: Tuple[Optional[int], ...]  # of each layer; None: it gets none
    # Poolings without neurons on the chip, and the sides of their windows
    folded: Mapping[str, int]
    reason: Optional[str] = None  # None: the network fits

    def rows(self) -> List[Tuple[str, ...]]:
        """Return a row of text for each layer, below a head."""
        head = ("layer", *MEMORIES, "fits cores", "core", "exceeds")
        rows: List[Tuple[str, ...]] = [head]
        for layer, fits, core in zip(self.layers, self.fits, self.core):
            limits = dict.fromkeys(fault.limit for fault in layer.faults)
            row = (
                layer.name,
                *(f"{getattr(layer, name):,}" for name in MEMORIES),
                " ".join(map(str, fits)),
                "–" if core is None else str(core),
                ", ".join(limits),
            )
            rows.append(row)
        return rows


def text_table(rows: Sequence[Sequence[str]]) -> List[str]:
    """Return rows as lines with aligned columns.

    Columns that are empty below the head are omitted.
    """
    aligned_columns = []
    for column in zip(*rows):
        if any(column[1:]):
            width = max(map(len, column))
            aligned_columns.append([cell.ljust(width) for cell in column])
    return ["  ".join(cells).rstrip() for cells in zip(*aligned_columns)]


def assign_layers(network: Network, hardware: LayerHardware) -> LayerAssignment:
    """Assign a core to each layer of a network."""
    unavailable = hardware.unavailable or ()
    cores = {
        number: core
        for number, core in enumerate(hardware.cores)
        if number not in unavailable
    }
    pooling_sides = fold_poolings(network, hardware.layer)
    formed_layers = [
        form_layer(network, pooling_sides, population, hardware.layer)
        for population in network.populations
        if population.name not in pooling_sides
    ]
    layers: List[CoreLayer] = []
    fits: List[List[int]] = []
    target_faults = _list_target_faults(
        formed_layers, network.input.name, hardware.layer
    )
    for layer, faults_of_targets in zip(formed_layers, target_faults):
        faults = [*layer.faults, *faults_of_targets]
        core_numbers = _list_fitting_cores(layer, cores)
        if not core_numbers:
            faults.append(find_memory_fault(layer, tuple(cores.values())))
        layers.append(replace(layer, faults=tuple(faults)))
        fits.append([] if faults else core_numbers)
    core_of_layer = maximum_matching(fits, 1 + max(cores))
    reasons = _list_reasons(layers, cores)
    if not reasons and None in core_of_layer:
        reasons.append(_describe_shortage(layers, cores, fits, core_of_layer))
    return LayerAssignment(
        layers=tuple(layers),
        fits=tuple(map(tuple, fits)),
        core=tuple(core_of_layer),
        folded=pooling_sides,
        reason=f"{hardware.name}: {'; '.join(reasons)}" if reasons else None,
    )


def _list_target_faults(
    layers: Sequence[CoreLayer],
    input_name: str,
    limits: LayerLimits,
) -> List[List[Fault]]:
    """Return the faults of each layer that are about the layers that read it.

    Those of the input are among the faults of the first layer.
    """
    targets = _list_targets(layers)
    layer_faults: List[List[Fault]] = []
    for layer in layers:
        layer_targets = targets.get(layer.name, [])
        layer_faults.append([*find_target_faults("", layer_targets, limits.targets)])
    if layers:
        input_targets = targets.get(input_name, [])
        source = "an input with "
        layer_faults[0] += find_target_faults(source, input_targets, limits.targets)
    return layer_faults


def _list_targets(layers: Sequence[CoreLayer]) -> Dict[str, List[str]]:
    """Return the names of the layers that read each source, by the source's name."""
    targets: Dict[str, List[str]] = {}
    for layer in layers:
        for term in layer.terms:
            targets.setdefault(term.source, []).append(layer.name)
    return targets


def _list_fitting_cores(layer: CoreLayer, cores: Mapping[int, CoreMemory]) -> List[int]:
    """Return the numbers of the cores that hold a layer."""
    return [number for number, core in cores.items() if layer.fits(core)]


def _list_reasons(
    layers: Sequence[CoreLayer],
    cores: Mapping[int, CoreMemory],
) -> List[str]:
    """Return why layers do not fit, apart from competition for cores."""
    reasons: List[str] = []
    if len(layers) > len(cores):
        excess = len(layers) - len(cores)
        name = "core" if len(cores) == 1 else "cores"
        text = f"{len(layers):,} layers, {excess:,} more than the {len(cores):,} {name}"
        reasons.append(f"{text}, which take one layer each")
    faulty_layers = [layer for layer in layers if layer.faults]
    if faulty_layers:
        layer = faulty_layers[0]
        text = f"layer {layer.name} has {layer.faults[0].text}"
        if len(faulty_layers) > 1:
            text += f" (and {len(faulty_layers) - 1:,} more in the table)"
        reasons.append(text)
    return reasons


def maximum_matching(fits: Sequence[Sequence[int]], cores: int) -> List[Optional[int]]:
    """Return a core for each layer, or None: a maximum matching.

    `fits` are the cores that hold each layer, numbers below `cores`. Of several
    matchings, the first layers have the cores with the lowest numbers.
    """
    from scipy.optimize import linear_sum_assignment

    layers = len(fits)
    cost = np.arange(layers, 0.0, -1.0)[:, np.newaxis] * np.arange(cores)
    is_unfit = np.ones(cost.shape, bool)
    for layer, core_numbers in enumerate(fits):
        is_unfit[layer, core_numbers] = False
    cost[is_unfit] += layers * layers * cores  # more than all others cost together
    # Not `maximum_bipartite_matching`: that of scipy 1.4.1 is not always maximum.
    core_of_layer: List[Optional[int]] = [None] * layers
    for layer, core in zip(*linear_sum_assignment(cost)):
        if not is_unfit[layer, core]:
            core_of_layer[layer] = int(core)
    return core_of_layer


def _describe_shortage(
    layers: Sequence[CoreLayer],
    cores: Mapping[int, CoreMemory],
    fits: Sequence[Sequence[int]],
    core_of_layer: Sequence[Optional[int]],
) -> str:
    """Describe why layers that each fit some core have no matching.

    It is a set of layers with fewer cores than layers.
    """
    rivals, rival_cores = _find_rivals(fits, core_of_layer)
    names = ", ".join(layers[layer].name for layer in sorted(rivals))
    numbers = ", ".join(map(str, sorted(rival_cores)))
    shortage = len(rivals) - len(rival_cores)
    text = f"layers {names} fit cores {numbers} only, {shortage:,} too few"
    for layer in sorted(rivals, key=lambda rival: layers[rival].filters):
        fits_with_filters = partial(_all_fit, layers, cores, fits, layer)
        filters = layers[layer].filters
        max_filters = find_largest(filters, fits_with_filters)
        if max_filters:
            return (
                f"{text}; with at most {max_filters:,} of the {filters:,} output "
                f"channels of {layers[layer].name} all fit"
            )
    return f"{text}; use fewer or smaller layers"


def _find_rivals(
    fits: Sequence[Sequence[int]],
    core_of_layer: Sequence[Optional[int]],
) -> Tuple[Set[int], Set[int]]:
    """Return layers that compete for fewer cores, and these cores.

    They are the first layer without a core, and the layers that compete with it (Hall's
    theorem).
    """
    rivals: Set[int] = {core_of_layer.index(None)}
    rival_cores: Set[int] = set()
    while True:
        new_cores: Set[int] = set()
        for layer in rivals:
            new_cores.update(fits[layer])
        new_cores -= rival_cores
        if not new_cores:
            return rivals, rival_cores
        rival_cores |= new_cores
        for layer, core in enumerate(core_of_layer):
            if core in new_cores:
                rivals.add(layer)


def _all_fit(
    layers: Sequence[CoreLayer],
    cores: Mapping[int, CoreMemory],
    fits: Sequence[Sequence[int]],
    layer: int,
    filters: int,
) -> bool:
    """Whether all layers have a core if this one has fewer filters."""
    smaller_layer = layers[layer].with_filters(filters)
    new_fits = list(fits)
    new_fits[layer] = _list_fitting_cores(smaller_layer, cores)
    return None not in maximum_matching(new_fits, 1 + max(cores))
