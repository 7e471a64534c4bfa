"""A mapping in words: what stands in its log.txt."""

from typing import List

import numpy as np

from snnb.mapping.limits import Limits
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.write_mapping import HELD, UNITS, figures, fullness


def lines(mapped: MappedNetwork) -> List[str]:
    """Return the lines of a mapping's log: the limits, how full the cores are, and what it costs.

    Parameters
    ----------
    mapped : MappedNetwork
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
    text += [f"taken: {mapped.method}, {_beside(mapped)}", *mapped.warnings]
    text += [_overfull(mapped, core) for core in mapped.overfull_cores.tolist()]
    return text


def _filled(mapped: MappedNetwork, held: str) -> str:
    full = fullness(mapped, held)
    limit = "any number" if full["limit"] is None else f"{full['limit']:,}: {full['share']:.0%} full"
    return f"  {held:<18}{full['mean']:>12,.1f}{full['max']:>12,}   {limit} (core {full['core']:,} has most)"


def _overfull(mapped: MappedNetwork, core: int) -> str:
    limits = Limits.of(mapped.hardware)
    exceeded = [held for held, cores in mapped.overfull.items() if core in cores]
    return f"  core {core:,}: " + ", ".join(
        f"{getattr(mapped.cost, held)[core]:,} {held} of {getattr(limits, held):,}" for held in exceeded
    )


def _beside(mapped: MappedNetwork) -> str:
    least, yardstick = mapped.cost.connectivity, mapped.sequential.connectivity
    if not yardstick:
        return "and in the order of ids no spikes travel between cores either"
    return f"{least / yardstick:.2f} × the connectivity of the sequential mapping"
