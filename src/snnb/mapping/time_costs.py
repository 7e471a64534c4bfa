"""Costs over time of recorded samples: link loads, energy, times of steps, messages."""

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix, vstack
from typing_extensions import Annotated

from snnb.core.errors import InputError
from snnb.core.machine import require_memory
from snnb.core.progress import Progress, silent
from snnb.core.quantities import number, prefixed
from snnb.io.text import Document
from snnb.mapping.cost import (
    barrier,
    core_events,
    core_times,
    energies,
    event_counts,
    updated_neurons,
)
from snnb.mapping.links import link_loads, multicast_loads
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.quantities import LINK_LOAD_PEAK
from snnb.mapping.routes import Routes, find_routes
from snnb.mapping.traffic import (
    MappableNetwork,
    TargetSets,
    take_sets,
    traffic_of,
)
from snnb.network.spike_times import SpikeTimes

# Of the costs of a time step of a sample: numbers in arrays, in a list, and as text
STEP_BYTES = 64


class StepLoads(Document):
    """Load of the most loaded link in each step of recorded samples, unicast routing.

    Loads are spikes over a link in one direction, mean over the samples. Steps are the
    ones of `RecordedSteps`.
    """

    samples: List[int]  # indices of the test samples
    link_load_max_per_step: List[float]
    peak_step: int  # the first step with the highest load
    link_load_peak: Annotated[float, LINK_LOAD_PEAK] = Field(
        description="highest load of a link in a step, see above",
    )

    def line(self) -> str:
        """Return the line of the log."""
        steps = len(self.link_load_max_per_step)
        mean = float(np.mean(self.link_load_max_per_step))
        ratio = ""
        if mean:
            ratio = f", {self.link_load_peak / mean:.2f} × the mean of the steps"
        return (
            f"busiest step: {self.peak_step:,} of {steps:,}: "
            f"{number(self.link_load_peak).value} spikes per sample "
            f"over the most loaded link{ratio}"
        )


def spikes_on_chip(network: MappableNetwork, recording: SpikeTimes) -> SpikeTimes:
    """Return the spikes of the source populations with steps on the chip.

    See `RecordedSteps`. Raise `InputError` if a population is missing.
    """
    names = [population.name for population in network.sources]
    missing_names = [name for name in names if name not in recording.spikes]
    if missing_names:
        raise InputError(
            f"the recorded spikes have no population {missing_names[0]}; give those of "
            "the simulation that the graph was made from"
        )
    sample_steps = len(recording.samples) * recording.steps
    require_memory(
        STEP_BYTES * sample_steps,
        f"the costs of {sample_steps:,} time steps of recorded samples",
    )
    spikes: Dict[str, np.ndarray] = {}
    for name in names:
        delay = np.array((0, 0, network.first_steps[name]))
        spikes[name] = recording.spikes[name] + delay
    largest_delay = max(network.first_steps[name] for name in names)
    return SpikeTimes(recording.samples, recording.steps + largest_delay, spikes)


def step_loads(
    mapped_network: MappedNetwork,
    recording: SpikeTimes,
    progress: Progress = silent,
) -> StepLoads:
    """Compute the link loads of each step of recorded samples.

    `recording` is as from `spikes_on_chip`.
    """
    network = mapped_network.network
    n_samples = len(recording.samples)
    counts = _count_by_step(network, recording)
    loads: List[float] = []
    for step in range(recording.steps):
        spikes = counts[step].toarray().ravel() / n_samples
        routes = _find_routes(mapped_network, spikes)
        loads.append(float(link_loads(routes, routes.area).all.max(initial=0.0)))
        progress(step + 1, recording.steps)
    peak_step = int(np.argmax(loads))
    return StepLoads(
        samples=list(recording.samples),
        link_load_max_per_step=loads,
        peak_step=peak_step,
        link_load_peak=loads[peak_step],
    )


def _find_routes(mapped_network: MappedNetwork, spikes: np.ndarray) -> Routes:
    """Find the routes of spikes of each node: float64, shape (nodes,)."""
    sums = mapped_network.partition.best
    return find_routes(
        traffic_of(sums, spikes),
        sums.input_spikes(spikes),
        mapped_network.hardware,
        mapped_network.place,
    )


def _count_by_step(network: MappableNetwork, recording: SpikeTimes) -> csr_matrix:
    """Count the spikes of all samples: float64, shape (steps, nodes)."""
    steps: List[np.ndarray] = []
    nodes: List[np.ndarray] = []
    for population in network.sources:
        spikes = recording.spikes[population.name]
        steps.append(spikes[:, 2])
        nodes.append(population.first + spikes[:, 1])
    step = np.concatenate(steps)
    node = np.concatenate(nodes)
    shape = (recording.steps, network.spikes.size)
    return csr_matrix((np.ones(step.size), (step, node)), shape)


class Messages(NamedTuple):
    """Packets that cores send over the mesh in recorded samples: `messages.npz`.

    A spike of a placed neuron is one packet to all other cores with a target of it;
    without any, there is none. Spikes of an input are no packets. Packets are in the
    order of sample, step and source core.
    """

    sample: np.ndarray  # (packets,) int32: index of the test sample
    step: np.ndarray  # (packets,) int32: step on the chip, see `RecordedSteps`
    source: np.ndarray  # (packets,) int32: core
    indptr: np.ndarray  # (packets + 1,) int64: offset of the targets of each packet
    targets: np.ndarray  # int32: cores, ascending within a packet
    # (samples,) int32: indices of the recorded samples, also of those without a packet
    samples: np.ndarray
    steps: np.ndarray  # () int64: steps of each sample


TARGET_BYTES = 100  # of a packet and of each of its targets, while they are listed


def recorded_messages(mapped_network: MappedNetwork, recording: SpikeTimes) -> Messages:
    """List the packets of recorded samples; `recording` is as from `spikes_on_chip`."""
    sums = mapped_network.partition.best
    # Tables of the spikes of a population: sample, step and source core
    tables = [np.empty((0, 3), np.int64)]
    is_target = [csr_matrix((0, sums.cores), dtype=np.int8)]
    for population, source_core, sets in sums.placed_sets():
        spikes = recording.spikes[population.name].T.astype(np.int64)
        sample, neuron, step = spikes
        tables.append(np.stack([sample, step, source_core[neuron]], axis=1))
        is_target.append(_find_target_cores(neuron, source_core, sets, sums.cores))
    packets = np.concatenate(tables)
    targets = vstack(is_target, "csr")
    order = np.lexsort(packets.T[::-1])
    n_targets = np.diff(targets.indptr)
    order = order[n_targets[order] > 0]
    packets = packets[order].astype(np.int32)
    targets = targets[order]
    return Messages(
        sample=packets[:, 0],
        step=packets[:, 1],
        source=packets[:, 2],
        indptr=targets.indptr.astype(np.int64),
        targets=targets.indices.astype(np.int32),
        samples=np.array(recording.samples, np.int32),
        steps=np.array(recording.steps, np.int64),
    )


def _find_target_cores(
    neuron: np.ndarray,
    source_core: np.ndarray,
    sets: TargetSets,
    cores: int,
) -> csr_matrix:
    """Find the other cores that each spike of a population reaches.

    Return 1 for each of them: int8, shape (spikes, cores).

    Parameters
    ----------
    neuron : (spikes,) int64 array
        Index of the neuron of each spike in the population.
    source_core : (population's size,) int32 array
        Core of each neuron.
    sets : TargetSets
        The cores that the neurons reach.
    """
    spike_set = sets.set_of[neuron]
    n_messages = int(np.diff(sets.start)[spike_set].sum())
    require_memory(
        TARGET_BYTES * (neuron.size + n_messages),
        "the messages of the recorded samples",
    )
    start, target_core = take_sets(sets.start, sets.label, spike_set)
    spike = np.repeat(np.arange(neuron.size), np.diff(start))
    is_other_core = target_core != source_core[neuron[spike]]
    spike = spike[is_other_core]
    target_core = target_core[is_other_core]
    ones = np.ones(spike.size, np.int8)
    return csr_matrix((ones, (spike, target_core)), (neuron.size, cores))


VALUES = 1 << 23  # numbers of spikes, of a node in a step, in memory at a time


class RecordedSteps(Document):
    """Cost of recorded samples on a chip, where a spike arrives in the next step.

    Populations there begin one after the other (`MappableNetwork.first_steps`), so a
    sample takes more steps than in the simulation.
    """

    samples: List[int]  # indices of the test samples
    events: Dict[str, float]  # per sample, by the keys of a hardware description
    energy_by_event_pj: Dict[str, float]  # per sample
    # Of each sample and step; None if the hardware has no times
    step_ns: Optional[List[List[float]]] = None

    def line(self) -> str:
        """Return the line of the log."""
        energy = " ".join(prefixed(sum(self.energy_by_event_pj.values()), "pJ"))
        text = (
            f"{len(self.samples):,} recorded samples, each alone on the chip: {energy} "
            "per sample"
        )
        if self.step_ns is None:
            return text
        times = np.array(self.step_ns)
        mean = " ".join(prefixed(float(times.mean()), "ns"))
        longest = " ".join(prefixed(float(times.max()), "ns"))
        steps = times.shape[1]
        return f"{text}; {steps:,} steps, the mean takes {mean}, the longest {longest}"


class _StepSpikes:
    """Spikes of recorded samples by *sample step*.

    Sample steps number the steps of all samples, one sample after the other: step t of
    the recorded sample of rank k has the number k × (steps of a sample) + t.
    """

    def __init__(self, network: MappableNetwork, recording: SpikeTimes) -> None:
        self._nodes = network.spikes.size
        # Sample step and node of each spike of a population, ascending by sample step
        self._spikes: List[Tuple[np.ndarray, np.ndarray]] = []
        for population in network.sources:
            spikes = recording.spikes[population.name]
            rank = spikes[:, 0] - recording.samples.start
            sample_step = rank * recording.steps + spikes[:, 2]
            node = population.first + spikes[:, 1]
            self._spikes.append((sample_step, node))

    def count(self, begin: int, end: int) -> np.ndarray:
        """Count spikes in a range of sample steps: float64, shape (steps, nodes)."""
        counts = np.zeros((end - begin, self._nodes))
        for sample_step, node in self._spikes:
            part = slice(*np.searchsorted(sample_step, (begin, end)))
            # An input may have several events in a step
            np.add.at(counts, (sample_step[part] - begin, node[part]), 1)
        return counts


def recorded_steps(
    mapped_network: MappedNetwork,
    recording: SpikeTimes,
    progress: Progress = silent,
) -> RecordedSteps:
    """Compute the cost of recorded samples on hardware with figures of events.

    `recording` is as from `spikes_on_chip`.
    """
    sums = mapped_network.partition.best
    hardware = mapped_network.hardware
    n_samples = len(recording.samples)
    n_steps = n_samples * recording.steps
    nodes = mapped_network.network.spikes.size
    updates = updated_neurons(sums)
    spikes = _StepSpikes(mapped_network.network, recording)
    total_events = np.zeros((4, 1, sums.cores))
    total_spikes = np.zeros(nodes)
    step_ns = np.empty(n_steps)
    steps_at_once = max(1, VALUES // nodes)
    for begin in range(0, n_steps, steps_at_once):
        end = min(begin + steps_at_once, n_steps)
        counts = spikes.count(begin, end)
        events = core_events(sums, counts)
        if hardware.time_ns is not None:
            step_ns[begin:end] = _step_times(mapped_network, counts, events, updates)
        total_events += events.sum(axis=1, keepdims=True)
        total_spikes += counts.sum(axis=0)
        progress(end, n_steps)
    event_totals = event_counts(
        total_events / n_samples,
        updates * recording.steps,
        hardware,
        _find_routes(mapped_network, total_spikes / n_samples),
    )
    times: Optional[List[List[float]]] = None
    if hardware.time_ns is not None:
        times = step_ns.reshape(n_samples, recording.steps).tolist()
    return RecordedSteps(
        samples=list(recording.samples),
        events=event_totals,
        energy_by_event_pj=energies(event_totals, hardware.energy_pj),
        step_ns=times,
    )


def _step_times(
    mapped_network: MappedNetwork,
    counts: np.ndarray,
    events: np.ndarray,
    updates: np.ndarray,
) -> np.ndarray:
    """Return the time in ns of each step: float64, shape (steps,).

    Parameters
    ----------
    counts : (steps, nodes) float64 array
        Spikes of each node in each step.
    events, updates : as from `core_events`, with a row for each step, and
        `updated_neurons`
    """
    hardware = mapped_network.hardware
    assert hardware.time_ns is not None
    core_ns = core_times(events, updates, hardware.time_ns)
    busy_ns = core_ns.max(axis=1, initial=0.0)
    if hardware.time_ns.link_spike is not None:
        busy_ns = np.maximum(busy_ns, _link_times(mapped_network, counts))
    sums = mapped_network.partition.best
    return busy_ns + barrier(sums, hardware, mapped_network.place)


def _link_times(mapped_network: MappedNetwork, counts: np.ndarray) -> np.ndarray:
    """Return the time in ns that spikes take the busiest link: float64, shape (steps,).

    `counts`, float64, shape (steps, nodes), are the spikes of each node.
    """
    sums = mapped_network.partition.best
    hardware = mapped_network.hardware
    assert hardware.time_ns is not None
    assert hardware.time_ns.link_spike is not None
    largest_loads = np.zeros(len(counts))
    for step, spikes in enumerate(counts):
        routes = _find_routes(mapped_network, spikes)
        if hardware.time_ns.routing == "multicast":
            place = mapped_network.place
            loads = multicast_loads(sums, spikes, hardware, place, routes.area)
        else:
            loads = link_loads(routes, routes.area)
        largest_loads[step] = loads.all.max(initial=0.0)
    return largest_loads * hardware.time_ns.link_spike
