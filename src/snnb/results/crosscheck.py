"""`crosscheck`: compare the spikes of a simulation, and the costs on a chip, with another simulator of its graph."""

import tempfile
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    List,
    Optional,
    Tuple,
    Union,
)

import numpy as np
from typing_extensions import Literal

from snnb.core.errors import InputError, UsageError, VerificationError
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.crosscheck.check import (
    Expectation,
    check,
    require_memory_of,
    samples_per_batch,
)
from snnb.crosscheck.counts import CountDifference
from snnb.crosscheck.exported import (
    ExportedNetwork,
    Simulate,
    exported_network,
    in_order,
)
from snnb.crosscheck.sanafe_chip import ChipTrace
from snnb.formats.request import Request, Simulated
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import sha256_of
from snnb.io.npy import load_archive
from snnb.io.text import Document
from snnb.mapping.time_costs import RecordedSteps
from snnb.network.converted import ConvertedNetwork
from snnb.network.event_samples import EventSamples
from snnb.network.read_network import read_network
from snnb.network.spike_counts import SUMS
from snnb.network.spike_times import SpikeTimes
from snnb.results.export import (
    SAMPLES,
    chosen_graph,
    load_mapping,
    on_cores,
    recorded_hash,
    simulated_by,
)
from snnb.rundir.directory import RunDirectory
from snnb.simulation.files import read_spikes
from snnb.stages import simulate as simulation
from snnb.stages.graph import WEIGHTS, graph_file
from snnb.stages.missing_packages import extra_named
from snnb.stages.open_run import repair_command
from snnb.stages.prepare import dataset_array
from snnb.stages.stage import recorded, unaltered

if TYPE_CHECKING:
    from snnb.graph.populations import GraphPopulation
    from snnb.mapping.files import Mapping

Simulator = Literal["brian2", "sanafe", "scipy"]
ROUNDING = 1e-9  # relative
# Parts of the energy: events of a description, and components of SANA-FE, which has no
# energy of routers
PARTS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "synapses": (("synapse",), ("synapse", "dendrite")),
    "neurons": (("neuron_inactive", "neuron_active", "spike"), ("soma",)),
    "axons and links": (
        ("axon_out", "axon_in", "link_x", "link_y", "between_chips"),
        ("network",),
    ),
    "routers": (("router",), ()),
}


class ChipFigure(Document):
    """A figure of the recorded samples; `sanafe` is None where SANA-FE has none."""

    name: str
    unit: str
    cost: float
    sanafe: Optional[float]
    differing: bool


class ChipCheck(Document):
    """Costs of the recorded samples in `cost.json` and in SANA-FE."""

    mapping: str  # stamp
    hardware: str
    figures: List[ChipFigure]  # energies of a sample, and the mean time of a step
    # Number of time steps of all recorded samples; 0 if their times are not compared
    steps: int
    differing_steps: int  # number of steps whose times differ
    detailed_ns: float  # mean time of a step in SANA-FE's model `detailed`


class Crosscheck(Document):
    """The result of a comparison that has passed."""

    passed: Literal[True]
    simulator: Simulator
    stamp: str  # stamp of the graph
    samples: int
    # Whether the spikes of each sample were known, not only their sums over all samples
    recorded: bool
    populations: Tuple[CountDifference, ...]
    chip: Optional[ChipCheck]  # costs of a mapping


def crosscheck(
    run: RunDirectory,
    simulator: Simulator,
    *,
    samples: Optional[int] = None,
    graph: Optional[str] = None,
    map: Optional[str] = None,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> Crosscheck:
    """Simulate the exported graph in another simulator, and compare all spike counts of the first samples.

    Parameters
    ----------
    samples : int, optional
        By default the samples with recorded spike times, or all if there are none. The spike times of more samples are
        recorded by another simulation, unless all are compared.
    graph : str, optional
        Stamp of the graph. By default the graph of the current simulation, which is made if it is missing.
    map : str, optional
        Stamp of a mapping. SANA-FE simulates its chip, and energies and times of the recorded samples are compared too.

    Raises
    ------
    VerificationError
        Spikes differ by more than rounding explains (see `snnb.crosscheck.check.check`), or costs of a mapping differ.
    """
    if run.manifest.run.imported:
        raise UsageError(
            f"{run.path} contains an external graph without neuron model and input, "
            "which cannot be simulated; crosscheck the graph of a simulation"
        )
    if map is not None and (simulator != "sanafe" or samples is not None):
        raise UsageError(
            "--map goes with --with sanafe, and compares all recorded samples; omit "
            "--samples"
        )
    mapping = None if map is None else load_mapping(run, map, graph)
    if mapping is not None and mapping.cost.recorded is None:
        raise UsageError(
            f"mapping {map} has no costs of recorded samples: give hardware with "
            "energies or times of events, and simulate with --record-spikes"
        )
    stamp = chosen_graph(
        run, graph if mapping is None else mapping.cost.graph, say, "crosscheck"
    )
    simulation = simulated_by(run, stamp)
    if stamp == WEIGHTS or simulation is None:
        raise UsageError(
            f"graph {stamp} has no simulation in this run to compare with; make the "
            "graph of one"
        )
    path = run.path / graph_file(run, stamp)
    trace: Optional[ChipTrace] = None
    with SynapseGraph.open(path) as opened:
        require_memory_of(opened, simulator)
        expectation = _expected(run, stamp, simulation, opened, samples, say, progress)
        digest = sha256_of(path)
        network = exported_network(opened, simulation)
        if mapping is None:
            build: Callable[[ExportedNetwork], Simulate] = import_module(
                f"snnb.crosscheck.{simulator}"
            ).build
            simulate = build(network)
        else:
            simulate, trace = _on_chip(
                network, opened, mapping, Request(simulated=simulation), expectation
            )
    n_compared = len(expectation.inputs)
    say(f"crosscheck: {simulator}, {n_compared} samples, {expectation.steps} steps")
    random = [
        population.name
        for population in network.populations
        if population.coding == "random"
    ]
    if random:
        say(
            f"crosscheck: the spikes of {', '.join(random)} are random and not compared"
        )
    populations = check(
        network,
        simulate,
        expectation,
        name=simulator,
        batch_size=samples_per_batch(network, simulator),
        say=say,
        progress=progress,
    )
    if digest != recorded_hash(run, stamp):
        repair = repair_command(run, run.kind("graph"), stamp)
        raise VerificationError(
            f"the spikes agree, but {path} has been modified; {repair}"
        )
    chip = None
    if mapping is not None and trace is not None:
        spikes_differ = any(population.differing for population in populations)
        chip = _check_costs(mapping, trace, spikes_differ, say)
    return Crosscheck(
        passed=True,
        simulator=simulator,
        stamp=stamp,
        samples=n_compared,
        recorded=expectation.spikes is not None,
        populations=populations,
        chip=chip,
    )


def _check_costs(
    mapping: "Mapping", trace: ChipTrace, spikes_differ: bool, say: Say
) -> ChipCheck:
    """Compare the costs of the recorded samples; raise an error where they differ."""
    recorded_steps = mapping.cost.recorded
    assert recorded_steps is not None  # `crosscheck` refuses other mappings
    times = mapping.hardware.time_ns
    if times is not None and times.link_spike is not None:
        say("crosscheck: SANA-FE has no times of links: steps are not compared")
        recorded_steps = recorded_steps.model_copy(update={"step_ns": None})
    chip = compare_costs(mapping.name, mapping.hardware.name, recorded_steps, trace)
    refuse_differences(chip, recorded_steps, spikes_differ, say)
    return chip


def _on_chip(
    network: ExportedNetwork,
    graph: SynapseGraph,
    mapping: "Mapping",
    request: Request,
    expectation: Expectation,
) -> Tuple[Simulate, ChipTrace]:
    """Return the simulator of the chip of a mapping, made from the files of its export, and its trace."""
    from snnb.crosscheck.sanafe_chip import build_chip
    from snnb.formats.sanafe import check_mapped, write_netlist

    neurons = on_cores(graph, mapping)
    check_mapped(graph, neurons)
    assert expectation.spikes is not None  # the mapping has costs of recorded samples
    random_spikes = {
        p.name: expectation.spikes[p.name]
        for p in network.populations
        if p.coding == "random"
    }
    with tempfile.TemporaryDirectory() as scratch:
        netlist, architecture = (
            Path(scratch) / "network",
            Path(scratch) / "architecture.yaml",
        )
        written = graph.with_integers() if network.integers else graph
        write_netlist(
            written.with_pool_weight("mean"),
            netlist,
            replace(request, on_cores=neurons),
        )
        architecture.write_text(neurons.architecture, encoding="utf-8")
        return build_chip(network, netlist, architecture, random_spikes)


def _expected(
    run: RunDirectory,
    stamp: str,
    simulation: Simulated,
    graph: SynapseGraph,
    samples_asked: Optional[int],
    say: Say,
    progress: Progress,
) -> Expectation:
    """Return the spikes of each sample, from recorded or repeated simulations, or the spike counts of all samples."""
    assert graph.recording is not None
    available = graph.recording.num_samples
    n_recorded = simulation.recorded_samples
    samples = samples_asked or n_recorded or available
    if samples > available:
        raise UsageError(
            f"--samples {samples}: the simulation has {available} samples; give at "
            "most that many"
        )
    if simulation.input == "poisson" and not n_recorded and samples_asked is None:
        raise UsageError(
            "the Poisson spikes of the input were not recorded; give --samples N to "
            "simulate the first N samples again, or simulate with --record-spikes"
        )
    folder = run.path / run.directory_of("simulate", stamp)
    first_counted_step = graph.recording.warm_up
    duration = graph.latency
    single = (
        samples <= n_recorded or samples < available or simulation.input == "poisson"
    )
    recorded_spikes: Dict[str, np.ndarray] = {}
    if single and samples > n_recorded:
        say(
            f"crosscheck: simulates the first {samples} of {available} samples "
            "again, to obtain spike times"
        )
        with extra_named(f"crosscheck --samples {samples}"):
            spike_times = simulate_again(run, stamp, samples, progress)
            recorded_spikes = dict(spike_times.spikes)
    elif single:
        recorded_spikes = read_spikes(folder)
    shape = samples, duration
    inputs = inputs_of(run, recorded_spikes, simulation, graph.inputs[0], shape)
    if single:
        spikes = _number_spikes(
            recorded_spikes, graph, simulation.first_sample, samples
        )
        return Expectation(duration, first_counted_step, inputs, spikes)
    names = [p.name for p in graph.layers]
    sums = load_archive(folder / SUMS, names=names, must=names)
    return Expectation(
        duration,
        first_counted_step,
        inputs,
        sums={name: sums[name].ravel() for name in names},
    )


def _number_spikes(
    recorded_spikes: Dict[str, np.ndarray],
    graph: SynapseGraph,
    first_sample: int,
    samples: int,
) -> Dict[str, np.ndarray]:
    """Return the spikes of some samples, by population: rows of sample, neuron, step.

    The samples are numbered from 0.
    """
    spikes = {}
    for population in graph.populations:
        rows = np.empty((0, 3), np.int64)
        if population.coding != "current":  # a constant input has no spikes
            rows = recorded_spikes[population.name]
        numbered_rows = rows - [first_sample, 0, 0]
        is_compared = numbered_rows[:, 0] < samples
        spikes[population.name] = in_order(numbered_rows[is_compared])
    return spikes


def simulate_again(
    run: RunDirectory,
    stamp: str,
    samples: int,
    progress: Progress = silent,
) -> SpikeTimes:
    """Simulate the first samples of a simulation again with its options; return their spikes."""
    record = recorded(run, simulation.STAGE, stamp)
    assert record is not None
    if record.details.engine == "toolbox":
        raise UsageError(
            f"--samples {samples}: the engine toolbox does not record spikes of "
            f"single samples; compare all {record.params.samples} samples, or "
            f"simulate with another engine and --record-spikes {samples}"
        )
    alone = {
        "samples": samples,
        "record_spikes": samples,
        "workers": 1,
        "scheduler": None,
    }
    settings = record.params.changed(**alone)
    network = read_network(unaltered(run, simulation.parsed_file(run, stamp)))
    result = simulation.simulate_run(
        run, ConvertedNetwork.of(network), settings, progress
    )
    assert result.spike_times is not None
    return result.spike_times


@dataclass(frozen=True)
class StepInputs:
    """Inputs that change from step to step. A slice reads some samples: float64 (samples, inputs, steps)."""

    samples: EventSamples
    steps: int

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, part: slice) -> np.ndarray:
        frames = self.samples[part].frames(0, self.steps)
        return frames.reshape(*frames.shape[:2], -1).swapaxes(1, 2).astype(np.float64)


def inputs_of(
    run: RunDirectory,
    recorded_spikes: Dict[str, np.ndarray],
    simulation: Simulated,
    population: "GraphPopulation",
    shape: Tuple[int, int],
) -> Union[np.ndarray, StepInputs]:
    """Return the input of the first samples of a simulation, given the numbers of samples and time steps as `shape`.

    A constant input is float64 of float32, shape (samples, inputs). Poisson spikes,
    which are among `recorded_spikes`, are bool, shape (samples, inputs, steps). Numbers
    of events and currents of each step are read when they are used. Raise `InputError`
    if the samples have changed.
    """
    samples, steps = shape
    path = run.path / (simulation.samples_file or SAMPLES[0])
    if (
        not path.exists()
        or sha256_of(path) != simulation.samples_sha256
        or simulation.pixel_scale is None
    ):
        raise InputError(
            f"{path} is not the file that was simulated; prepare the data set as it "
            "was then, or simulate again"
        )
    first_sample = simulation.first_sample
    if simulation.input in ("events", "steps"):
        return StepInputs(
            EventSamples(path).part(slice(first_sample, first_sample + samples)), steps
        )
    if simulation.input == "poisson":
        rows = recorded_spikes[population.name] - [first_sample, 0, 0]
        spikes = np.zeros((samples, population.size, steps), bool)
        spikes[tuple(rows[rows[:, 0] < samples].T)] = True
        return spikes
    values = np.asarray(
        dataset_array(run, "x_test")[first_sample : first_sample + samples], np.float32
    )
    values = values / np.float32(simulation.pixel_scale)
    return values.reshape(samples, -1).astype(np.float64)


def compare_costs(
    stamp: str, hardware: str, recorded_steps: RecordedSteps, trace: ChipTrace
) -> ChipCheck:
    """Compare energies and times of the recorded samples."""
    figures: List[ChipFigure] = []
    for name, (events, components) in PARTS.items():
        cost = sum(
            recorded_steps.energy_by_event_pj.get(event, 0.0) for event in events
        )
        mean_pj = float(
            np.mean(
                [
                    sum(energy[component] for component in components)
                    for energy in trace.energy_pj
                ]
            )
        )
        differs = bool(components) and not np.isclose(
            cost, mean_pj, rtol=ROUNDING, atol=0
        )
        sanafe = mean_pj if components else None
        figures.append(
            ChipFigure(
                name=name, unit="pJ", cost=cost, sanafe=sanafe, differing=bool(differs)
            )
        )
    cost_ns = np.array(recorded_steps.step_ns or [], float)
    sanafe_ns = np.array(trace.step_ns)
    differing = 0
    if cost_ns.size:
        differing = int(
            np.count_nonzero(~np.isclose(cost_ns, sanafe_ns, rtol=ROUNDING, atol=0))
        )
        means = {"cost": float(cost_ns.mean()), "sanafe": float(sanafe_ns.mean())}
        figures.append(
            ChipFigure(name="mean step", unit="ns", **means, differing=differing > 0)
        )
    return ChipCheck(
        mapping=stamp,
        hardware=hardware,
        figures=figures,
        steps=cost_ns.size,
        differing_steps=differing,
        detailed_ns=float(np.mean(trace.detailed_ns)),
    )


def refuse_differences(
    check: ChipCheck, recorded_steps: RecordedSteps, spikes_differ: bool, say: Say
) -> None:
    """Report why costs differ; raise `VerificationError` if nothing explains it."""
    differing = [figure for figure in check.figures if figure.differing]
    if not differing:
        return
    names = ", ".join(figure.name for figure in differing)
    if spikes_differ:
        say(f"crosscheck: {names} differ, since spikes do")
    elif recorded_steps.energy_by_event_pj.get("between_chips") and all(
        figure.name == "axons and links" for figure in differing
    ):
        say(
            "crosscheck: axons and links differ: SANA-FE treats links between chips "
            "as any other"
        )
    else:
        raise VerificationError(
            f"{names} of mapping {check.mapping} differ in SANA-FE, although all "
            "spikes are equal; please report it"
        )
