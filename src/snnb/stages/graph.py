"""Stage `graph`: write the synapse graph of the converted network and its spike counts."""

import os
import re
import shlex
from pathlib import Path, PurePosixPath
from typing import (
    TYPE_CHECKING,
    ClassVar,
    Dict,
    List,
    Literal,
    Mapping,
    Optional,
    Tuple,
)

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)
from typing_extensions import Annotated

from snnb.core.errors import UsageError
from snnb.core.options import AbsolutePath, Count, Flag, Options
from snnb.core.progress import Progress, silent
from snnb.core.quantities import view
from snnb.formats.export_options import ExportOptions, RateUnit
from snnb.instances.known_instances import find_instance, named_instance
from snnb.io.files import sha256_of
from snnb.io.text import read_document
from snnb.network.quantities import NEURONS, SYNAPSES
from snnb.rundir.directory import RunDirectory, StageOutput
from snnb.rundir.external_files import file_record
from snnb.rundir.manifest import Record
from snnb.stages import simulate
from snnb.stages.stage import (
    Given,
    PlannedRun,
    Stage,
    recorded,
    require_result,
    resolve_params,
    unaltered,
    write_log,
)
from snnb.stages.train import shown_params

if TYPE_CHECKING:
    from snnb.graph.listed import ListedGraph
    from snnb.graph.synapse_graph import SynapseGraph

FOREIGN = "External graph"  # panel of the help
WEIGHTS = "weights"  # name of the graph without spike counts
IMPORTED = "imported"  # name of an external graph
NOT_IN_NAMES = re.compile("[^a-z0-9_]")  # characters that names of models do not have
ASSUMED = "no spike counts: one spike per neuron is assumed"
SPIKE_OPTIONS = ("rates", "rate_samples", "rate_steps")  # of an external graph


def _absolute(path: Path) -> Path:
    """Return the absolute path of a file; the name of an instance is not changed."""
    return Path(os.path.abspath(path)) if named_instance(path) is None else path  # noqa: PTH100 - links stay


def _each(files: object) -> object:
    """Return one file as a tuple; several files are not changed."""
    return (files,) if isinstance(files, (str, Path)) else files


class GraphParams(Options):
    """Options of `snnb graph`."""

    simulation: Optional[str] = Field(
        default=None,
        description="Stamp or path of a simulation of this run. Default: the current one.",
    )
    weights_only: bool = Field(
        default=False,
        description="Use weights as edge values; requires no simulation.",
    )
    pool_weight: Literal["mean", "one"] = Field(
        default="mean",
        description=(
            "Weight of an average-pooling synapse: mean (1 / window size, as "
            "simulated), or one."
        ),
    )
    from_file: Annotated[
        Optional[Annotated[Path, AfterValidator(_absolute)]],
        Flag(name="--from", metavar="FILE", panel=FOREIGN),
    ] = Field(
        default=None,
        description=(
            "External graph that starts a run (no model): MODEL_graph.h5, "
            "instance:NAME (`snnb instances`), or a format of "
            "docs/external-graphs.md."
        ),
    )
    rates: Annotated[
        Optional[Annotated[Tuple[AbsolutePath, ...], BeforeValidator(_each)]],
        Flag(metavar="FILE[:POPULATION]", repeated=True, panel=FOREIGN),
    ] = Field(
        default=None,
        description=(
            "Spike counts per neuron, or a SONATA spike report; repeatable, counts are "
            "summed. Default: the counts in the graph file."
        ),
    )
    rate_samples: Annotated[Optional[Count], Flag(panel=FOREIGN)] = Field(
        default=None,
        description="Number of samples of these counts. Default: as the file states, or 1.",
    )
    rate_steps: Annotated[Optional[Count], Flag(panel=FOREIGN)] = Field(
        default=None,
        description="Time steps per sample. Default: as the file states, or 1.",
    )
    rate_unit: RateUnit = Field(
        default="step",
        description="Unit of rates in the networkx file.",
    )
    networkx_limit: int = Field(
        default=2_000_000,
        ge=0,
        le=2**63 - 1,
        description=(
            "Maximum number of nodes and edges together for which the networkx file is "
            "written."
        ),
    )

    @field_validator("weights_only")
    @classmethod
    def _needs_no_simulation(cls, weights_only: bool, others: ValidationInfo) -> bool:
        if weights_only and others.data.get("simulation") is not None:
            raise ValueError("uses no simulation; omit --simulation")
        return weights_only


class GraphDetails(Record):
    """Size of the graph, and whether the networkx file was written."""

    simulation: Optional[str]
    neurons: Annotated[int, NEURONS]
    nodes: int
    synapses: Annotated[int, SYNAPSES]
    networkx: bool


NAMES = rf"^([0-9]{{8}}T[0-9]{{6}}Z|{WEIGHTS}|{IMPORTED})$"
SUMMARY = view("neurons", "synapses", of=[GraphDetails])


def imported_name(path: Path) -> str:
    """Return the name of a run that begins with an external graph: the name of the file or of the instance."""
    instance = named_instance(path)
    stem = path.stem if instance is None else find_instance(instance).name
    return NOT_IN_NAMES.sub("_", re.sub("_graph$", "", stem.lower()))[:100] or "graph"


def file_of(source_path: Path) -> Path:
    """Return the file of an external graph, which may have the name of an instance."""
    instance = named_instance(source_path)
    return source_path if instance is None else find_instance(instance).path


def _refuse_other_graph(run: RunDirectory, path: Optional[Path]) -> None:
    """Raise `UsageError` if the run has a graph of another file; `path` is None for arrays."""
    record = recorded(run, STAGE, IMPORTED)
    if record is not None and record.params.from_file != path:
        made_of = record.params.from_file or "arrays"
        raise UsageError(
            f"{run.path} has the graph of {made_of}; give another --run-dir, or "
            "--force to replace it",
        )


def _stamp_of(run: RunDirectory, simulation: Optional[str]) -> Optional[str]:
    """Return the stamp of a simulation that is named by its stamp or by its path."""
    if simulation is None:
        return None
    path = Path(simulation)
    folder = (run.path / simulate.STAGE.directory).resolve()
    is_path = path.name != simulation and path.resolve().parent == folder
    return path.name if is_path else simulation


def graph_command(run: RunDirectory) -> str:
    """Return the command that makes the graph of a run."""
    from_file = "--from FILE " if run.manifest.run.imported else ""
    return f"snnb graph {from_file}--run-dir {shlex.quote(str(run.path))}"


def simulation_of(run: RunDirectory, name: str) -> Optional[str]:
    """Return the stamp of the simulation of a graph; None for `weights`."""
    record = recorded(run, STAGE, name)
    return None if record is None else record.details.simulation


def graph_file(run: RunDirectory, name: str) -> str:
    """Return the path in the run of a graph's file."""
    return f"{run.directory_of(STAGE.name, name)}/{run.graph_name}"


def spike_times_of(run: RunDirectory, name: str) -> Optional[str]:
    """Return the path of the spike times of a graph's simulation, or of an external graph; None without them."""
    from snnb.network.spike_times import SPIKE_TIMES

    simulation = simulation_of(run, name)
    kind, source = (STAGE, name) if simulation is None else (simulate.STAGE, simulation)
    record = run.record_of(kind.name, source)
    files = [] if record is None else [file.path for file in record.outputs]
    return next(
        (path for path in files if PurePosixPath(path).name == SPIKE_TIMES),
        None,
    )


def _import(
    run: RunDirectory,
    params: GraphParams,
    options: Mapping[str, object],
    progress: Progress,
) -> str:
    """Read an external graph; mappings of the previous graph become stale."""
    from snnb.formats.import_graph import import_graph

    path = params.from_file
    if path is None:
        raise UsageError(
            f"{run.path} holds a graph that was made of arrays; recreate it with "
            "Run.from_graph",
        )
    # With --force, the previous graph may be from another file
    run.rename(imported_name(path))
    with run.stage("graph", params, options, inputs=[], name=IMPORTED) as output:
        imported_graph = import_graph(
            file_of(path),
            output.directory / run.graph_name,
            rates=params.rates or (),
            samples=params.rate_samples,
            steps=params.rate_steps,
            progress=progress,
        )
        output.external = [
            file_record(path, sha256)
            for path, sha256 in sorted(imported_graph.hashes.items())
        ]
        if (
            imported_graph.graph.assumed_spikes
            and params.rate_unit != GraphParams.model_fields["rate_unit"].default
        ):
            raise UsageError(
                "--rate-unit: there are no spikes, so there are no rates; give "
                "--rates, or omit it",
            )
        output.warnings = list(imported_graph.notes)
        _finish(run, params, output, imported_graph.graph)
    return IMPORTED


def import_arrays(
    run: RunDirectory,
    listed_graph: "ListedGraph",
    sha256: str,
    params: GraphParams,
    *,
    force: bool = False,
) -> None:
    """Write a graph that was made of arrays, whose SHA-256 is `sha256`; `force` replaces a graph of a file."""
    from snnb.formats.import_graph import DT_MS, refuse_without_spikes
    from snnb.graph.listed import merged_note, write_listed
    from snnb.network.spike_counts import Recording

    if not force:
        _refuse_other_graph(run, None)
    if all(population.spikes is None for population in listed_graph.populations):
        refuse_without_spikes(params.rate_samples, params.rate_steps)
    recording = Recording(params.rate_samples or 1, params.rate_steps or 1, 0, DT_MS)
    options = {name: getattr(params, name) for name in ("rate_samples", "rate_steps")}
    options = {name: value for name, value in options.items() if value is not None}
    if force:
        run.rename(imported_name(run.path))  # the previous graph may be from a file
    with run.stage(STAGE.name, params, options, inputs=[], name=IMPORTED) as output:
        graph = write_listed(
            listed_graph,
            output.directory / run.graph_name,
            recording,
            sha256,
        )
        edges = sum(source.size for source, *_ in listed_graph.edges)
        output.warnings = [
            *listed_graph.notes,
            *merged_note(edges, graph.number_of_edges()),
        ]
        _finish(run, params, output, graph)


def rate_warnings(graph: "SynapseGraph", params: GraphParams) -> List[str]:
    """Return a warning if neurons of an external graph have more than one spike per time step."""
    from snnb.formats.import_graph import rate_notes

    return rate_notes(
        graph,
        params.from_file,
        rates=params.rates or (),
        samples=params.rate_samples,
        steps=params.rate_steps,
    )


def _finish(
    run: RunDirectory,
    params: GraphParams,
    output: StageOutput,
    graph: "SynapseGraph",
) -> None:
    """Write the log, and the networkx file of a small graph; record the figures."""
    from snnb.formats.request import Request
    from snnb.formats.write_export import export
    from snnb.graph.synapse_graph import log_lines

    edges, neurons = graph.number_of_edges(), graph.number_of_neurons()
    size = graph.number_of_nodes() + edges
    if size <= params.networkx_limit:
        export(
            graph,
            "networkx",
            output.directory / "graph",
            Request(ExportOptions(rate_unit=params.rate_unit)),
        )
    else:
        output.warnings.append(
            f"networkx file not written: {size:,} nodes and edges are more than "
            f"--networkx-limit {params.networkx_limit:,}; open {run.graph_name} with "
            "snnb.SynapseGraph, or use snnb export",
        )
    if params.pool_weight == "one" and not graph.has_average_pooling:
        output.warnings.append(
            "--pool-weight one has no effect: the network has no average pooling",
        )
    if graph.assumed_spikes:
        output.warnings.append(ASSUMED)
    if run.manifest.run.imported:
        output.warnings += rate_warnings(graph, params)
    write_log(
        output.directory / "log.txt",
        run,
        shown_params(run, params),
        [*log_lines(graph), *output.warnings],
    )
    output.details = GraphDetails(
        simulation=params.simulation,
        neurons=neurons,
        nodes=graph.number_of_nodes(),
        synapses=edges,
        networkx=size <= params.networkx_limit,
    )


class GraphStage(Stage[GraphParams, GraphDetails]):
    """Write the synapse graph of the converted network and its spike counts."""

    prerequisite_by_option: ClassVar[Mapping[str, str]] = {"weights_only": "parse"}
    source = "simulation"

    def resolve(self, run: RunDirectory, options: Mapping[str, object]) -> GraphParams:
        """Return the parameters; the default of `simulation` is the simulation in force."""
        params = resolve_params(STAGE, options, self.defaults(run, options))
        if run.manifest.run.imported:
            if params.from_file is None and recorded(run, STAGE) is None:
                raise UsageError(
                    f"{run.path} starts from an external graph; give it with --from "
                    "FILE",
                )
            return params
        if params.weights_only:
            return params
        stamp = _stamp_of(run, params.simulation) or simulate.in_force(run)
        records = run.records_of(simulate.STAGE.name)
        require_result(run, "--simulation", stamp, records)
        return params.model_copy(update={"simulation": stamp})

    def results_to_keep(
        self, run: RunDirectory, options: Mapping[str, object]
    ) -> List[Optional[str]]:
        """Return the graph of the simulation that the options name, or of the current one."""
        if run.manifest.run.imported:
            name: Optional[str] = IMPORTED
        elif options.get("weights_only"):
            name = WEIGHTS
        else:
            simulation = options.get("simulation")
            stamp = None if simulation is None else _stamp_of(run, str(simulation))
            name = stamp or simulate.in_force(run)
        return [name] if name in run.records_of(STAGE.name) else []

    def defaults(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Return the recorded file of an external graph, which is that of the run."""
        record = recorded(run, STAGE) if run.manifest.run.imported else None
        return {} if record is None else {"from_file": record.params.from_file}

    def without_effect(self, run: RunDirectory, options: Given) -> Mapping[str, str]:
        """Return, by name, why options have no effect with the options of all stages."""
        if run.manifest.run.imported:
            return dict.fromkeys(
                ("simulation", "weights_only", "pool_weight"),
                "only for the graph of a network; omit it with an external graph",
            )
        reasons = dict.fromkeys(SPIKE_OPTIONS, "only with --from")
        if options.get(STAGE.name, {}).get("weights_only"):
            reasons["rate_unit"] = "a graph of weights has no rates; omit it"
        return reasons

    def check_options(self, run: RunDirectory, planned_run: PlannedRun) -> None:
        """Refuse another external graph before anything runs."""
        path = planned_run.options[STAGE.name].get("from_file")
        if isinstance(path, Path) and not planned_run.force:
            _refuse_other_graph(run, path)

    def execute(
        self,
        run: RunDirectory,
        params: GraphParams,
        options: Mapping[str, object],
        progress: Progress = silent,
    ) -> str:
        """Build the graph and write a directory in `graphs/`."""
        from snnb.graph.build import Provenance, build_graph
        from snnb.network.read_network import read_network
        from snnb.network.spike_counts import SUMS, SpikeCounts
        from snnb.simulation.statistics import ACCURACIES, SimulationStatistics

        if run.manifest.run.imported:
            return _import(run, params, options, progress)
        name = params.simulation or WEIGHTS
        counts_path: Optional[Path] = None
        coding: Dict[str, str] = {}
        if params.simulation is None:
            inputs = [simulate.parsed_file(run)]
        else:
            names = run.parsed_name, SUMS, ACCURACIES
            inputs = [
                f"{simulate.STAGE.directory}/{params.simulation}/{file}"
                for file in names
            ]
            _, counts_path, accuracies = (unaltered(run, path) for path in inputs)
            coding = read_document(SimulationStatistics, accuracies).coding
        parsed_path = run.path / inputs[0]
        with run.stage("graph", params, options, inputs=inputs, name=name) as output:
            network = read_network(parsed_path)
            provenance = Provenance(sha256_of(parsed_path))
            counts = None
            if counts_path is not None:
                provenance = provenance._replace(counts_sha256=sha256_of(counts_path))
                counts = SpikeCounts.read(counts_path, network.volume_names, coding)
            graph = build_graph(
                network,
                counts,
                pool_weight=params.pool_weight,
                path=output.directory / run.graph_name,
                provenance=provenance,
                progress=progress,
            )
            _finish(run, params, output, graph)
        return name


STAGE = GraphStage("graph", "graphs", GraphParams, GraphDetails, SUMMARY, names=NAMES)
