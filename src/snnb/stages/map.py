"""Stage `map`: assign the neurons of a graph to cores of a chip, and compute the cost.

On a chip with a core for each layer, the layers of the graph's network are assigned.
"""

import os
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    ClassVar,
    List,
    Literal,
    Mapping,
    Optional,
    Tuple,
)

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from typing_extensions import Annotated

from snnb.chips.hardware import AnyHardware, Hardware, LayerHardware
from snnb.chips.read_hardware import (
    description_file,
    hardware_names,
    is_file,
    read_hardware,
)
from snnb.core.errors import InputError, UsageError
from snnb.core.options import AbsolutePath, Flag, Options, Seed
from snnb.core.progress import Progress, silent
from snnb.core.quantities import view
from snnb.mapping.quantities import MappingSummary
from snnb.plots.figure_format import FIGURES_DEFAULT, Figures
from snnb.rundir.directory import STAMP, RunDirectory, StageOutput
from snnb.rundir.external_files import external_records
from snnb.rundir.manifest import Record, StageRecord
from snnb.stages import graph, simulate
from snnb.stages.stage import (
    Given,
    PlannedRun,
    Stage,
    figure_format,
    option_value,
    recorded,
    require_result,
    resolve_params,
    unaltered,
    write_log,
)
from snnb.stages.train import is_spiking, shown_params

if TYPE_CHECKING:
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.layers.assignment import LayerAssignment
    from snnb.network.network import Network
    from snnb.network.spike_times import SpikeTimes

# Options without effect on a chip with a core for each layer
NO_EFFECT_ON_LAYERS = (
    "method",
    "objective",
    "partition",
    "placement",
    "allow_overfull",
    "split_overfull",
    "seed",
)
UNKNOWN = "busiest step: unknown; record spikes with `snnb simulate --record-spikes K`"


def _absolute_file(name: str) -> str:
    """Return the absolute path of a file, or the name of a description.

    The path is not resolved: the recorded path may be a symbolic link.
    """
    return os.path.abspath(name) if is_file(name) else name  # noqa: PTH100


NameOrFile = Annotated[str, AfterValidator(_absolute_file)]


GIVEN = "Given partition"  # panel of the help


class MapParams(Options):
    """Options of `snnb map`."""

    defaults_elsewhere: ClassVar[Mapping[str, str]] = {"figures": FIGURES_DEFAULT}

    hardware: Annotated[
        Optional[NameOrFile], Flag(metavar="NAME|FILE", complete=hardware_names)
    ] = Field(
        default=None,
        description=(
            "Hardware description: a name (`snnb hardware`), a YAML file, or a SANA-FE "
            "architecture."
        ),
    )
    unavailable: Annotated[Optional[AbsolutePath], Flag(metavar="FILE")] = Field(
        default=None,
        description=(
            "Cores that hold no neurons: `x y` per line; for a chip that takes layers, "
            "a core number."
        ),
    )
    method: Literal["auto", "sequential", "groups", "hypergraph"] = Field(
        default="auto",
        description="Partitioning method. auto: the best result of all methods.",
    )
    objective: Literal["spikes", "hops", "energy", "step"] = Field(
        default="spikes",
        description=(
            "Quantity to minimise: spikes between cores, mesh hops, energy, or time "
            "per step."
        ),
    )
    partition: Annotated[Optional[AbsolutePath], Flag(panel=GIVEN)] = Field(
        default=None,
        description=(
            "Partition to evaluate: one core number per neuron and line, or `name "
            "core` for named neurons."
        ),
    )
    placement: Annotated[Optional[AbsolutePath], Flag(panel=GIVEN)] = Field(
        default=None,
        description=(
            "Core positions for --partition: `x y` per line. Default: computed."
        ),
    )
    allow_overfull: Annotated[bool, Flag(panel=GIVEN)] = Field(
        default=False,
        description=(
            "Accept a --partition that exceeds core limits; the mapping is marked "
            "invalid."
        ),
    )
    split_overfull: Annotated[bool, Flag(panel=GIVEN)] = Field(
        default=False,
        description=(
            "Split the overfull cores of --partition; the other cores keep their "
            "numbers."
        ),
    )
    graph: Annotated[Optional[str], Flag(metavar="STAMP")] = Field(
        default=None,
        description=(
            "Stamp of the graph to map. Default: the graph of the current simulation."
        ),
    )
    seed: Seed = Field(default=0, description="Random seed.")
    figures: Figures = None

    @field_validator("split_overfull")
    @classmethod
    def _can_add_cores(cls, split_overfull: bool, others: ValidationInfo) -> bool:
        if split_overfull and others.data.get("allow_overfull"):
            raise ValueError("not with --allow-overfull; omit one of them")
        if split_overfull and others.data.get("placement") is not None:
            raise ValueError(
                "adds cores without positions in --placement; omit one of them"
            )
        return split_overfull


class MapDetails(MappingSummary, Record):
    """Recorded result of a mapping: graph, hardware, the chosen method, and the cost."""


SUMMARY = view(
    "cores",
    "chips",
    "connectivity",
    "spikes_with_input",
    "hops_unicast",
    "synaptic_operations",
    "energy_pj",
    "network_energy_pj",
    "step_ns",
    "link_load_peak",
    "core_events_peak",
    "sequential_connectivity",
    of=[MapDetails],
)
MapRecord = StageRecord[MapParams, MapDetails]


def _graphs_with_spikes(run: RunDirectory) -> List[str]:
    """Return the stamps of the graphs that can be mapped."""
    return [name for name in run.records_of(graph.STAGE.name) if name != graph.WEIGHTS]


def _hardware_of(params: MapParams) -> str:
    """Return the name or the file of the hardware; raise `UsageError` without one."""
    if params.hardware is None:
        raise UsageError(
            f"give --hardware, one of {', '.join(hardware_names())}, or a YAML file"
        )
    return params.hardware


def _read_hardware(params: MapParams) -> AnyHardware:
    """Read the description, without the cores that are unavailable."""
    hardware = read_hardware(_hardware_of(params))
    if params.unavailable is None:
        return hardware
    if not params.unavailable.exists():
        raise InputError(
            f"{params.unavailable}: no such file; list the unavailable cores, one per "
            "line"
        )
    from snnb.mapping.partition_files import without_cores

    return without_cores(hardware, params.unavailable)


def _parsed_file(run: RunDirectory, stamp: Optional[str]) -> str:
    """Return the path of the parsed network in the run.

    It is that of the simulation of the graph `stamp`, or without a stamp in `parse/`.
    """
    if stamp is None:
        return simulate.parsed_file(run, None)
    return simulate.parsed_file(run, graph.simulation_of(run, stamp))


def _assign_layers(
    run: RunDirectory, hardware: LayerHardware, stamp: Optional[str]
) -> "Tuple[Network, LayerAssignment]":
    """Return the network of a graph and the cores of its layers.

    For `stamp` see `_parsed_file`. If the layers do not fit, the assignment has the
    reason.
    """
    from snnb.mapping.layers.assignment import assign_layers
    from snnb.network.read_network import read_network

    network = read_network(unaltered(run, _parsed_file(run, stamp)))
    return network, assign_layers(network, hardware)


def _map_layers(
    run: RunDirectory,
    params: MapParams,
    hardware: LayerHardware,
    synapse_graph: "SynapseGraph",
    spike_times: Optional[Path],
    output: StageOutput,
    figures: str,
) -> List[str]:
    """Map the layers of a graph's network, and return the lines of the log.

    `cost.json`, the figure, the details and the warnings are the output. Raise
    `InputError` if the layers do not fit.
    """
    from snnb.io.figures import save
    from snnb.mapping.layers.map_layers import map_layers
    from snnb.network.read_network import read_network
    from snnb.plots.mapping import plot_layers

    stamp = str(params.graph)
    network = read_network(unaltered(run, _parsed_file(run, stamp)))
    mapping = map_layers(
        network,
        synapse_graph,
        hardware,
        spike_times=_read_spike_times(synapse_graph, spike_times),
        model=run.model,
        graph_name=stamp,
    )
    mapping.write(output.directory)
    cost = mapping.cost
    save(plot_layers(cost), output.directory / f"layers.{figures}")
    output.warnings = list(mapping.notes)
    output.details = MapDetails(**dict(cost.summary()))
    lines = mapping.log_lines()
    if cost.busiest_core is None:
        lines.append(UNKNOWN)
    return lines


def _read_spike_times(
    synapse_graph: "SynapseGraph", path: Optional[Path]
) -> "Optional[SpikeTimes]":
    """Read the recorded spikes of the populations that send spikes, if there are any."""
    from snnb.mapping.traffic import MappableNetwork
    from snnb.network.spike_times import read_spike_times

    if path is None:
        return None
    sources = MappableNetwork.of(synapse_graph).sources
    return read_spike_times(path, [population.name for population in sources])


def _map_neurons(
    run: RunDirectory,
    params: MapParams,
    hardware: Hardware,
    synapse_graph: "SynapseGraph",
    spike_times: Optional[Path],
    output: StageOutput,
    figures: str,
    progress: Progress,
) -> List[str]:
    """Map the neurons of a graph, and return the lines of the log.

    The files of the mapping, the figures, the details and the warnings are the output.
    """
    from snnb.io.figures import save
    from snnb.mapping.map_graph import GivenPartition, map_graph
    from snnb.plots.mapping import mapping_figures

    given = None
    if params.partition is not None:
        given = GivenPartition(
            params.partition,
            params.placement,
            params.allow_overfull,
            params.split_overfull,
        )
    is_imported = run.manifest.run.imported
    mapping = map_graph(
        synapse_graph,
        hardware,
        method=params.method,
        objective=params.objective,
        seed=params.seed,
        spike_times=_read_spike_times(synapse_graph, spike_times),
        given=given,
        converted=not is_imported and not is_spiking(run),
        model=run.model,
        graph_name=str(params.graph),
        progress=progress,
    ).write(output.directory)
    for name, plot in mapping_figures(mapping):
        save(plot, output.directory / f"{name}.{figures}")
    cost = mapping.cost
    notes = [graph.ASSUMED] if cost.assumed_spikes else []
    external = recorded(run, graph.STAGE, str(params.graph)) if is_imported else None
    if external is not None:
        notes += graph.rate_warnings(synapse_graph, external.params)
    notes += mapping.notes
    output.warnings = [*mapping.warnings, *notes]
    output.details = MapDetails(**dict(cost.summary()))
    lines = [*cost.log_lines(mapping.warnings), *notes]
    if cost.by_step is None and not is_imported:
        lines.append(UNKNOWN)
    return lines


def _find_same(run: RunDirectory, params: MapParams) -> Optional[str]:
    """Return the stamp of the latest mapping with the same parameters, or None."""
    mappings = run.records_of(STAGE.name)
    values = params.model_dump()
    for name in run.latest_first(STAGE.name):
        if mappings[name].params.model_dump() == values:
            return name
    return None


class MapStage(Stage[MapParams, MapDetails]):
    """Assign a graph to the cores of a chip, and compute the cost."""

    source = "graph"
    optional = True
    time_left = False
    adds_result = True

    def resolve(self, run: RunDirectory, options: Mapping[str, object]) -> MapParams:
        """Return the parameters, after reading the hardware description.

        The default of `graph` is the graph of the simulation in force, or the graph of
        an imported run.
        """
        params = resolve_params(STAGE, options)
        _read_hardware(params)
        if run.manifest.run.imported:
            default: Optional[str] = graph.IMPORTED
        else:
            default = simulate.in_force(run)
        stamp = str(params.graph or default)
        if stamp == graph.WEIGHTS:
            raise UsageError(
                "--graph weights has no spike counts, which a mapping needs; give the "
                "graph of a simulation"
            )
        require_result(run, "--graph", stamp, _graphs_with_spikes(run))
        return params.model_copy(update={"graph": stamp})

    def without_effect(self, run: RunDirectory, options: Given) -> Mapping[str, str]:
        """Return, by name, why options have no effect, given or not."""
        name = option_value(STAGE, options, "hardware")
        hardware = None if name is None else read_hardware(str(name))
        if isinstance(hardware, LayerHardware):
            return dict.fromkeys(
                NO_EFFECT_ON_LAYERS,
                f"no effect on {name}, where each layer has one core",
            )
        map_options = options.get(STAGE.name, {})
        if map_options.get("partition") is not None:
            return dict.fromkeys(
                ("method", "objective"),
                "selects among computed partitions; omit it with --partition",
            )
        reasons = dict.fromkeys(
            ("placement", "allow_overfull", "split_overfull"),
            "only with --partition",
        )
        objective = map_options.get("objective")
        if objective == "step" and hardware and hardware.time_ns is None:
            reasons["objective"] = (
                f"{hardware.name} has no time_ns in its description, which step "
                "requires; give another objective"
            )
        return reasons

    def check_options(self, run: RunDirectory, planned_run: PlannedRun) -> None:
        """Check the options and the files that they name before earlier stages run."""
        if STAGE.name not in planned_run.stages:
            return
        map_options = planned_run.options[STAGE.name]
        params = resolve_params(STAGE, map_options)
        hardware = _read_hardware(params)
        if isinstance(hardware, LayerHardware):
            if run.manifest.run.imported:
                raise UsageError(
                    f"--hardware {hardware.name}: takes layers, and {run.path} "
                    "contains an external graph and no network; give a chip with a "
                    "mesh"
                )
            return
        if params.method == "hypergraph" and params.partition is None:
            from snnb.mapping.partition import mtkahypar

            mtkahypar.require()
        for path in (params.partition, params.placement):
            if path is not None and not path.exists():
                raise InputError(
                    f"{path}: no such file; give the file that the other program has "
                    "written"
                )
        if params.graph == graph.WEIGHTS:
            self.resolve(run, map_options)

    def check_before(
        self, run: RunDirectory, next_stage: str, planned_run: PlannedRun
    ) -> None:
        """Refuse layers that do not fit on the cores, as soon as the network is parsed.

        A network that does not fit is not simulated.
        """
        if STAGE.name not in planned_run.stages:
            return
        if next_stage not in (simulate.STAGE.name, STAGE.name):
            return
        map_options = planned_run.options[STAGE.name]
        hardware = _read_hardware(resolve_params(STAGE, map_options))
        if not isinstance(hardware, LayerHardware):
            return
        from snnb.mapping.layers.assignment import text_table

        stamp: Optional[str] = None
        if next_stage == STAGE.name:
            stamp = self.resolve(run, map_options).graph
        _, assignment = _assign_layers(run, hardware, stamp)
        if assignment.reason is not None:
            table = text_table(assignment.rows())
            planned_run.say("\n".join([f"layers on {hardware.name}", *table]))
            raise InputError(assignment.reason)

    def announcement(self, run: RunDirectory, params: MapParams) -> str:
        """Return the name and the size of the graph, and the names of other graphs."""
        from snnb.graph.synapse_graph import SynapseGraph

        stamp = str(params.graph)
        path = run.path / graph.graph_file(run, stamp)
        with SynapseGraph.open(path, checked=True) as synapse_graph:
            recording = synapse_graph.recording
        assert recording is not None  # a mapping needs spikes
        size = (
            f"{recording.num_samples:,} samples of {recording.num_timesteps:,} time "
            "steps"
        )
        message = f"graph {stamp}, {size}"
        other_stamps = [name for name in _graphs_with_spikes(run) if name != stamp]
        if other_stamps:
            message += f"; others, for --graph: {', '.join(other_stamps)}"
        return message

    def execute(
        self,
        run: RunDirectory,
        params: MapParams,
        options: Mapping[str, object],
        progress: Progress = silent,
    ) -> str:
        """Map and write a directory in `maps/`; return its stamp.

        It takes the place of a mapping with the same parameters, if there is one. The
        default of the format of figures is that of this mapping, or of the latest one.
        """
        from snnb.graph.synapse_graph import SynapseGraph

        same_mapping = _find_same(run, params)
        stamp = same_mapping or run.new_stamp(STAGE.name)
        # Hashed before they are read: the mapping of a file that is changed meanwhile
        # is stale.
        files = (
            description_file(_hardware_of(params)),
            params.unavailable,
            params.partition,
            params.placement,
        )
        external = external_records(filter(None, files))
        hardware = _read_hardware(params)
        takes_layers = isinstance(hardware, LayerHardware)
        earlier_record = recorded(run, STAGE, same_mapping)
        subject = "layers" if takes_layers else "traffic"
        figures = figure_format(params.figures, earlier_record, subject)
        graph_name = str(params.graph)
        inputs = [graph.graph_file(run, graph_name)]
        times: Optional[Path] = None
        spike_times = graph.spike_times_of(run, graph_name)
        if spike_times is not None:
            inputs.append(spike_times)
            times = run.path / spike_times
        if takes_layers:
            inputs.append(_parsed_file(run, graph_name))
        graph_path = run.path / inputs[0]
        with run.stage(
            "map", params, options, inputs=inputs, name=stamp
        ) as output, SynapseGraph.open(graph_path, checked=True) as synapse_graph:
            output.external = external
            if isinstance(hardware, LayerHardware):
                lines = _map_layers(
                    run, params, hardware, synapse_graph, times, output, figures
                )
            else:
                lines = _map_neurons(
                    run,
                    params,
                    hardware,
                    synapse_graph,
                    times,
                    output,
                    figures,
                    progress,
                )
            log = output.directory / "log.txt"
            write_log(log, run, shown_params(run, params), lines, with_date=False)
        return stamp


STAGE = MapStage("map", "maps", MapParams, MapDetails, SUMMARY, names=STAMP)
