"""Log of a mapping: the lines of its log.txt."""

from typing import List

import numpy as np

from snnb.mapping.limits import Limits
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.mapping import HELD, UNITS
from snnb.mapping.write_mapping import cost_figures, fullness


def log_lines(mapped: MappedNetwork) -> List[str]:
    """Return the lines of a log: limits, contents of the cores, and cost."""
    hardware, neurons, tried = mapped.hardware, mapped.cost.neurons, list(mapped.partition.tried)
    used, of_class = np.count_nonzero(neurons), mapped.network.graph.class_name
    text = [] if of_class is None else [f"spikes of the samples of one class only: {of_class}"]
    text += [
        f"{mapped.network.neurons:,} neurons on {used:,} of the {hardware.cores:,} cores of {hardware.name}, "
        f"{hardware.mesh[0]}×{hardware.mesh[1]}",
        f"source of its figures: {hardware.source}",
    ]
    if neurons.size > used:
        text.append(
            f"{neurons.size - used:,} core numbers of the partition have no neurons: empty cores, which keep their "
            "numbers"
        )
    text += ["", "a core                      mean         max   limit", *(_contents(mapped, name) for name in HELD)]
    text += ["", "what it costs"]
    text += [f"  {name:<18}{value:>14,.6g}  {UNITS[name]}" for name, value in cost_figures(mapped).items()]
    text += ["", "partition                  cores  connectivity"]
    for one in tried if mapped.sequential in tried else [*tried, mapped.sequential]:
        note = "" if one in tried else "  for comparison"
        text.append(f"  {one.method:<20}{one.cores:>10,}{one.connectivity:>14,.6g}{note}")
    text += [f"taken: {mapped.method}, {_ratio(mapped)}", *mapped.warnings]
    return [*text, *(_overfull(mapped, core) for core in mapped.overfull_cores.tolist())]


def _contents(mapped: MappedNetwork, name: str) -> str:
    full = fullness(mapped, name)
    limit = "any number" if full["limit"] is None else f"{full['limit']:,}: {full['share']:.0%} full"
    return f"  {name:<18}{full['mean']:>12,.1f}{full['max']:>12,}   {limit} (core {full['core']:,} has most)"


def _overfull(mapped: MappedNetwork, core: int) -> str:
    limits = Limits.of(mapped.hardware)
    exceeded = [name for name, cores in mapped.overfull.items() if core in cores]
    return f"  core {core:,}: " + ", ".join(
        f"{getattr(mapped.cost, name)[core]:,} {name} of {getattr(limits, name):,}" for name in exceeded
    )


def _ratio(mapped: MappedNetwork) -> str:
    baseline = mapped.sequential.connectivity
    if not baseline:
        return "and in the order of ids no spikes travel between cores either"
    return f"{mapped.cost.connectivity / baseline:.2f} × the connectivity of the sequential mapping"
