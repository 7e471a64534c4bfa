"""Link loads in each time bin of a simulation (`simulate --bins`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.io.npy import load_archive
from snnb.mapping.event_cost import barrier, core_times
from snnb.mapping.events import core_events, updated_neurons
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.mesh import link_loads
from snnb.mapping.traffic import traffic_of

EDGES = "bin_edges"


@dataclass(frozen=True, eq=False)
class BinLoads:
    """Load of the most loaded link in each bin."""

    edges: List[int]  # the first time step of each bin, and the end of the last
    # Largest load of a link in each bin: spikes per sample and time step in one direction, with unicast routing
    loads: List[float]
    overall: float  # largest load of a link over all bins, in the same unit
    step_ns: List[float]  # time of a step in each bin with its mean number of events; empty without figures

    @property
    def peak(self) -> int:
        """Index of the first bin with the highest load."""
        return int(np.argmax(self.loads))

    def described(self) -> Dict[str, object]:
        """Return the entry of cost.json."""
        return {
            "bin_edges": self.edges,
            "link_load_max_per_step": self.loads,
            "peak_bin": self.peak,
            "link_load_peak": self.loads[self.peak],
            "unit": "spikes a sample and time step over a link in one direction",
            **({"step_ns": self.step_ns} if self.step_ns else {}),
        }

    def in_words(self) -> str:
        """Return the line of the log."""
        begin, end, load = self.edges[self.peak], self.edges[self.peak + 1], self.loads[self.peak]
        ratio = f", {load / self.overall:.2f} × the mean over time" if self.overall else ""
        return (
            f"busiest time: steps {begin:,} to {end - 1:,}, bin {self.peak} of {len(self.loads)}: {load:,.6g} spikes a "
            f"sample and step over the most loaded link{ratio}"
            + (f"; the longest mean step of a bin takes {max(self.step_ns):,.6g} ns" if self.step_ns else "")
        )


def bin_loads(mapped: MappedNetwork, path: Path, remedy: str, progress: Progress = silent) -> BinLoads:
    """Compute the link loads of each bin from `spike_counts_by_bin.npz` of the simulation of a graph of all samples.

    Raise `InputError` if the file is damaged, or its counts do not sum to those of the graph.
    """
    network, sums = mapped.network, mapped.partition.best
    names, source = [population.name for population in network.populations], network.graph.populations[0].name
    found = load_archive(path, remedy, names=[EDGES, source, *names], must=[EDGES, source, *names])
    edges = found[EDGES].tolist()
    counts = np.concatenate([found[name].reshape(len(edges) - 1, -1) for name in names], axis=1)
    if counts.shape[1] != network.neurons or (counts.sum(axis=0) != network.counts).any():
        raise InputError(f"{path}: its counts do not sum to those of the graph; make the graph anew with `snnb graph`")
    outside = None if network.outside is None else found[source].reshape(len(counts), -1) / network.samples
    hardware, loads, step_ns = mapped.hardware, [], []
    updates = updated_neurons(sums) if hardware.time_ns is not None else None
    for number, spikes in enumerate(counts / network.samples):
        steps = edges[number + 1] - edges[number]
        load = link_loads(traffic_of(sums, spikes), hardware.router_of(mapped.place), hardware.routers).all
        loads.append(float(load.max(initial=0.0)) / steps)
        if updates is not None and hardware.time_ns is not None:
            events = core_events(sums, spikes[None], None if outside is None else outside[number, None])
            of_cores = core_times(events / steps, updates, hardware.time_ns)
            step_ns.append(float(of_cores.max(initial=0.0)) + barrier(sums, hardware, mapped.place))
        progress(number + 1, len(counts))
    return BinLoads(edges, loads, mapped.cost.link_load_max / (edges[-1] - edges[0]), step_ns)
