"""Costs over time of recorded samples: link loads, energy and times of the steps; and their messages."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix, vstack
from typing_extensions import Annotated

from snnb.core.machine import require_memory
from snnb.core.progress import Progress, silent
from snnb.core.quantities import number, prefixed
from snnb.io.text import Document
from snnb.mapping.cost import Routes, barrier, core_events, core_times, energies, event_counts, updated_neurons
from snnb.mapping.links import used_link_loads
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.quantities import LINK_LOAD_PEAK
from snnb.mapping.traffic import MappableNetwork, take_sets, traffic_of
from snnb.network.spike_times import SpikeTimes, read_spike_times

STEP_BYTES = 64  # of the costs of a time step of a sample: numbers in arrays, in a list, and as text


class StepLoads(Document):
    """Load of the most loaded link in each step of recorded samples, with unicast routing.

    Loads are spikes over a link in one direction, mean over the samples. Steps are those
    of `RecordedSteps`.
    """

    samples: List[int]  # indices of the test samples
    link_load_max_per_step: List[float]
    peak_step: int  # the first step with the highest load
    link_load_peak: Annotated[float, LINK_LOAD_PEAK] = Field(description="highest load of a link in a step, see above")

    def line(self) -> str:
        """Return the line of the log."""
        mean = float(np.mean(self.link_load_max_per_step))
        ratio = f", {self.link_load_peak / mean:.2f} × the mean of the steps" if mean else ""
        return (
            f"busiest step: {self.peak_step:,} of {len(self.link_load_max_per_step):,}: "
            f"{number(self.link_load_peak).value} spikes per sample over the most loaded link{ratio}"
        )


def spikes_on_chip(network: MappableNetwork, path: Path) -> SpikeTimes:
    """Read `spike_times.npz` of the source populations, and return it with steps on the chip (see `RecordedSteps`).

    Raise `InputError` if the file is damaged, or lacks a population.
    """
    names = [population.name for population in network.sources]
    read = read_spike_times(path, names)
    steps = len(read.samples) * read.steps
    require_memory(STEP_BYTES * steps, f"{path}: the costs of {steps:,} time steps of recorded samples")
    first = network.first_steps
    spikes = {name: read.spikes[name] + np.array((0, 0, first[name])) for name in names}
    last_begin = max(first[name] for name in names)
    return SpikeTimes(read.samples, read.steps + last_begin, spikes)


def step_loads(mapped: MappedNetwork, recorded: SpikeTimes, progress: Progress = silent) -> StepLoads:
    """Compute the link loads of each step of recorded samples; see `spikes_on_chip`."""
    network, sums, hardware = mapped.network, mapped.partition.best, mapped.hardware
    samples, steps, spikes = recorded.samples, recorded.steps, recorded.spikes
    nodes, router, loads = network.spikes.size, hardware.router_of(mapped.place), []
    at = np.concatenate([spikes[population.name][:, 2] for population in network.sources])
    node = np.concatenate([population.first + spikes[population.name][:, 1] for population in network.sources])
    counts = csr_matrix((np.ones(at.size), (at, node)), (steps, nodes))  # of all samples
    for step in range(steps):
        traffic = traffic_of(sums, counts[step].toarray().ravel() / len(samples))
        loads.append(float(used_link_loads(traffic, router).all.max(initial=0.0)))
        progress(step + 1, steps)
    peak = int(np.argmax(loads))
    return StepLoads(samples=list(samples), link_load_max_per_step=loads, peak_step=peak, link_load_peak=loads[peak])


class Messages(NamedTuple):
    """Packets that cores send over the mesh in recorded samples: content of `messages.npz`.

    A spike of a placed neuron is one packet to all other cores with a target of it; without any, there is none. Packets
    are in the order of sample, step and source core.
    """

    sample: np.ndarray  # (packets,) int32: index of the test sample
    step: np.ndarray  # (packets,) int32: step on the chip, see `RecordedSteps`
    source: np.ndarray  # (packets,) int32: core
    indptr: np.ndarray  # (packets + 1,) int64: offset of the targets of each packet
    targets: np.ndarray  # int32: cores, ascending
    samples: np.ndarray  # (samples,) int32: all recorded ones
    steps: np.ndarray  # () int64: steps of each sample


TARGET_BYTES = 100  # of a packet and of each of its targets, while they are listed


def recorded_messages(mapped: MappedNetwork, recorded: SpikeTimes) -> Messages:
    """List the packets of recorded samples; see `spikes_on_chip`."""
    sums = mapped.partition.best
    spikes, reached = [np.empty((0, 3), np.int64)], [csr_matrix((0, sums.cores), dtype=np.int8)]
    for population, source_core, sets in sums.placed_sets():
        sample, neuron, step = recorded.spikes[population.name].T.astype(np.int64)
        sent = int(np.diff(sets.start)[sets.set_of[neuron]].sum())
        require_memory(TARGET_BYTES * (neuron.size + sent), "the messages of the recorded samples")
        start, label = take_sets(sets.start, sets.label, sets.set_of[neuron])
        spike = np.repeat(np.arange(neuron.size), np.diff(start))
        is_other = label != source_core[neuron[spike]]
        ends = spike[is_other], label[is_other]
        reached.append(csr_matrix((np.ones(ends[0].size, np.int8), ends), (neuron.size, sums.cores)))
        spikes.append(np.stack([sample, step, source_core[neuron]], axis=1))
    packets, targets = np.concatenate(spikes), vstack(reached, "csr")
    order = np.lexsort(packets.T[::-1])
    order = order[np.diff(targets.indptr)[order] > 0]
    targets = targets[order]
    sample, step, source = packets[order].T.astype(np.int32)
    indptr, cores = targets.indptr.astype(np.int64), targets.indices.astype(np.int32)
    return Messages(
        sample, step, source, indptr, cores, np.array(recorded.samples, np.int32), np.array(recorded.steps, np.int64)
    )


VALUES = 1 << 23  # spikes of neurons in steps, in memory at a time


class RecordedSteps(Document):
    """Cost of recorded samples on a chip, where a spike reaches its targets in the next step.

    Populations there begin one after the other (`MappableNetwork.first_steps`), so a
    sample takes more steps than in the simulation.
    """

    samples: List[int]  # indices of the test samples
    events: Dict[str, float]  # per sample
    energy_by_event_pj: Dict[str, float]  # per sample
    step_ns: Optional[List[List[float]]] = None  # of each sample and step; None if the hardware has no times

    def line(self) -> str:
        """Return the line of the log."""
        energy = prefixed(sum(self.energy_by_event_pj.values()), "pJ")
        text = f"{len(self.samples):,} recorded samples: {' '.join(energy)} per sample"
        if self.step_ns is None:
            return text
        times = np.array(self.step_ns)
        mean = prefixed(float(times.mean()), "ns")
        longest = prefixed(float(times.max()), "ns")
        return f"{text}; {times.shape[1]:,} steps, the mean takes {' '.join(mean)}, the longest {' '.join(longest)}"


def recorded_steps(mapped: MappedNetwork, recorded: SpikeTimes, progress: Progress = silent) -> RecordedSteps:
    """Compute the cost of recorded samples on hardware with figures of events; see `spikes_on_chip`."""
    network, sums, hardware = mapped.network, mapped.partition.best, mapped.hardware
    samples, total, spikes = recorded.samples, recorded.steps, recorded.spikes
    updates = updated_neurons(sums)
    summed, times, fired = np.zeros((4, 1, sums.cores)), np.empty(len(samples) * total), np.zeros(network.spikes.size)
    size = max(1, VALUES // fired.size)  # steps at a time, of all samples one after the other
    at = {name: (rows[:, 0] - samples.start) * total + rows[:, 2] for name, rows in spikes.items()}
    for begin in range(0, times.size, size):
        end = min(begin + size, times.size)
        sent = np.zeros((end - begin, fired.size))
        for population in network.sources:
            part = slice(*np.searchsorted(at[population.name], (begin, end)))
            index = population.first + spikes[population.name][part, 1]
            np.add.at(sent, (at[population.name][part] - begin, index), 1)  # an input may have several events in a step
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
