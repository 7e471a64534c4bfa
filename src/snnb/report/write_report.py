"""`report`: one page about a run, from its records and files."""

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Tuple, Union, cast

import numpy as np

from snnb.conversion.fidelity import Fidelity
from snnb.core.errors import ReadOnlyError, UsageError
from snnb.core.formatting import energy, equal_columns, local_time, times
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.forward.analogue import mean_activations
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import atomic_path, refuse_existing, refuse_foreign
from snnb.io.keras_file import read_levels
from snnb.io.text import Document
from snnb.network.event_samples import EventSamples
from snnb.network.network import Network
from snnb.network.read_network import read_network
from snnb.plots.report import plot_input
from snnb.plots.simulation import plot_quality
from snnb.plots.training import plot_training
from snnb.report.network_sections import network_sections
from snnb.report.page import GENERATOR, Figure, Page, Section, Table, drawn, render, settings_table
from snnb.report.result_sections import activations_section, confusion_section, rates_section
from snnb.results.compare import (
    MAPPING_HEAD,
    NETWORK_ENERGY,
    SIMULATION_HEAD,
    Simulation,
    mappings_of,
    simulated_files,
    simulations_of,
)
from snnb.results.export import current_graph, refuse_files_of_runs
from snnb.results.plot import has_history, read_training
from snnb.results.sweep import TABLE, option_titles, point_table, points_of_sweep
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord, now_utc
from snnb.simulation.statistics import QUOTED, SimulationStatistics
from snnb.stages import map as mapping
from snnb.stages import parse, prepare
from snnb.stages.graph import graph_command, graph_file
from snnb.stages.plan import state_of_stages
from snnb.stages.prepare import dataset_array
from snnb.stages.simulate import parsed_file
from snnb.stages.stage import recorded, recorded_details, require_result, unaltered
from snnb.stages.train import is_spiking, shown_params
from snnb.version import __version__

if TYPE_CHECKING:
    from snnb.mapping.layers.layer_cost import LayerCost

REPORT = "report.html"
MOST_OPERATIONS = 20_000_000_000  # multiplications for the activations of a page


class ReportFile(Document):
    """Output of `snnb report --json`."""

    report: Path
    size_bytes: int


def write_report(
    run: RunDirectory,
    *,
    simulation: Optional[str] = None,
    output: Optional[Path] = None,
    force: bool = False,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> Path:
    """Write one HTML page about a run: its training, a simulation, the graph of the simulation and its latest mapping.

    By default the page is `report.html` of the run, about the current simulation, whose graph is made if it is
    missing; without it in a run that is read-only. `force` replaces a file that is not a report. `progress` is called
    while activations are computed.
    """
    target = run.path / REPORT if output is None else output
    if target.absolute() != (run.path / REPORT).absolute():
        refuse_files_of_runs(target, run)
    if output is None and not os.access(run.path, os.W_OK):
        raise ReadOnlyError(f"{run.path} is read-only; give the path of the report with --output")
    refuse_existing(target, force=True)
    if target.is_dir():
        raise UsageError(f"{target} is a directory; give the path of a file")
    if not force:
        refuse_foreign(target, mark=GENERATOR)
    simulations = {item.stamp: item for item in simulations_of(run)}
    if simulation is not None:
        require_result(run, "--simulation", simulation, simulations)
    stamp, graph = simulation or run.current("simulate"), None
    with atomic_path(target, force=True) as temporary:  # first, since it fails if the target cannot be written
        try:
            graph = current_graph(run, simulation, say)
        except ReadOnlyError as error:
            say(f"report: without its graph: {error}")
        page = render(_page(run, list(simulations.values()), (stamp, graph), progress))
        temporary.write_text(page, encoding="utf-8")
    return target


def is_current(run: RunDirectory) -> bool:
    """Whether the run's `report.html` is about the current simulation, and newer than all results."""
    page, simulation = run.path / REPORT, run.current("simulate") or ""
    if not page.is_file() or page.stat().st_mtime_ns < (run.path / manifest.NAME).stat().st_mtime_ns:
        return False
    with page.open("rb") as file:
        return f'<meta name="simulation" content="{simulation}">'.encode() in file.read(2048)


def _page(
    run: RunDirectory, simulations: List[Simulation], shown: Tuple[Optional[str], Optional[str]], progress: Progress
) -> Page:
    """Return the page about the shown simulation and graph."""
    stamp, graph = shown
    simulation = next((one for one in simulations if one.stamp == stamp), None)
    mappings = cast("Dict[str, mapping.MapRecord]", run.records_of(mapping.KIND.name))
    mapped = next((name for name in run.by_precedence("map") if mappings[name].details.graph == graph), None)
    sections = [_overview(run, simulations, simulation, (graph, mapped))]
    if run.manifest.run.imported:
        sections += _network(run, graph)
    else:
        sections += [_training(run, simulation), *_network(run, graph), *_simulation(run, simulation, progress)]
    sections += [*_sweep(run), _mapping(run, mapped), _provenance(run, stamp, graph, mapped)]
    info = run.manifest.run
    named = None if simulation is None else simulation.record.details.label
    label = f" “{named}”" if named else ""
    return Page(
        title=info.title,
        simulation=stamp or "",
        subtitle=f"{run.path.resolve()}" + (f", simulation {stamp}{label}" if stamp else ""),
        sections=sections,
        made=f"Written by snnb {__version__} on {local_time(now_utc().isoformat())}.",
    )


def _overview(
    run: RunDirectory,
    simulations: Sequence[Simulation],
    simulation: Optional[Simulation],
    shown: Tuple[Optional[str], Optional[str]],
) -> Section:
    """Return the section about all simulations; it warns if the graph or the mapping that is shown is stale."""
    states = {state.name: state for state in state_of_stages(run)}
    rows = [
        (
            one.stamp + (" (this page)" if one is simulation else ""),
            *one.row[1:],
            states[run.directory_of("simulate", one.stamp)].in_words,
        )
        for one in simulations
    ]
    head = (*SIMULATION_HEAD, "state")
    filled = [i for i in range(len(head)) if any(row[i] for row in rows)]
    right = [filled.index(i) for i in (2, 3, 4) if i in filled]
    tables = [Table([head[i] for i in filled], [[row[i] for i in filled] for row in rows], right)] if rows else []
    words = [f"Created {local_time(run.manifest.run.created_utc)} with snnb {run.manifest.run.snnb_version}."]
    warnings = [] if simulation is None else [f"Warning: {warning}." for warning in simulation.record.warnings]
    for stage, name in zip(("graph", "map"), shown):
        state = None if name is None else states[run.directory_of(stage, name)]
        if state is not None and state.reason is not None:
            warnings.append(f"Warning: {state.name} is {state.in_words}.")
    return Section("overview", "The run", [*words, *warnings], tables=tables)


def _command(run: RunDirectory, stage: str) -> str:
    """Return the command line that runs a stage."""
    return shlex.join(["snnb", stage, "--run-dir", str(run.path)])


def _network(run: RunDirectory, graph: Optional[str]) -> List[Section]:
    if graph is None:
        return [Section("network", "The network", [f"No graph: `{graph_command(run)}` creates it."])]
    with SynapseGraph.open(unaltered(run, graph_file(run, graph))) as opened:
        network, *others = network_sections(opened, imported=bool(run.manifest.run.imported))
        arrays_sha256 = opened.attributes.get("source_sha256")
        neurons, synapses = opened.number_of_neurons(), opened.number_of_edges()
    figures = [("neurons", f"{neurons:,}"), ("synapses", f"{synapses:,}")]
    words = network.words
    if run.manifest.run.imported:
        record = run.records_of("graph")[graph]
        files = [f"{file.path} (SHA-256 {file.sha256})" for file in record.inputs]
        origin = f"read from {' and '.join(files)}" if files else f"made of arrays in Python (SHA-256 {arrays_sha256})"
        words = [f"External graph, {origin}.", *(f"Warning: {warning}." for warning in record.warnings), *words]
    return [replace(network, words=words, key_figures=figures), *others]


def _training(run: RunDirectory, simulation: Optional[Simulation]) -> Section:
    record = run.record_of("train")
    if record is None:
        return Section("training", "Training", [f"Not yet: `{_command(run, 'train')}` trains the network."])
    if is_spiking(run):
        name = Path(run.manifest.run.model_source or run.model).name
        return Section("training", "Training", [f"Nothing is trained here: {name} is a trained spiking network."])
    # A simulation keeps a copy of the history of its network, which may have been trained again since.
    folder = run.directory_of("train") if simulation is None else run.directory_of("simulate", simulation.stamp)
    params = record.params if simulation is None else simulation.record.details.training
    metrics, history = read_training(run, folder)
    values = {name: getattr(metrics, f"test_{name}") for name in ("accuracy", "loss", "mean_squared_error")}
    test = {name: value for name, value in values.items() if value is not None}
    words = ["; ".join(f"test {name.replace('_', ' ')}: {value:.4g}" for name, value in test.items()) + "."]
    if not has_history(metrics, history):
        words.append("No training history: the network was trained with another program.")
        return Section("training", "Training", words)
    picture = drawn("loss and accuracy by epoch", plot_training(metrics, history))
    last = Table(("after the last epoch", "value"), [(name, f"{value:.4g}") for name, value in history[-1].items()])
    folded = {"Parameters of the training": settings_table(shown_params(run, params))}
    return Section("training", "Training", words, [Figure(picture)], tables=[last], folded=folded)


def _simulation(run: RunDirectory, simulation: Optional[Simulation], progress: Progress) -> List[Section]:
    """Return the sections about a simulation: accuracy, confusions, rates, activations."""
    if simulation is None:
        parsed = recorded(run, parse.KIND)
        changes = [] if parsed is None else _changes(parsed.details.fidelity)
        words = [f"None yet: `{_command(run, 'simulate')}` makes it.", *changes]
        return [Section("accuracy", "Simulation", words)]
    statistics, counts = simulated_files(run, simulation.stamp)
    params, metrics = simulation.record.params, simulation.record.metrics
    steps = params.duration - params.warm_up
    rates = {name: values / (params.samples * steps) for name, values in counts.items()}
    classifies = metrics.get("snn_accuracy") is not None
    kind = "accuracy" if classifies else "mean_squared_error"
    label, accuracies, figures = kind.replace("_", " "), [], []
    for side, name in (("ann", "analogue network"), ("snn", "spiking network"), ("readout", "read-out")):
        value = metrics.get(f"{side}_{kind}")
        if value is None:
            continue
        shown, interval = f"{value:.2%}" if classifies else f"{value:.4g}", ""
        if classifies:
            interval = " (95 % interval {:.2%} to {:.2%})".format(*statistics.interval(value) or ())
        accuracies.append(f"{name}: {shown}{interval}")
        figures.append((f"{name if side == 'readout' else side.upper()} {label}", shown))
    figures.append(("synaptic operations per sample", f"{statistics.synaptic_operations_per_sample:,.0f}"))
    figures.append(("energy per sample at 45 nm", energy(statistics.energy_45nm_pj)))
    latency, between = statistics.latency_steps, statistics.interval_steps
    took = f"{params.samples:,} samples of {latency:,} time steps"
    took += f", one every {between:,} time steps" if between != latency else ""
    summary = [f"{'; '.join(accuracies)}; {took}, input {params.input}."]
    summary += _changes(simulation.record.details.fidelity)
    coding = simulation.record.details.output_coding
    if classifies and metrics.get("readout_accuracy") is not None:
        summary.append(f"Of the two accuracies, {QUOTED[coding]}.")
    picture = drawn(f"{label} by time step", plot_quality(*statistics.course))
    confusion = statistics.quoted_confusion
    predicted = "spiking network" if confusion is statistics.confusion else "read-out"
    sections = [
        *_input(run, simulation),
        Section("accuracy", f"{label.capitalize()} over time", summary, [Figure(picture)], key_figures=figures),
        *([] if confusion is None else [confusion_section(confusion, list(statistics.class_counts), predicted)]),
        rates_section(rates),
        _operations(statistics),
    ]
    if not is_spiking(run):
        activations, about = _activations(run, simulation, progress)
        random = [name for name, coding in statistics.coding.items() if coding == "random"]
        if random and activations:
            about.append(f"The spikes of {', '.join(random)}, a softmax layer, are drawn at random.")
        sections.append(activations_section(rates, activations, about))
    return sections


def _operations(statistics: SimulationStatistics) -> Section:
    """Return the section about operations, energies and the metrics of NeuroBench."""
    ann_energy = statistics.energy_45nm_ann_pj
    trained = None if ann_energy is None else statistics.ann_multiply_accumulates_per_sample
    values: List[Tuple[str, Union[int, float, None], Callable[[float], str]]] = [
        ("additions", statistics.synaptic_operations_per_sample, "{:,.0f}".format),
        ("multiply-accumulates of the input", statistics.input_multiply_accumulates_per_sample, "{:,}".format),
        ("multiply-accumulates of the trained network", trained, "{:,}".format),
        ("energy", statistics.energy_45nm_pj, energy),
        ("energy of the trained network", ann_energy, energy),
        ("membrane updates", statistics.membrane_updates, "{:,.0f}".format),
        ("activation sparsity", statistics.activation_sparsity, "{:.2%}".format),
        ("connection sparsity", statistics.connection_sparsity, "{:.2%}".format),
        ("footprint, bytes", statistics.footprint, "{:,}".format),
    ]
    rows = [(name, form(value)) for name, value, form in values if value is not None]
    words = (
        "Energies are those of the arithmetic in 45 nm (Horowitz 2014), 4.6 pJ a multiply-accumulate and 0.9 pJ an "
        "addition, without memory accesses, leak, biases and updates of neurons. Updates, sparsities and footprint "
        "are defined by NeuroBench (Yik et al. 2025)."
    )
    return Section("operations", "Operations and energy", [words], tables=[Table(("per sample", ""), rows, right=(1,))])


def _changes(fidelity: Optional[Fidelity]) -> List[str]:
    """Return a sentence about the changes of the network by its conversion; nothing without changes."""
    return [] if fidelity is None else [f"The conversion changes the network: {'; '.join(fidelity.lines())}."]


def _input(run: RunDirectory, simulation: Simulation) -> List[Section]:
    """Return the section about the input of the first sample, if it changes from step to step and still exists."""
    read = next((file for file in simulation.record.inputs if file.path == "dataset/x_test.h5"), None)
    if read is None or not run.hashes.matches(read):
        return []
    first, duration = simulation.record.params.first, simulation.record.params.duration
    sample = EventSamples(run.path / read.path)[first : first + 1]
    entries = np.count_nonzero(sample.step < duration)
    colours = "on events are blue, off events red" if sample.shape[-1] == 2 else "negative values are red"
    words = (
        f"Sample {first}, input {times(sample.shape)}: {entries:,} entries other than 0 in {duration:,} time "
        f"steps. Rows are positions, row by row of the sensor; {colours}."
    )
    picture = drawn(f"input of sample {first} by time step", plot_input(sample, duration))
    return [Section("input", "Input", [words], [Figure(picture)])]


def _activations(
    run: RunDirectory, simulation: Simulation, progress: Progress
) -> Tuple[Dict[str, np.ndarray], List[str]]:
    """Return the mean activations of the network without spikes over the simulated samples, and paragraphs about them.

    No activations if the test set has changed since the simulation.
    """
    params = simulation.record.params
    read = {file.path: file for file in simulation.record.inputs}
    parsed = parsed_file(run, simulation.stamp)
    pictures = read.get("dataset/x_test.npy")
    if pictures is None or not run.hashes.matches(pictures):
        return {}, ["The test set has changed since the simulation, so the activations cannot be computed."]
    # Activations are quantised and clipped as in training.
    network = read_network(unaltered(run, parsed)).as_trained(read_levels(run.path / parsed))
    output, clipped = network.output, ""
    spikes = simulation.record.details.output_coding == "spikes"
    if spikes and output.activation == "linear":
        bounded = replace(output, activation="relu", max_value=1.0)
        network = network.with_populations([bounded])
        clipped = (
            f" Activations of {output.name} are clipped to [0, 1] in each sample: the "
            "spikes of an output neuron represent no other values."
        )
    samples = _samples_within(network, params.samples)
    x = dataset_array(run, "x_test")[params.first : params.first + samples]
    scale = recorded_details(run, prepare.KIND).scale
    activations = mean_activations(network, x, scale, progress)
    selection = "all" if samples == params.samples else f"the first {samples:,} of {params.samples:,}"
    return activations, [
        f"Horizontal: mean {'quantised ' if network.levels else ''}activation of a neuron of the converted network "
        f"without spikes, over {selection} simulated samples. Vertical: its firing rate in spikes per step. On the "
        "grey line both are equal. The stronger the colour, the more neurons. The correlation is Pearson's over the "
        f"neurons of the layer.{clipped}"
    ]


def _samples_within(network: Network, samples: int) -> int:
    """Return the number of samples, at least one, whose activations take at most `MOST_OPERATIONS`."""
    each = sum(int(leaving.sum()) for leaving in network.fan_out().values())
    return max(1, min(samples, MOST_OPERATIONS // max(1, each)))


def _mapping(run: RunDirectory, stamp: Optional[str]) -> Section:
    costs = mappings_of(run)
    rows = [(cost.stamp + (" (below)" if cost.stamp == stamp else ""), *cost.row[1:]) for cost in costs]
    every = Table(MAPPING_HEAD, rows, right=(4, 5, 6, 7, 8))
    if stamp is None:
        command = f"{_command(run, 'map')} --hardware NAME"
        words = [f"No mapping of this graph: `{command}` makes one."]
        return Section("mapping", "Mapping", words, tables=[every] if rows else [])
    from snnb.mapping.files import Mapping
    from snnb.mapping.layers.layer_cost import COST, LayerCost
    from snnb.report.mapping_section import mapping_section

    (last,) = (cost for cost in costs if cost.stamp == stamp)
    record = cast("Dict[str, mapping.MapRecord]", run.records_of(mapping.KIND.name))[stamp]
    for file in record.outputs:
        unaltered(run, file.path)
    mesh = record.details.mesh
    if mesh is None:
        return _layers(LayerCost.read(run.path / run.directory_of("map", stamp) / COST), last.row[2], every, record)
    opened, details = Mapping.open(run.path / run.directory_of("map", stamp)), record.details
    peak = record.metrics.get("link_load_peak")
    unit = "spikes per sample over a link in one direction, in the busiest step of the recorded samples"
    further = [] if peak is None else [("link load peak", f"{peak:,.6g}", unit)]
    words = [
        "The first table has all mappings of the run: spikes between cores and energy are per sample, the ratio "
        f"divides the spikes by the spikes of the sequential mapping; {NETWORK_ENERGY}.",
        f"Below, maps/{stamp}: {details.neurons:,} neurons on {details.cores:,} cores of {last.row[2]} "
        f"({mesh[0]}×{mesh[1]}), method {details.method}. The filled height of a core shows its "
        "number of neurons relative to the limit, its colours show its layers.",
    ]
    warnings = [f"Warning: {warning}." for warning in record.warnings]
    section = mapping_section(opened, every, [*warnings, *words], further, last.sequential_connectivity or 0.0)
    return replace(section, key_figures=[(f"cores of {last.row[2]}", f"{details.cores:,}")])


def _sweep(run: RunDirectory) -> List[Section]:
    """Return the section about the points of the last sweep; nothing without points."""
    points = points_of_sweep(run)
    if not points:
        return []
    from snnb.results.sweep_figures import plot_operations, plot_points

    table, titles = point_table(points), option_titles(points)
    words = [f"Points of the last sweep, {run.path / TABLE}; {'; '.join(table.notes)}."]
    equal = [i for i in equal_columns(table.rows) if i >= table.options and i != table.simulation]
    if equal:
        same = ", ".join(f"{table.head[i]} {table.rows[0][i]}" for i in equal)
        words.append(f"The same for all points: {same}.")
    columns = [i for i in range(len(table.head)) if i not in equal]
    rows = [[row[i] for i in columns] for row in table.rows]
    right = [place for place, i in enumerate(columns) if i >= table.options]
    grid, operations = plot_points(points, titles), plot_operations(points, titles)
    pictures = [] if grid is None else [drawn("accuracy or error of the points of the sweep", grid, has_legend=True)]
    pictures.append(drawn("accuracy or error over synaptic operations", operations, has_legend=True))
    tables = [Table([table.head[i] for i in columns], rows, right)]
    return [Section("sweep", "Sweep", words, [Figure(picture) for picture in pictures], tables=tables)]


def _layers(cost: "LayerCost", chip: str, every: Table, record: mapping.MapRecord) -> Section:
    from snnb.plots.mapping import plot_layers

    head = ("layer", "core", "kernel", "neurons", "biases", "spikes in", "spikes out", "synaptic operations")
    rows = [
        (
            row.name,
            str(row.core),
            *(f"{number:,}" for number in (row.kernel, row.neurons, row.biases)),
            *(f"{number:,.6g}" for number in (row.spikes_in, row.spikes_out, row.synaptic_operations)),
        )
        for row in cost.layers
    ]
    words = [
        *(f"Warning: {warning}." for warning in record.warnings),
        f"The first table has all mappings of the run. Below, maps of whole layers onto cores of {chip}: "
        "entries in the three memories of a core; spikes from and to other cores and synaptic operations per sample.",
    ]
    tables = [every, Table(head, rows, right=(1, 2, 3, 4, 5, 6, 7))]
    figures = [Figure(drawn("layers on cores", plot_layers(cost)))]
    key_figures = [(f"cores of {chip}", f"{cost.cores:,}")]
    return Section("mapping", "Mapping", words, figures, tables=tables, key_figures=key_figures)


def _provenance(run: RunDirectory, stamp: Optional[str], graph: Optional[str], mapped: Optional[str]) -> Section:
    """Return the section about the results shown, and about the data set: version, licence and source."""
    names = {"prepare": None, "train": None, "parse": None, "simulate": stamp, "graph": graph, "map": mapped}
    shown = [run.directory_of(stage, name) for stage, name in names.items()]
    records: Dict[str, AnyRecord] = {path: record for path, record in run.records().items() if path in shown}
    folded: Dict[str, Table] = {}
    for directory, record in records.items():
        folded[f"{directory}: provenance"] = Table(("", ""), _made(record))
        folded[f"{directory}: parameters"] = settings_table(shown_params(run, record.params))
        folded[f"{directory}: files and their SHA-256"] = _files(record)
    rows = [
        (directory, local_time(record.timing.started_utc), f"{record.timing.wall_s:,.1f} s", shlex.join(record.command))
        for directory, record in records.items()
    ]
    tables = [Table(("directory", "made", "took", "command"), rows, right=(2,))]
    prepared = recorded(run, prepare.KIND)
    if prepared is not None:
        details = prepared.details
        origin = [("name", details.dataset), ("version", details.version), ("licence", details.licence)]
        origin += [("source", details.source), ("classes", str(len(details.class_names)))]
        origin += [(f"{name} samples", str(split.shape[0])) for name, split in details.splits.items()]
        tables.append(Table(("data set", ""), origin))
    return Section("provenance", "Provenance", [], tables=tables, folded=folded)


def _made(record: AnyRecord) -> List[Tuple[str, str]]:
    versions = [(name, str(value)) for name, value in record.environment.model_dump().items() if value is not None]
    return [
        ("command", shlex.join(record.command)),
        ("started (UTC)", record.timing.started_utc),
        ("took", f"{record.timing.wall_s:,.3f} s"),
        ("largest memory", f"{record.timing.peak_rss_bytes / 2**20:,.1f} MiB"),
        *versions,
        *(("warning", warning) for warning in record.warnings),
    ]


def _files(record: AnyRecord) -> Table:
    files = [*(("read", file) for file in record.inputs), *(("written", file) for file in record.outputs)]
    rows = [(role, file.path, f"{file.size_bytes:,}", file.sha256) for role, file in files]
    return Table(("", "file", "bytes", "SHA-256"), rows, right=(2,))
