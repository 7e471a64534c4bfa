"""Times of the steps of recorded samples, and their energy, from recorded spike times."""

from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.graph.export.description import first_steps_of
from snnb.io.document import Document
from snnb.io.npy import load_archive
from snnb.mapping.event_cost import Routes, barrier, core_times, energies, event_counts
from snnb.mapping.events import core_events, updated_neurons
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.traffic import traffic_of

VALUES = 1 << 23  # spikes of neurons in steps, in memory at a time


class RecordedSteps(Document):
    """Cost of recorded samples on a chip, where a spike reaches its targets in the next step.

    Populations there begin one after the other (`first_steps_of`), so a sample takes more steps than in the simulation.
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


def recorded_steps(mapped: MappedNetwork, path: Path, remedy: str, progress: Progress = silent) -> RecordedSteps:
    """Compute the cost of the samples in `spike_times.npz` of a simulation, on hardware with figures of events.

    Raise `InputError` if the file is damaged, or lacks a population.
    """
    network, sums, hardware = mapped.network, mapped.partition.best, mapped.hardware
    sources = network.sources
    scalars, names = ("num_samples", "num_steps"), [population.name for population in sources]
    found = load_archive(path, remedy, must=[*scalars, *names])
    start, first = int(found.get("first_sample", 0)), first_steps_of(network.graph)
    samples = range(start, start + int(found["num_samples"]))
    total = int(found["num_steps"]) + max(first.values())
    updates = updated_neurons(sums)
    spikes = {name: found[name] for name in names}
    shifted = {name: rows + np.array((0, 0, first[name])) for name, rows in spikes.items()}
    summed, times = np.zeros((4, 1, sums.cores)), np.empty(len(samples) * total)
    for begin, end, sent, outside in _batches(mapped, shifted, samples, total):
        events = core_events(sums, sent, outside)
        if hardware.time_ns is not None:
            of_cores = core_times(events, updates, hardware.time_ns)
            times[begin:end] = of_cores.max(axis=1, initial=0.0) + barrier(sums, hardware, mapped.place)
        summed += events.sum(axis=1, keepdims=True)
        progress(end, times.size)
    of_all = np.concatenate([_counts(spikes[population.name], population.size) for population in network.populations])
    traffic = traffic_of(sums, of_all / len(samples))
    routes = Routes.of(traffic, hardware, mapped.place)
    counts = event_counts(summed / len(samples), updates * total, hardware, traffic, routes)
    return RecordedSteps(
        samples=list(samples),
        events=counts,
        energy_by_event_pj=energies(counts, hardware.energy_pj),
        step_ns=times.reshape(len(samples), total).tolist() if hardware.time_ns is not None else None,
    )


def _counts(rows: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(rows[:, 1], minlength=size)


def _batches(
    mapped: MappedNetwork, spikes: Mapping[str, np.ndarray], samples: range, steps: int
) -> Iterator[Tuple[int, int, np.ndarray, Optional[np.ndarray]]]:
    """Yield begin and end of ranges of steps of all samples, and the spikes of all neurons and of the input in each."""
    network, source = mapped.network, mapped.network.graph.populations[0]
    size = max(1, VALUES // (network.neurons + source.size))
    at = {name: (rows[:, 0] - samples.start) * steps + rows[:, 2] for name, rows in spikes.items()}
    for begin in range(0, len(samples) * steps, size):
        end = min(begin + size, len(samples) * steps)
        sent = np.zeros((end - begin, network.first + network.neurons))
        for population in network.sources:
            part = slice(*np.searchsorted(at[population.name], (begin, end)))
            index = population.first + spikes[population.name][part, 1]
            sent[at[population.name][part] - begin, index] = 1
        outside = None if network.outside is None else sent[:, : network.first]
        yield begin, end, sent[:, network.first :], outside
