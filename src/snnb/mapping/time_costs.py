"""Costs over time: link loads in each time bin, and energy and step times of recorded samples."""

from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.io.npy import load_archive
from snnb.io.text import Document
from snnb.mapping.cost import Routes, barrier, core_events, core_times, energies, event_counts, updated_neurons
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.traffic import traffic_of, used_link_loads

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


def bin_loads(mapped: MappedNetwork, path: Path, progress: Progress = silent) -> BinLoads:
    """Compute the link loads of each bin from `spike_counts_by_bin.npz` of the simulation of a graph of all samples.

    Raise `InputError` if the file is damaged, or its counts do not sum to those of the graph.
    """
    network, sums = mapped.network, mapped.partition.best
    names = [population.name for population in network.graph.populations]
    arrays = load_archive(path, names=[EDGES, *names], must=[EDGES, *names])
    edges = arrays[EDGES].tolist()
    counts = np.concatenate([arrays[name].reshape(len(edges) - 1, -1) for name in names], axis=1)
    layers, expected = counts[:, network.first :].sum(axis=0), network.spikes[network.first :]
    if layers.size != expected.size or (layers / network.samples != expected).any():
        raise InputError(
            f"{path}: its counts do not sum to those of the graph; make the graph again from this simulation"
        )
    hardware, loads, step_ns = mapped.hardware, [], []
    updates = updated_neurons(sums) if hardware.time_ns is not None else None
    for number, spikes in enumerate(counts / network.samples):
        steps = edges[number + 1] - edges[number]
        load = used_link_loads(traffic_of(sums, spikes), hardware.router_of(mapped.place))
        loads.append(float(load.max(initial=0.0)) / steps)
        if updates is not None and hardware.time_ns is not None:
            events = core_events(sums, spikes[None])
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


VALUES = 1 << 23  # spikes of neurons in steps, in memory at a time


class RecordedSteps(Document):
    """Cost of recorded samples on a chip, where a spike reaches its targets in the next step.

    Populations there begin one after the other (`SynapseGraph.first_steps`), so a sample takes more steps than in the
    simulation.
    """

    samples: List[int]  # indices of the test samples
    events: Dict[str, float]  # per sample
    energy_by_event_pj: Dict[str, float]  # per sample
    step_ns: Optional[List[List[float]]] = None  # of each sample and step; None if the hardware has no times

    def line(self) -> str:
        """Return the line of the log."""
        text = f"{len(self.samples):,} recorded samples: {sum(self.energy_by_event_pj.values()):,.6g} pJ a sample"
        if self.step_ns is None:
            return text
        times = np.array(self.step_ns)
        return (
            f"{text}; {times.shape[1]:,} steps, the mean takes {times.mean():,.6g} ns, the longest "
            f"{times.max():,.6g} ns"
        )


def recorded_steps(
    mapped: MappedNetwork, path: Path, progress: Progress = silent, *, delayed: bool = False
) -> RecordedSteps:
    """Compute the cost of the samples in `spike_times.npz` of a simulation, on hardware with figures of events.

    Times of a simulator in which a synapse takes a step are `delayed`, and are not shifted (see `RecordedSteps`). Raise
    `InputError` if the file is damaged, or lacks a population.
    """
    network, sums, hardware = mapped.network, mapped.partition.best, mapped.hardware
    sources = network.sources
    scalars, names = ("num_samples", "num_steps"), [population.name for population in sources]
    arrays = load_archive(path, must=[*scalars, *names])
    start = int(arrays.get("first_sample", 0))
    first = dict.fromkeys(names, 0) if delayed else network.graph.first_steps
    samples = range(start, start + int(arrays["num_samples"]))
    total = int(arrays["num_steps"]) + max(first.values())
    updates = updated_neurons(sums)
    shifted = {name: arrays[name] + np.array((0, 0, first[name])) for name in names}
    summed, times, fired = np.zeros((4, 1, sums.cores)), np.empty(len(samples) * total), np.zeros(network.spikes.size)
    for begin, end, sent in _batches(mapped, shifted, samples, total):
        events = core_events(sums, sent)
        if hardware.time_ns is not None:
            of_cores = core_times(events, updates, hardware.time_ns)
            times[begin:end] = of_cores.max(axis=1, initial=0.0) + barrier(sums, hardware, mapped.place)
        summed += events.sum(axis=1, keepdims=True)
        fired += sent.sum(axis=0)
        progress(end, times.size)
    traffic = traffic_of(sums, fired / len(samples))
    routes = Routes.of(traffic, hardware, mapped.place)
    counts = event_counts(summed / len(samples), updates * total, hardware, traffic, routes)
    return RecordedSteps(
        samples=list(samples),
        events=counts,
        energy_by_event_pj=energies(counts, hardware.energy_pj),
        step_ns=times.reshape(len(samples), total).tolist() if hardware.time_ns is not None else None,
    )


def _batches(
    mapped: MappedNetwork, spikes: Mapping[str, np.ndarray], samples: range, steps: int
) -> Iterator[Tuple[int, int, np.ndarray]]:
    """Yield begin and end of ranges of steps of all samples, and the spikes of all nodes of the graph in each."""
    network = mapped.network
    size = max(1, VALUES // network.spikes.size)
    at = {name: (rows[:, 0] - samples.start) * steps + rows[:, 2] for name, rows in spikes.items()}
    for begin in range(0, len(samples) * steps, size):
        end = min(begin + size, len(samples) * steps)
        sent = np.zeros((end - begin, network.spikes.size))
        for population in network.sources:
            part = slice(*np.searchsorted(at[population.name], (begin, end)))
            index = population.first + spikes[population.name][part, 1]
            np.add.at(sent, (at[population.name][part] - begin, index), 1)  # an input may have several events in a step
        yield begin, end, sent
