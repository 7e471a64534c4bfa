"""Stage `map`: assign the neurons of a graph to the cores of a chip, and compute the cost of the traffic."""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Literal, Mapping, Optional

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from typing_extensions import Annotated

from snnb.chips.hardware import AnyHardware, Hardware, LayerHardware
from snnb.chips.read_hardware import description_file, hardware_names, is_file, read_hardware
from snnb.core.errors import InputError, UsageError
from snnb.core.options import AbsolutePath, Figures, Flag, Options, Seed
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.rundir.directory import STAMP, RunDirectory, StageOutput
from snnb.rundir.manifest import FileRecord, Kind, Record, StageRecord, external_records
from snnb.stages import graph, map_layers, simulate
from snnb.stages.stage import (
    Given,
    PlannedRun,
    Stage,
    effective_params,
    effective_value,
    figure_format,
    recorded,
    write_log,
)
from snnb.stages.train import is_spiking, shown_params

if TYPE_CHECKING:
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.files import MappingCost
    from snnb.mapping.map_network import MappedNetwork

UNKNOWN = "busiest step: unknown; record spikes with `snnb simulate --record-spikes K`"


# Not resolved: the recorded path may be a symbolic link
NameOrFile = Annotated[str, AfterValidator(lambda name: os.path.abspath(name) if is_file(name) else name)]  # noqa: PTH100


GIVEN = "Given partition"  # panel of the help


class MapParams(Options):
    """Options of `snnb map`."""

    hardware: Annotated[Optional[NameOrFile], Flag(metavar="NAME|FILE", complete=hardware_names)] = Field(
        default=None,
        description="Hardware description: a name (`snnb hardware`), a YAML file, or a SANA-FE architecture.",
    )
    method: Literal["auto", "sequential", "groups", "hypergraph"] = Field(
        default="auto", description="Partitioning method. auto: the best result of all methods."
    )
    objective: Literal["spikes", "hops", "energy", "step"] = Field(
        default="spikes",
        description="Quantity to minimise: spikes between cores, mesh hops, energy, or time per step.",
    )
    partition: Annotated[Optional[AbsolutePath], Flag(inherited=False, panel=GIVEN)] = Field(
        default=None,
        description="Partition to evaluate: one core number per neuron and line, or `name core` for named neurons.",
    )
    placement: Annotated[Optional[AbsolutePath], Flag(inherited=False, panel=GIVEN)] = Field(
        default=None,
        description="Core positions for --partition: `x y` per line. Default: computed.",
    )
    allow_overfull: Annotated[bool, Flag(inherited=False, panel=GIVEN)] = Field(
        default=False, description="Accept a --partition that exceeds core limits; the mapping is marked invalid."
    )
    split_overfull: Annotated[bool, Flag(inherited=False, panel=GIVEN)] = Field(
        default=False,
        description="Split the overfull cores of --partition; the other cores keep their numbers.",
    )
    graph: Annotated[Optional[str], Flag(metavar="STAMP", inherited=False)] = Field(
        default=None, description="Stamp of the graph to map. Default: the graph of the current simulation."
    )
    seed: Seed = Field(default=0, description="Random seed.")
    figures: Figures = None

    @field_validator("split_overfull")
    @classmethod
    def _can_add_cores(cls, split_overfull: bool, others: ValidationInfo) -> bool:
        if split_overfull and others.data.get("allow_overfull"):
            raise ValueError("not with --allow-overfull; omit one of them")
        if split_overfull and others.data.get("placement") is not None:
            raise ValueError("adds cores without positions in --placement; omit one of them")
        return split_overfull


class MapDetails(Record):
    """Recorded result of a mapping: graph, hardware, the method chosen, and sizes."""

    graph: str
    hardware: str
    mesh: Optional[List[int]]  # None: the cores take whole layers
    method: str
    neurons: int
    cores: int
    overfull_cores: int
    energy_of: Optional[Literal["events", "network"]]  # see `Hardware.energy_of`; None, as the mesh, of whole layers

    @classmethod
    def of(cls, cost: "MappingCost") -> "MapDetails":
        """Return the details of a mapping with this cost."""
        return cls(
            graph=cost.graph,
            hardware=cost.hardware.name,
            mesh=list(cost.hardware.mesh),
            method=cost.method,
            neurons=cost.neurons,
            cores=cost.cores,
            overfull_cores=len(cost.overfull_cores),
            energy_of=cost.hardware.energy_of,
        )


KIND = Kind("map", "maps", MapParams, MapDetails, names=STAMP)
MapRecord = StageRecord[MapParams, MapDetails]


def _resolve(run: RunDirectory, given: Mapping[str, object], say: Say = say_nothing) -> MapParams:
    """Return the effective parameters; by default the graph is that of the current simulation."""
    params = effective_params(run, KIND, given, say)
    hardware = read_hardware(_hardware_of(params))
    unknown = params.objective == "step" and isinstance(hardware, Hardware) and hardware.time_ns is None
    if unknown and "objective" not in given and params.partition is None:
        params = params.changed(objective="spikes")
        say(f"--objective step was recorded, but {hardware.name} has no time_ns; spikes is used")
    known = [stamp for stamp in run.records_of(graph.KIND.name) if stamp != graph.WEIGHTS]
    stamp = params.graph or run.current((graph if run.manifest.run.imported else simulate).KIND.name)
    if stamp == graph.WEIGHTS:
        raise UsageError("--graph weights has no spike counts, which a mapping needs; give the graph of a simulation")
    if stamp not in known:
        raise UsageError(f"--graph {stamp}: not in {run.path}; there are: {', '.join(known) or 'none yet'}")
    if say is not say_nothing:
        others = ", ".join(name for name in known if name != stamp)
        say(_graph_in_words(run, stamp) + (f"; others, for --graph: {others}" if others else ""))
    return params.model_copy(update={"graph": stamp})


def _graph_in_words(run: RunDirectory, stamp: str) -> str:
    """Return stamp, samples and time steps of a graph as text."""
    from snnb.graph.synapse_graph import SynapseGraph

    with SynapseGraph.open(run.path / graph.graph_file(run, stamp), checked=True) as opened:
        recording = opened.recording
    assert recording is not None  # a mapping needs spikes
    return f"graph {stamp}, {recording.num_samples:,} samples of {recording.num_timesteps:,} time steps"


def _hardware_of(params: MapParams) -> str:
    if params.hardware is None:
        raise UsageError(f"give --hardware, one of {', '.join(hardware_names())}, or a YAML file")
    return params.hardware


def _check(run: RunDirectory, planned: PlannedRun) -> None:
    """Check the options and the files that they name before earlier stages run."""
    if planned.next not in (None, simulate.KIND.name, KIND.name) or KIND.name not in planned.stages:
        return
    given = planned.given.get(KIND.name, {})
    params = effective_params(run, KIND, given)
    hardware = read_hardware(_hardware_of(params))
    if isinstance(hardware, LayerHardware):
        map_layers.check_network(run, hardware)
        if planned.next is not None:  # the network exists; if it does not fit, it is not simulated
            stamp = _resolve(run, given).graph if planned.next == KIND.name else None
            map_layers.check_fit(run, hardware, stamp, planned.say)
        return
    if planned.next is not None:
        return
    if given.get("objective") == "step" and hardware.time_ns is None:
        raise InputError(
            f"{hardware.name}: the description has no time_ns, which --objective step requires; give another objective"
        )
    if params.method == "hypergraph" and params.partition is None:
        from snnb.mapping.partition import mtkahypar

        mtkahypar.require()
    for path in (params.partition, params.placement):
        if path is not None and not path.exists():
            raise InputError(f"{path}: no such file; give the file that the other program has written")
    if params.graph == graph.WEIGHTS:
        _resolve(run, given)


def _without_effect(run: RunDirectory, given: Given) -> Mapping[str, str]:
    options, description = given.get(KIND.name, {}), effective_value(run, KIND, given, "hardware")
    if description is not None and isinstance(read_hardware(str(description)), LayerHardware):
        return dict.fromkeys(map_layers.NO_EFFECT, f"no effect on {description}, where each layer has one core")
    if options.get("partition") is None:
        reasons = dict.fromkeys(("placement", "allow_overfull", "split_overfull"), "only with --partition")
        method = effective_value(run, KIND, given, "method")
        if options.get("objective") in ("energy", "step") and method == "sequential":
            reasons["objective"] = "--method sequential has a single mapping; give --method auto, or omit it"
        return reasons
    return dict.fromkeys(("method", "objective"), "selects among computed partitions; omit it with --partition")


def execute(run: RunDirectory, params: MapParams, progress: Progress = silent) -> str:
    """Map and write a directory in `maps/`: that of the mapping with the same parameters, or a new one."""
    from snnb.graph.synapse_graph import SynapseGraph

    began = time.monotonic()
    mappings, values = run.records_of(KIND.name), params.model_dump()
    same = next((name for name in run.by_precedence(KIND.name) if mappings[name].params.model_dump() == values), None)
    stamp = same or run.new_stamp(KIND.name)
    inputs = _read_inputs(run, params)
    of_layers = isinstance(inputs.hardware, LayerHardware)
    figures = figure_format(params.figures, recorded(run, KIND, same), "layers" if of_layers else "traffic")
    with run.stage("map", params, inputs=inputs.paths, name=stamp) as output:
        output.external = inputs.external
        if isinstance(inputs.hardware, LayerHardware):
            _map_layers(run, params, inputs, output, figures)
            return stamp
        with SynapseGraph.open(run.path / inputs.graph, checked=True) as opened:
            mapped = _map(opened, params, inputs.hardware, progress)
            cost = _cost(run, params, mapped, inputs.spike_times, progress, began)
            _write(run, params, mapped, cost, inputs.spike_times, output, figures)
    return stamp


@dataclass(frozen=True)
class _Inputs:
    hardware: AnyHardware
    external: List[FileRecord]  # files outside the run
    graph: str  # path relative to the run
    spike_times: Optional[str]  # likewise
    parsed: Optional[str] = None  # likewise, of a mapping of layers

    @property
    def paths(self) -> List[str]:
        """The files of the run."""
        return [path for path in (self.graph, self.spike_times, self.parsed) if path is not None]


def _read_inputs(run: RunDirectory, params: MapParams) -> _Inputs:
    description = _hardware_of(params)
    # Hashed before they are read: the mapping of a file that is changed meanwhile is stale.
    external = external_records(filter(None, (description_file(description), params.partition, params.placement)))
    name = str(params.graph)
    hardware = read_hardware(description)
    parsed = map_layers.parsed_file(run, name) if isinstance(hardware, LayerHardware) else None
    return _Inputs(hardware, external, graph.graph_file(run, name), graph.spike_times_of(run, name), parsed)


def _map_layers(run: RunDirectory, params: MapParams, inputs: _Inputs, output: StageOutput, figures: str) -> None:
    assert isinstance(inputs.hardware, LayerHardware)
    stamp = str(params.graph)
    cost, lines = map_layers.write_layers(run, stamp, inputs.hardware, inputs.spike_times, output, figures)
    notes = [UNKNOWN] if cost.busiest_core is None else []
    write_log(output.directory / "log.txt", run, shown_params(run, params), [*lines, *notes], dated=False)
    output.details = MapDetails(
        graph=stamp,
        hardware=cost.hardware.name,
        mesh=None,
        method="layers",
        neurons=cost.neurons,
        cores=cost.cores,
        overfull_cores=0,
        energy_of=None,
    )


def _map(opened: "SynapseGraph", params: MapParams, hardware: Hardware, progress: Progress) -> "MappedNetwork":
    from snnb.mapping.map_network import cost_partition, map_network
    from snnb.mapping.traffic import MappableNetwork

    network, seed = MappableNetwork.of(opened), params.seed
    if params.partition is None:
        method, objective = params.method, params.objective
        return map_network(network, hardware, method=method, objective=objective, seed=seed, progress=progress)
    return cost_partition(
        network,
        hardware,
        params.partition,
        params.placement,
        allow_overfull=params.allow_overfull,
        split_overfull=params.split_overfull,
        seed=seed,
        progress=progress,
    )


def _cost(
    run: RunDirectory,
    params: MapParams,
    mapped: "MappedNetwork",
    spike_times: Optional[str],
    progress: Progress,
    began: float,
) -> "MappingCost":
    from snnb.mapping.files import MappingCost
    from snnb.mapping.time_costs import recorded_steps, step_loads

    loads, steps, delayed = None, None, bool(run.manifest.run.imported)
    if spike_times is not None:
        loads = step_loads(mapped, run.path / spike_times, progress, delayed=delayed)
        if mapped.hardware.counts_events:
            steps = recorded_steps(mapped, run.path / spike_times, progress, delayed=delayed)
    return MappingCost.of(
        mapped,
        model=run.model,
        graph=str(params.graph),
        objective=params.objective if params.partition is None else "spikes",
        seed=params.seed,
        by_step=loads,
        recorded=steps,
        seconds=round(time.monotonic() - began, 3),
    )


def _write(
    run: RunDirectory,
    params: MapParams,
    mapped: "MappedNetwork",
    cost: "MappingCost",
    spike_times: Optional[str],
    output: StageOutput,
    figures: str,
) -> None:
    from snnb.mapping.files import write_mapping
    from snnb.mapping.plots import plot_all
    from snnb.mapping.time_costs import recorded_messages

    messages = None
    if spike_times is not None:
        messages = recorded_messages(mapped, run.path / spike_times, delayed=bool(run.manifest.run.imported))
    plot_all(write_mapping(output.directory, mapped, cost, messages), figures)
    assumed = [graph.ASSUMED] if cost.assumed_spikes else []
    external = recorded(run, graph.KIND, cost.graph) if run.manifest.run.imported else None
    if external is not None:
        assumed += graph.rate_warnings(mapped.network.graph, external.params)
    further = [
        *map_layers.current_notes(mapped.network.graph),
        *_weight_note(run, mapped.network.graph, mapped.hardware),
    ]
    notes = [UNKNOWN] if cost.by_step is None and not run.manifest.run.imported else []
    lines = [*cost.log_lines(mapped.warnings), *assumed, *further, *notes]
    write_log(output.directory / "log.txt", run, shown_params(run, params), lines, dated=False)
    output.metrics = cost.metrics()
    output.warnings = [*mapped.warnings, *assumed, *further]
    output.details = MapDetails.of(cost)


def _weight_note(run: RunDirectory, network: "SynapseGraph", hardware: Hardware) -> List[str]:
    """Return a note if weights are floating-point numbers, and the synapses of the chip have a number of bits."""
    if hardware.synapse_memory is None or "weight_bits" in network.attributes:
        return []
    if not any((batch.weight % 1).any() for p in network.projections for batch in p.edge_batches()):
        return []
    bits = hardware.synapse_memory.weight_bits
    remedy = "" if run.manifest.run.imported or is_spiking(run) else f": `parse --weight-bits {bits}` rounds them"
    return [f"weights are floating-point numbers, and a synapse of {hardware.name} has {bits} bits{remedy}"]


STAGE = Stage(
    KIND,
    _resolve,
    execute,
    source="graph",
    check=_check,
    without_effect=_without_effect,
    optional=True,
    time_left=False,
)
