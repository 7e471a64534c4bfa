"""`export`: write the graph of a run in the format of another program."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence, cast

from snnb.core.errors import ReadOnlyError, UpstreamError, UsageError
from snnb.core.options import command_words
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.formats.export_options import ExportOptions
from snnb.io.files import refuse_existing, refuse_link
from snnb.io.text import read_document
from snnb.rundir import manifest
from snnb.rundir.directory import EXPORTS, RunDirectory
from snnb.stages import graph, prepare, simulate
from snnb.stages import map as mapping_stage
from snnb.stages.graph import (
    ASSUMED,
    graph_command,
    graph_file,
    simulation_of,
    spike_times_of,
)
from snnb.stages.run_stages import bring_up_to_date
from snnb.stages.stage import (
    recorded,
    recorded_details,
    recorded_options,
    require_result,
    stale_reason,
    unaltered,
)
from snnb.stages.states import state_of_stages

if TYPE_CHECKING:
    from snnb.formats.request import MeshTraffic, OnCores, Simulated
    from snnb.formats.write_export import Export
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.files import Mapping


def current_graph(
    run: RunDirectory, simulation: Optional[str] = None, say: Say = say_nothing
) -> Optional[str]:
    """Return the stamp of the graph of a simulation, by default the one in force.

    The graph is made if it is missing. In a run that begins with an external graph it
    is that graph. In a run without simulations it is the graph of the weights, or None
    if that does not exist. The run is locked only while a graph is made. Raise
    `ReadOnlyError` if it cannot be made.
    """
    name = graph.STAGE.name
    graphs = run.records_of(name)
    if run.manifest.run.imported:
        return run.latest(name)
    stamp = simulation or simulate.in_force(run)
    if stamp is None:
        return graph.WEIGHTS if graph.WEIGHTS in graphs else None
    if stamp not in graphs:
        try:
            with run.locked(say=say):
                bring_up_to_date(run, name, {name: {"simulation": stamp}}, say=say)
        except ReadOnlyError as error:
            raise ReadOnlyError(
                f"the graph of simulation {stamp} is missing and cannot be created: "
                f"{error}"
            ) from error
    return stamp


# Files of the test samples, of which a run has one
SAMPLES = ("dataset/x_test.npy", "dataset/x_test.h5")


def export_graph(
    run: RunDirectory,
    format: str,
    options: Optional[ExportOptions] = None,
    *,
    output: Optional[Path] = None,
    graph: Optional[str] = None,
    force: bool = False,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> "Export":
    """Write a graph of the run in another format, and return what was written.

    `graph` is its stamp, or `weights`; by default the graph of the current simulation,
    made if it is missing. `output` is outside of runs; by default
    `exports/STAMP/MODEL.<ending>` of the run, for the graph's stamp. `force` replaces a
    file, or a directory that an export has made.
    """
    from snnb.formats.request import DEFAULTS, Request
    from snnb.formats.write_export import export, find_format, refuse_foreign_options
    from snnb.graph.synapse_graph import SynapseGraph

    options = DEFAULTS if options is None else options
    exporter = find_format(format)
    refuse_foreign_options(format, options)
    if output is not None:
        refuse_existing(output, force=True)
        refuse_files_of_runs(output, run)
    mapping = None if options.map is None else load_mapping(run, options.map, graph)
    graph_stamp = graph if mapping is None else mapping.cost.graph
    stamp = chosen_graph(run, graph_stamp, say, "export")
    with SynapseGraph.open(unaltered(run, graph_file(run, stamp))) as graph_of_run:
        if options.rate_unit != DEFAULTS.rate_unit:
            _refuse_rate_unit(graph_of_run)
        if graph_of_run.assumed_spikes:
            say(f"export: {ASSUMED}")
        spike_times: Optional[Path] = None
        if format == "spinemap":
            times = spike_times_of(run, stamp)
            spike_times = None if times is None else unaltered(run, times)
        simulated = simulated_by(run, stamp)
        neurons: Optional[OnCores] = None
        traffic: Optional[MeshTraffic] = None
        if mapping is not None and exporter.needs_mapping:
            traffic = mesh_traffic(graph_of_run, mapping)
        elif mapping is not None:
            neurons = on_cores(graph_of_run, mapping)
        request = Request(
            options,
            spike_times,
            progress,
            simulated,
            neurons,
            traffic,
        )
        if output is None:
            folder = run.path / EXPORTS / stamp
            for directory in (folder.parent, folder):
                refuse_link(directory)
                directory.mkdir(exist_ok=True)
            output = folder / f"{run.model}{exporter.suffix}"
        origin = {"stamp": stamp, "sha256": str(recorded_hash(run, stamp))}
        return export(
            graph_of_run, format, output, request, force=force, origin=origin, say=say
        )


def _refuse_rate_unit(graph: "SynapseGraph") -> None:
    """Raise `UsageError` if a graph has no rates, which a unit could be of."""
    if graph.recording is None:
        raise UsageError("--rate-unit: a graph of weights has no rates; omit it")
    if graph.assumed_spikes:
        raise UsageError(
            "--rate-unit: the spikes of the graph are assumed, so there are no rates; "
            "omit it"
        )


def simulated_by(run: RunDirectory, stamp: str) -> Optional["Simulated"]:
    """Return the properties of a graph's simulation that another simulator needs.

    Return None for a graph without a simulation in the run.
    """
    from snnb.formats.request import Simulated
    from snnb.simulation.statistics import ACCURACIES, SimulationStatistics

    simulation = simulation_of(run, stamp)
    record = None if simulation is None else recorded(run, simulate.STAGE, simulation)
    if record is None:
        return None
    params = record.params
    rate_hz: Optional[float] = None  # of a Poisson input
    if params.input == "poisson":
        folder = run.path / run.directory_of(simulate.STAGE.name, simulation)
        statistics = read_document(SimulationStatistics, folder / ACCURACIES)
        rate_hz = params.input_rate / statistics.dt_ms
    (samples,) = (file for file in record.inputs if file.path in SAMPLES)
    return Simulated(
        threshold=params.threshold,
        reset=params.reset,
        input=params.input,
        input_rate_hz=rate_hz,
        pixel_scale=recorded_details(run, prepare.STAGE).scale,
        samples_file=samples.path,
        samples_sha256=samples.sha256,
        first_sample=params.first,
        initial_potential=params.initial_potential,
        duration=params.duration,
        recorded_samples=params.record_spikes,
        seed=params.seed,
    )


def load_mapping(
    run: RunDirectory, stamp: str, graph: Optional[str] = None
) -> "Mapping":
    """Load a mapping of the run onto a chip with a mesh.

    Raise `UsageError` if it is missing, of another graph than `graph` (None: any), or
    onto a chip with a core for each layer; raise `UpstreamError` if it is stale.
    """
    from snnb.mapping.files import Mapping

    records = run.records_of(mapping_stage.STAGE.name)
    require_result(run, "--map", stamp, records)
    record = cast("mapping_stage.MapRecord", records[stamp])
    if graph not in (None, record.details.graph):
        raise UsageError(
            f"--map {stamp} is of graph {record.details.graph}; omit --graph {graph}"
        )
    if record.details.mesh is None:
        raise UsageError(
            f"--map {stamp}: each layer has one core of {record.details.hardware}, "
            "which has no mesh; give a mapping onto a chip with one"
        )
    stale = stale_reason(run, record, {})
    if stale is not None:
        options = recorded_options(run, mapping_stage.STAGE, record)
        options["graph"] = record.details.graph
        words = shlex.join(command_words(type(record.params), options))
        raise UpstreamError(
            f"mapping {stamp} is stale: {stale}; map again with `snnb map --run-dir "
            f"{shlex.quote(str(run.path))} {words}`"
        )
    return Mapping.open(run.path / run.directory_of(mapping_stage.STAGE.name, stamp))


def on_cores(graph: "SynapseGraph", mapping: "Mapping") -> "OnCores":
    """Return the neurons of a graph on the cores of an architecture of SANA-FE.

    The neurons that a mapping counts as active in every time step are updated in each,
    whatever their potential. Raise `UsageError` if a core has too many neurons.
    """
    import yaml

    from snnb.chips.sanafe_architecture import address_of, architecture_file
    from snnb.formats.request import OnCores
    from snnb.mapping.cost import active_neurons
    from snnb.mapping.traffic import MappableNetwork

    hardware = mapping.hardware
    most_neurons = int(mapping.per_core["neurons"].max(initial=0))
    if most_neurons > hardware.neurons_per_core:
        raise UsageError(
            f"mapping {mapping.name} is invalid: a core has {most_neurons:,} "
            f"neurons, and {hardware.name} takes {hardware.neurons_per_core:,}; give a valid "
            "mapping"
        )
    tile, core = address_of(mapping.place, hardware.mesh, hardware.tile or (1, 1))
    return OnCores(
        tile[mapping.core],
        core[mapping.core],
        active_neurons(MappableNetwork.of(graph)),
        yaml.safe_dump(architecture_file(hardware), sort_keys=False),
        {"stamp": mapping.name, "hardware": hardware.name},
    )


def mesh_traffic(graph: "SynapseGraph", mapping: "Mapping") -> "MeshTraffic":
    """Return the spikes per time step between the routers of a mapping.

    Spikes between cores of one router are left out.
    """
    import numpy as np

    from snnb.formats.request import MeshTraffic

    hardware = mapping.hardware
    elements = mapping.traffic.tocoo()
    router = hardware.router_of(mapping.place)
    ends = np.hstack([router[elements.row], router[elements.col]])
    uses_links = (ends[:, :2] != ends[:, 2:]).any(axis=1)
    pairs, pair = np.unique(ends[uses_links], axis=0, return_inverse=True)
    spikes = np.bincount(pair.ravel(), elements.data[uses_links], len(pairs))
    return MeshTraffic(
        pairs[:, :2],
        pairs[:, 2:],
        spikes / graph.interval,
        hardware.routers,
        None if mapping.cost.step is None else mapping.cost.step.step_ns,
        {"stamp": mapping.name, "hardware": hardware.name},
    )


def chosen_graph(
    run: RunDirectory, graph: Optional[str], say: Say, command: str
) -> str:
    """Return the stamp of the given graph, or of the current graph, which may be made.

    Print its name, and whether it is stale; messages begin with the name of the
    command. Raise `UsageError` or `UpstreamError` if there is no such graph.
    """
    stamp = graph if graph is not None else current_graph(run, say=say)
    if stamp is None:
        raise UpstreamError(
            f"{run.path} has no graph yet; `{graph_command(run)}` makes it"
        )
    records = run.records_of("graph")
    require_result(run, "--graph", stamp, records)
    message = f"{command}: graph {stamp}"
    if stamp == "weights":
        message += ", made of the weights only"
    other_stamps = [name for name in records if name != stamp]
    if other_stamps and graph is None:
        message += f"; there are also {', '.join(other_stamps)}: choose with --graph"
    say(message)
    directory = run.directory_of("graph", stamp)
    only = {stamp, simulation_of(run, stamp) or stamp}
    for state in state_of_stages(run, only):
        if state.name == directory and state.reason is not None:
            say(
                f"{command}: this graph is stale: {state.reason}; "
                f"`{graph_command(run)}` makes one of the present network"
            )
    return stamp


def refuse_files_of_runs(target: Path, run: RunDirectory) -> None:
    """Raise `UsageError` for a target in a run, or that is or contains `run`.

    Targets in the folder of exports of a run are allowed, but not the folder of `run`.
    """
    own_path = run.path.resolve()
    place = target.resolve()
    if target.name not in ("", ".."):  # a link is replaced, not its target
        place = target.parent.resolve() / target.name
    if place in (own_path, *own_path.parents, own_path / EXPORTS):
        raise UsageError(
            f"{target} is or contains the run {run.path}; give another path"
        )
    for directory in (place, *place.parents):
        parts_inside = place.parts[len(directory.parts) :]
        is_run = directory == own_path or _is_run(directory)
        if is_run and parts_inside[:1] != (EXPORTS,):
            raise UsageError(
                f"{target} is inside the run {directory}; give another path"
            )


def _is_run(directory: Path) -> bool:
    """Whether a directory is a run directory.

    Other programs have a manifest.yaml too, without a schema version.
    """
    if not (directory / manifest.NAME).is_file():
        return False
    with (directory / manifest.NAME).open("rb") as file:
        return b"schema_version" in file.read(4096)


def recorded_hash(run: RunDirectory, stamp: str) -> Optional[str]:
    """Return the recorded SHA-256 of a graph's file; None without the graph."""
    file = run.outputs().get(graph_file(run, stamp))
    return None if file is None else file.sha256


def stale_exports(run: RunDirectory) -> List[str]:
    """Return the paths of exports in the run whose graph is not what it was.

    It has changed, or does not exist any more.
    """
    stale_paths: List[str] = []
    for path, stamp, sha256 in _exports(run):
        if sha256 != recorded_hash(run, stamp):
            stale_paths.append(path)
    return stale_paths


def exports_of(run: RunDirectory, directories: Sequence[str]) -> List[str]:
    """Return the paths of exports in the run of the graphs in these directories."""
    paths: List[str] = []
    for path, stamp, _ in _exports(run):
        if run.directory_of("graph", stamp) in directories:
            paths.append(path)
    return paths


class _ExportOfRun(NamedTuple):
    """An export in a run, as its description states it."""

    path: str  # in the run
    stamp: str  # of the graph
    sha256: str  # of the graph's file


def _exports(run: RunDirectory) -> List[_ExportOfRun]:
    """Return the exports in the run that have a description, by path."""
    folder = run.path / EXPORTS
    folders_of_graphs = [place for place in folder.glob("*") if not place.is_symlink()]
    if folder.is_symlink() or not folders_of_graphs:
        return []
    from snnb.formats.description import DESCRIPTION, description_path, find_description

    paths: List[Path] = []
    for place in folders_of_graphs:
        paths += place.glob("*")
    exports: List[_ExportOfRun] = []
    for path in sorted(paths):
        if path.is_symlink():
            continue
        file = path / DESCRIPTION if path.is_dir() else description_path(path)
        description = find_description(file)
        if description is None or description.graph is None:
            continue
        origin = description.graph
        name = path.relative_to(run.path).as_posix()
        exports.append(_ExportOfRun(name, origin.stamp, origin.sha256))
    return exports
