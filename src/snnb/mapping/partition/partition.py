"""Partition a network: assign its neurons to cores, with few spikes between cores.

search.py has what is known during the search, phases.py what is done.
"""

from dataclasses import dataclass
from typing import List, Tuple

from snnb.chips.hardware import Hardware
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.mapping.partition import mtkahypar
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.partition.phases import list_phases
from snnb.mapping.partition.search import PartitionsFound, SearchTask, spikes_on_mesh
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.refusals import too_few_cores
from snnb.mapping.traffic import MappableNetwork, TrafficSums

NOT_INSTALLED = (
    "Mt-KaHyPar is not installed: only snnb's own search is used; for better results: "
    "pip install mtkahypar"
)


@dataclass(frozen=True, eq=False)
class Partition:
    """Result of the search: partitions, each with the spikes that it causes.

    A `TrafficSums` has the core of each neuron, and the spikes between cores, whose sum
    is the connectivity.
    """

    # The fewest spikes between cores, on chips with input ports with those of the input;
    # within the limits of the hardware
    best: TrafficSums
    # Partitions of all methods that keep the limits; `sequential` first if it does
    tried: Tuple[TrafficSums, ...]
    sequential: TrafficSums  # the baseline; it may need more cores than there are
    warnings: Tuple[str, ...] = ()  # methods without a result, and why


def partition(
    network: MappableNetwork,
    hardware: Hardware,
    *,
    method: str = "auto",
    seed: int = 0,
    settings: SearchSettings = SearchSettings(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Partition:
    """Assign each neuron to a core, so that few spikes travel between cores.

    The same seed gives the same partition. docs/mapping-methods.md has the method in
    pseudo-code.

    Parameters
    ----------
    network : MappableNetwork
        A network that `check_possible` accepts.
    method : {"auto", "groups", "hypergraph", "sequential"}
        `sequential` is the baseline alone. `groups` has the phases that move groups,
        `hypergraph` the phase of single neurons, `auto` all.

    Raises
    ------
    InputError
        If the hardware has too few cores; or `method` is `hypergraph`, and Mt-KaHyPar
        is not installed or the network is too large.
    """
    if method == "hypergraph":
        mtkahypar.require()
    baseline = sequential_baseline(network, hardware, progress)
    if method == "sequential":
        if baseline.cores > hardware.cores:
            raise too_few_cores(network, hardware, baseline)
        return Partition(baseline, (baseline,), baseline)
    warnings: List[str] = []
    task = SearchTask.of(
        network,
        hardware,
        baseline,
        method,
        seed,
        settings,
        warnings.append,
    )
    if not task.has_mtkahypar:
        warnings.append(NOT_INSTALLED)
    if method == "hypergraph" and task.single_neurons is None:
        raise InputError(
            f"the network has more than {settings.max_single_neurons:,} neurons or "
            f"{settings.max_single_pins:,} pins, too many for individual placement: "
            "use --method groups"
        )
    results = PartitionsFound(task)
    methods_tried = _run_phases(task, results, progress)
    if not results.valid:
        raise too_few_cores(network, hardware, baseline)
    if results.best_cost:  # else there is nothing to improve
        methods_with_result = {sums.method for sums in results.valid}
        for name in methods_tried:
            if name not in methods_with_result:
                warnings.append(f"{name} found no mapping within the limits")
    return Partition(results.best, tuple(results.valid), baseline, tuple(warnings))


def _run_phases(
    task: SearchTask,
    results: PartitionsFound,
    progress: Progress,
) -> List[str]:
    """Add the partitions of all phases to the results; return the methods tried.

    These are in the order of their first phases, also if they have no valid partition.
    """
    methods: List[str] = []
    phases = list_phases(task, results)
    for number, phase in enumerate(phases):
        if not phase.is_promising():
            continue
        if phase.method not in methods:
            methods.append(phase.method)
        note = phase.method
        if results.valid:
            spikes = spikes_on_mesh(results.best, task.hardware)
            note += f", spikes so far {spikes:,.0f}"
        phase_progress = _PhaseProgress(progress, number, len(phases), note)
        for core in phase.improve(phase_progress):
            results.add(phase.method, core)
    return methods


@dataclass(frozen=True)
class _PhaseProgress:
    """The progress of one phase as a part of the progress of all; see `Progress`."""

    progress: Progress  # of all phases
    phase: int  # index of the phase
    phases: int
    note: str

    def __call__(self, done: int, total: int, note: str = "") -> None:
        self.progress(self.phase * total + done, self.phases * total, self.note)
