"""When the links of the mesh carry most: their load in each bin of time of the simulation (`simulate --bins`)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.io.npy import load_archive
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.mesh import link_loads
from snnb.mapping.traffic import traffic

EDGES = "bin_edges"


@dataclass(frozen=True, eq=False)
class BinLoads:
    """The load of the most loaded link in each bin.

    Attributes
    ----------
    edges : list of int
        The first step of each bin, and the end of the last.
    loads : list of float
        By bin, spikes a sample and time step over the link that carries most then, in one direction; each core is sent
        a spike of its own.
    overall : float
        The same of the link that carries most over all bins.
    """

    edges: List[int]
    loads: List[float]
    overall: float

    @property
    def peak(self) -> int:
        """Number of the bin with the highest load, the first of equals."""
        return int(np.argmax(self.loads))

    def described(self) -> Dict[str, object]:
        """Return what cost.json says."""
        return {
            "bin_edges": self.edges,
            "link_load_max_per_step": self.loads,
            "peak_bin": self.peak,
            "link_load_peak": self.loads[self.peak],
            "unit": "spikes a sample and time step over a link in one direction",
        }

    def in_words(self) -> str:
        """Return the line of the log."""
        begin, end, load = self.edges[self.peak], self.edges[self.peak + 1], self.loads[self.peak]
        beside = f", {load / self.overall:.2f} × the mean over time" if self.overall else ""
        return (
            f"busiest time: steps {begin:,} to {end - 1:,}, bin {self.peak} of {len(self.loads)}: {load:,.6g} spikes a "
            f"sample and step over the most loaded link{beside}"
        )


def bin_loads(mapped: MappedNetwork, path: Path, remedy: str, progress: Progress = silent) -> BinLoads:
    """Count the spikes over the links in each bin.

    Parameters
    ----------
    mapped : MappedNetwork
        Of a graph of all samples.
    path : Path
        `spike_counts_by_bin.npz` of the simulation that the graph is of.
    remedy : str
        What to do when the file is damaged.
    progress : Progress
        Told of the bins done.

    Raises
    ------
    InputError
        The file is damaged, or its counts do not sum to those of the graph.
    """
    network, hardware = mapped.network, mapped.hardware
    names = [population.name for population in network.populations]
    found = load_archive(path, remedy, names=[EDGES, *names], must=[EDGES, *names])
    edges = found.pop(EDGES)
    bins = edges.size - 1
    if edges.ndim != 1 or bins < 1 or edges.dtype.kind != "i" or (np.diff(edges) < 1).any():
        raise InputError(f"{path}: {EDGES} are no steps that rise; {remedy}")
    parts = [found[name] for name in names]
    if any(values.dtype.kind != "i" or values.ndim < 1 or len(values) != bins for values in parts):
        raise InputError(f"{path} does not hold {bins} counts of each neuron; {remedy}")
    counts = np.concatenate([values.reshape(bins, -1) for values in parts], axis=1)
    if counts.shape[1] != network.neurons or (counts.sum(axis=0) != network.counts).any():
        raise InputError(f"{path}: its counts do not sum to those of the graph; make the graph anew with `snnb graph`")
    loads, cores = [], len(mapped.place)
    for number, spikes in enumerate(counts):
        carried = traffic(replace(network, counts=spikes), mapped.core, cores)
        load = link_loads(carried, mapped.place, hardware.mesh).all
        loads.append(float(load.max(initial=0.0)) / int(edges[number + 1] - edges[number]))
        progress(number + 1, bins)
    overall = mapped.cost.link_load_max / int(edges[-1] - edges[0])
    return BinLoads([int(edge) for edge in edges], loads, overall)
