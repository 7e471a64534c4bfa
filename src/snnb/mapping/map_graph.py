"""Map a graph onto the cores of a chip, in memory."""

import time
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from typing_extensions import Literal, get_args

from snnb.chips.hardware import Hardware
from snnb.core.errors import UsageError
from snnb.core.progress import Progress, silent
from snnb.graph.synapse_graph import SynapseGraph
from snnb.mapping.files import Mapping, MappingCost
from snnb.mapping.map_network import MappedNetwork, cost_partition, map_network
from snnb.mapping.notes import neuron_notes
from snnb.mapping.time_costs import (
    Messages,
    RecordedSteps,
    StepLoads,
    recorded_messages,
    recorded_steps,
    spikes_on_chip,
    step_loads,
)
from snnb.mapping.traffic import MappableNetwork
from snnb.network.spike_times import SpikeTimes

Method = Literal["auto", "sequential", "groups", "hypergraph"]
Objective = Literal["spikes", "hops", "energy", "step"]
DEFAULT_OBJECTIVE: Objective = "spikes"


class GivenPartition(NamedTuple):
    """Files of a partition by another program; see `cost_partition`."""

    partition: Path
    placement: Optional[Path] = None
    allow_overfull: bool = False
    split_overfull: bool = False


def map_graph(
    graph: SynapseGraph,
    hardware: Hardware,
    *,
    method: Method = "auto",
    objective: Objective = DEFAULT_OBJECTIVE,
    seed: int = 0,
    spike_times: Optional[SpikeTimes] = None,
    given: Optional[GivenPartition] = None,
    converted: bool = True,
    model: str = "",
    graph_name: str = "",
    progress: Progress = silent,
) -> Mapping:
    """Assign the neurons of a graph to cores, and compute the cost.

    Parameters
    ----------
    graph : SynapseGraph
        With spike counts.
    hardware : Hardware
    method, objective, seed
        See `map_network`.
    spike_times : SpikeTimes, optional
        Recorded samples, for costs over time.
    given : GivenPartition, optional
        Instead of a method.
    converted : bool
        Whether the network is converted, so that notes name options of the conversion.
    model, graph_name : str
        Provenance, in the cost.
    """
    _check_choice("method", method, get_args(Method))
    _check_choice("objective", objective, get_args(Objective))
    if objective == "step" and hardware.time_ns is None:
        raise UsageError(
            f"objective: {hardware.name} has no time_ns in its description, which step "
            "requires; give another objective"
        )
    start_time = time.monotonic()
    network = MappableNetwork.of(graph)
    if given is None:
        mapped = map_network(
            network,
            hardware,
            method=method,
            objective=objective,
            seed=seed,
            progress=progress,
        )
    else:
        mapped = cost_partition(
            network,
            hardware,
            given.partition,
            given.placement,
            allow_overfull=given.allow_overfull,
            split_overfull=given.split_overfull,
            seed=seed,
            progress=progress,
        )
        objective = DEFAULT_OBJECTIVE
    recording = _RecordedCosts()
    if spike_times is not None:
        recording = _cost_recording(mapped, spike_times, progress)
    cost = MappingCost.of(
        mapped,
        model=model,
        graph=graph_name,
        objective=objective,
        seed=seed,
        by_step=recording.loads,
        recorded_steps=recording.steps,
        seconds=round(time.monotonic() - start_time, 3),
    )
    notes = neuron_notes(network, cost, converted=converted)
    return Mapping.of(mapped, cost, messages=recording.messages, notes=notes)


def _check_choice(name: str, value: str, choices: Tuple[str, ...]) -> None:
    """Raise `UsageError` for a value that is none of the choices."""
    if value not in choices:
        raise UsageError(f"{name} {value!r}: give one of {', '.join(choices)}")


class _RecordedCosts(NamedTuple):
    """Costs over time of recorded samples; all None: no spike times were recorded."""

    loads: Optional[StepLoads] = None
    steps: Optional[RecordedSteps] = None  # None too if events have no figures
    messages: Optional[Messages] = None


def _cost_recording(
    mapped_network: MappedNetwork,
    spike_times: SpikeTimes,
    progress: Progress,
) -> _RecordedCosts:
    """Compute the costs over time of the samples with recorded spikes."""
    on_chip = spikes_on_chip(mapped_network.network, spike_times)
    loads = step_loads(mapped_network, on_chip, progress)
    messages = recorded_messages(mapped_network, on_chip)
    if not mapped_network.hardware.counts_events:
        return _RecordedCosts(loads, None, messages)
    steps = recorded_steps(mapped_network, on_chip, progress)
    return _RecordedCosts(loads, steps, messages)
