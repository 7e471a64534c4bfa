"""Link loads in each time bin of a simulation (`simulate --bins`)."""

from pathlib import Path
from typing import List, Optional

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.io.document import Document
from snnb.io.npy import load_archive
from snnb.mapping.event_cost import barrier, core_times
from snnb.mapping.events import core_events, updated_neurons
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.mesh import link_loads
from snnb.mapping.traffic import traffic_of

EDGES = "bin_edges"


class BinLoads(Document):
    """Load of the most loaded link in each bin."""

    bin_edges: List[int]  # the first time step of each bin, and the end of the last
    # Largest load of a link in each bin: spikes per sample and time step in one direction, with unicast routing
    link_load_max_per_step: List[float]
    peak_bin: int  # the first bin with the highest load
    link_load_peak: float
    unit: str = "spikes a sample and time step over a link in one direction"
    step_ns: Optional[List[float]] = None  # time of a step in each bin with its mean number of events

    def line(self, link_load_max: float) -> str:
        """Return the line of the log; `link_load_max` is the largest load of a link in a sample."""
        begin, end = self.bin_edges[self.peak_bin : self.peak_bin + 2]
        overall = link_load_max / (self.bin_edges[-1] - self.bin_edges[0])
        ratio = f", {self.link_load_peak / overall:.2f} × the mean over time" if overall else ""
        return (
            f"busiest time: steps {begin:,} to {end - 1:,}, bin {self.peak_bin} of {len(self.link_load_max_per_step)}: "
            f"{self.link_load_peak:,.6g} spikes a sample and step over the most loaded link{ratio}"
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
    peak = int(np.argmax(loads))
    return BinLoads(
        bin_edges=edges,
        link_load_max_per_step=loads,
        peak_bin=peak,
        link_load_peak=loads[peak],
        step_ns=step_ns or None,
    )
