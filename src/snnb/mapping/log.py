"""A mapping in words: what stands in its log.txt."""

from typing import List

import numpy as np

from snnb.mapping.hardware import descriptions
from snnb.mapping.map_network import FROM_A_FILE, MappedNetwork
from snnb.mapping.write import HELD, UNITS, figures, fullness

FULL, ROOMY = 0.95, 0.7


def lines(mapped: MappedNetwork, objective: str) -> List[str]:
    """Return the lines of a mapping's log: the limits, how full the cores are, what it costs, and what to try.

    Parameters
    ----------
    mapped : MappedNetwork
    objective : {"spikes", "hops"}
    """
    hardware, cost = mapped.hardware, mapped.cost
    used, empty = np.count_nonzero(cost.neurons), len(cost.neurons) - np.count_nonzero(cost.neurons)
    only = mapped.network.graph.class_name
    text = [
        *([] if only is None else [f"spikes of the samples of one class only: {only}"]),
        f"{mapped.network.neurons:,} neurons on {used:,} of the {hardware.cores:,} cores of {hardware.name}, "
        f"{hardware.mesh[0]}×{hardware.mesh[1]}",
        f"source of its figures: {hardware.source}",
    ]
    if empty:
        text.append(f"{empty:,} core numbers of the partition have no neurons: empty cores, which keep their numbers")
    text += ["", "a core                      mean         max   limit"]
    text += [_filled(mapped, held) for held in HELD]
    text += ["", "what it costs"]
    text += [f"  {name:<18}{value:>14,.6g}  {UNITS[name]}" for name, value in figures(mapped).items()]
    text += ["", "partition                  cores  connectivity"]
    text += [f"  {one.method:<20}{one.cores:>10,}{one.connectivity:>14,.6g}" for one in mapped.tried]
    if all(one.method != "sequential" for one in mapped.tried):
        one = mapped.sequential
        text.append(f"  {one.method:<20}{one.cores:>10,}{one.connectivity:>14,.6g}  for comparison")
    text += [f"taken: {mapped.method}, {_beside(mapped)}", *mapped.warnings, "", *_advice(mapped, objective)]
    return text


def _filled(mapped: MappedNetwork, held: str) -> str:
    full = fullness(mapped, held)
    limit = "any number" if full["limit"] is None else f"{full['limit']:,}: {full['share']:.0%} full"
    return f"  {held:<18}{full['mean']:>12,.1f}{full['max']:>12,}   {limit} (core {full['core']:,} has most)"


def _beside(mapped: MappedNetwork) -> str:
    least, yardstick = mapped.cost.connectivity, mapped.sequential.connectivity
    if not yardstick:
        return "and in the order of ids no spikes travel between cores either"
    return f"{least / yardstick:.2f} × the connectivity of the sequential mapping"


def _advice(mapped: MappedNetwork, objective: str) -> List[str]:
    """Say what to try."""
    text, full = [], {held: fullness(mapped, held) for held in HELD}
    neurons, axons = full["neurons"], full["axons"]
    if (axons["share"] or 0) > FULL and (neurons["mean"] or 0) < ROOMY * (neurons["limit"] or 0):
        text.append("axons fill the cores, not neurons: hardware with more axons a core would need fewer cores")
    if mapped.method == "sequential" and len(mapped.tried) <= 1:
        text.append("--method auto looks for a partition with fewer spikes between cores")
    if mapped.method == FROM_A_FILE:
        text.append("without --partition, snnb looks for a partition of its own to compare this one with")
    if objective == "spikes" and mapped.method != FROM_A_FILE and mapped.cost.connectivity:
        text.append("--objective hops takes the partition with the fewest hops on the mesh instead")
    others = [
        chip.name
        for chip in descriptions().values()
        if chip.name != mapped.hardware.name and chip.neurons_per_core > mapped.hardware.neurons_per_core
    ]
    if mapped.cost.cores > 1 and others:
        text.append(f"hardware with larger cores, which has fewer spikes between them: {', '.join(others)}")
    return [f"to try: {line}" for line in text]
