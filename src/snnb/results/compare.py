"""Comparison of simulations of one or several runs: differing parameters, figures and mappings."""

import json
import shlex
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union, cast

import numpy as np
from typing_extensions import Annotated

from snnb.architectures import find
from snnb.chips.read_hardware import is_file, label_of_chip
from snnb.core.errors import UsageError
from snnb.core.quantities import Columns, Key, Value, columns, values, view
from snnb.io.npy import load_archive
from snnb.io.text import Document, JsonValue, read_document
from snnb.network.fidelity import Fidelity
from snnb.network.quantities import LATENCY, NEURONS, SYNAPSES
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.simulation.statistics import ACCURACIES, SimulationStatistics
from snnb.simulation.summary import (
    ADDITIONS,
    MEAN_RATE,
    SAMPLES,
    STEPS,
    SimulationSummary,
)
from snnb.stages import map as mapping
from snnb.stages import parse, simulate
from snnb.stages.graph import graph_command, graph_file
from snnb.stages.open_run import open_run
from snnb.stages.parse import ParseParams
from snnb.stages.simulate import SimulateParams, SimulationRecord
from snnb.stages.stage import unaltered
from snnb.stages.train import TrainParams, inapplicable, shown_params

ByStage = Mapping[str, Mapping[str, JsonValue]]  # recorded parameters by stage


@dataclass(frozen=True)
class Simulation:
    """A simulation of a run, with the parameters of simulation and network that are not equal in all simulations."""

    stamp: str
    record: SimulationRecord
    differs: Dict[str, JsonValue]


SIMULATIONS = view(
    "num_samples",
    "quoted_accuracy",
    "snn_mean_squared_error",
    of=[SimulationSummary],
)


def simulation_table(simulations: Sequence[Simulation]) -> Columns:
    """Return a table of simulations: stamp, label, quantities, and the parameters in which they differ."""
    summaries = [simulation.record.details.summary for simulation in simulations]
    head, cells = columns(summaries, SIMULATIONS)
    table = [
        [
            simulation.stamp,
            simulation.record.details.label or "",
            *row,
            in_words(simulation.differs),
        ]
        for simulation, row in zip(simulations, cells)
    ]
    return Columns(["simulation", "label", *head, "differs in"], table)


def simulations_of(run: RunDirectory) -> List[Simulation]:
    """Return all simulations of a run, oldest first."""
    records = cast("Dict[str, SimulationRecord]", run.records_of(simulate.STAGE.name))
    different = differing([parameters_of(run, record) for record in records.values()])
    return [
        Simulation(stamp, record, differs)
        for (stamp, record), differs in zip(records.items(), different)
    ]


def parameters_of(run: RunDirectory, record: SimulationRecord) -> ByStage:
    """Return the recorded parameters of a simulation and of the stages before it, by stage."""
    parameters = {
        "train": record.details.training,
        "parse": record.details.conversion,
        "simulate": record.params,
    }
    return {
        stage: shown_params(run, params)
        if stage == "train"
        else params.model_dump(mode="json")
        for stage, params in parameters.items()
    }


def default_parameters(run: RunDirectory) -> ByStage:
    """Return the defaults of the parameters, by stage, without the recipe of a model in a file."""
    info = run.manifest.run
    own_spec = find(info.model) if info.model_source is None else None
    recipe = (
        {}
        if own_spec is None
        else {**own_spec.recipe.model_dump(), "settings": dict(own_spec.settings)}
    )
    return {
        "train": shown_params(run, TrainParams(**recipe)),
        "parse": ParseParams.model_validate(parse.STAGE.defaults(run, {})).model_dump(
            mode="json"
        ),
        "simulate": SimulateParams.model_validate(
            simulate.STAGE.defaults(run, {})
        ).model_dump(mode="json"),
    }


def differing(results: Sequence[ByStage]) -> List[Dict[str, JsonValue]]:
    """Return the parameters of each result that are not equal in all results.

    They are in the order of the stages. Keys are parameter names, preceded by the stage
    where several stages have a parameter of that name (`train seed`); a setting of the
    model is `settings dropout`.
    """
    flat_results = [_flatten(result) for result in results]
    keys = list(dict.fromkeys(chain.from_iterable(flat_results)))
    names = [name for _, name in keys]
    titles = {}  # of the keys of parameters that differ
    for stage, name in keys:
        values = set()
        is_missing = False
        for parameters, result in zip(flat_results, results):
            if (stage, name) in parameters:
                values.add(json.dumps(parameters[stage, name]))
            elif stage in result:
                is_missing = True
        if len(values) > 1 or is_missing:
            is_unique = names.count(name) == 1
            titles[stage, name] = name if is_unique else f"{stage} {name}"
    differences: List[Dict[str, JsonValue]] = []
    for parameters in flat_results:
        differences.append({})
        for key, title in titles.items():
            if key in parameters:
                differences[-1][title] = parameters[key]
    return differences


def _flatten(result: ByStage) -> Dict[Tuple[str, str], JsonValue]:
    """Return parameters by stage and name; settings of a model have a key each."""
    flat: Dict[Tuple[str, str], JsonValue] = {}
    for stage, parameters in result.items():
        for name, value in parameters.items():
            if isinstance(value, dict):
                for key, setting in value.items():
                    flat[stage, f"{name} {key}"] = setting
            else:
                flat[stage, name] = value
    return flat


def in_words(parameters: Mapping[str, JsonValue]) -> str:
    """Return parameters as one line: `percentile 99, duration 50`."""
    return ", ".join(
        f"{name} {value_in_words(value)}" for name, value in parameters.items()
    )


def value_in_words(value: JsonValue) -> str:
    """Return the value of a parameter as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return (
        ",".join(map(value_in_words, value)) if isinstance(value, list) else str(value)
    )


class MappingSummary(Document):
    """A mapping, and what its record states."""

    stamp: str
    hardware_file: Optional[str]  # path of the description; None for one of the package
    details: mapping.MapDetails

    @property
    def chip(self) -> str:
        """Name of the chip, and of the file of its description."""
        return label_of_chip(self.details.hardware, self.hardware_file or "")


MAPPINGS = view(
    "cores",
    "connectivity",
    "connectivity_ratio",
    "energy_pj",
    "network_energy_pj",
    of=[MappingSummary],
)
MAPPING_TEXTS = (
    "mapping",
    "graph",
    "chip",
    "method",
)  # columns before those of `MAPPINGS`


def mapping_table(mappings: Sequence[MappingSummary]) -> Columns:
    """Return a table of mappings, with columns `MAPPING_TEXTS` and `MAPPINGS`.

    A mapping with overfull cores is marked as invalid after the number of its cores.
    """
    quantities = columns(mappings, MAPPINGS)
    rows = []
    for summary, (cores, *cells) in zip(mappings, quantities.rows):
        details = summary.details
        if details.overfull_cores:
            cores += f" (invalid: {details.overfull_cores:,} overfull)"
        texts = [summary.stamp, details.graph, summary.chip, details.method]
        rows.append([*texts, cores, *cells])
    return Columns([*MAPPING_TEXTS, *quantities.head], rows)


class GraphTraffic(Document):
    """Size and spikes of an external graph; the spikes were given with it, or are assumed."""

    num_samples: Annotated[int, SAMPLES]
    num_timesteps: Annotated[int, STEPS]
    latency_steps: Annotated[int, LATENCY]
    mean_rate: Annotated[float, MEAN_RATE]
    synaptic_operations_per_sample: Annotated[float, ADDITIONS]
    synapses: Annotated[int, SYNAPSES]


class Compared(Document):
    """A simulation, or an external graph, for comparison."""

    run: Path
    stamp: str
    model: str
    dataset: str
    label: Optional[str]
    differs: Dict[
        str, JsonValue
        # Parameters that are not equal in all simulations; of a single one, not the
        # defaults
    ]
    statistics: Union[SimulationStatistics, GraphTraffic]
    fidelity: Optional[
        Fidelity
        # Accuracy without spikes after each change by the conversion; None without changes
    ]
    neurons: Annotated[int, NEURONS]
    mappings: List[MappingSummary]

    @property
    def metrics(self) -> Dict[Key, Value]:
        """All quantities by key."""
        return values(self)


# Rows of the table: of the trained network, below which stand the changes by the
# conversion, and of the simulation
TRAINED = view(
    "num_samples",
    "ann_accuracy",
    "ann_accuracy_interval_95",
    "ann_mean_squared_error",
    of=[Compared],
)
COMPARED = view(
    "quoted_accuracy",
    "quoted_accuracy_interval_95",
    "snn_mean_squared_error",
    "mean_rate",
    "latency_steps",
    "synaptic_operations_per_sample",
    "input_multiply_accumulates_per_sample",
    "energy_45nm_pj",
    "energy_45nm_ann_pj",
    "membrane_updates",
    "activation_sparsity",
    "connection_sparsity",
    "footprint",
    "synapses",
    "neurons",
    of=[Compared],
)


class Comparison(Document):
    """Output of `snnb compare --json`."""

    figure: Optional[Path]
    simulations: List[Compared]


def prefixes(summaries: Sequence[Compared]) -> List[str]:
    """Return `NAME:` of the run of each simulation, `PATH:` if runs have equal names, or empty text for one run."""
    runs = {summary.run: summary.run.resolve().name for summary in summaries}
    names = list(runs.values())
    if len(runs) == 1:
        return [""] * len(summaries)
    return [
        f"{runs[summary.run] if names.count(runs[summary.run]) == 1 else summary.run}:"
        for summary in summaries
    ]


def names_apart(summaries: Sequence[Compared]) -> List[str]:
    """Return a distinct name for each simulation: its label, or without a label the differing parameters.

    Equal names are followed by the stamp. With several runs, the name of the run comes
    first.
    """
    names = [
        f"{prefix} "
        f"{summary.label or in_words(summary.differs if len(summaries) > 1 else {})}".strip().rstrip(
            ":"
        )
        for prefix, summary in zip(prefixes(summaries), summaries)
    ]
    return [
        name if name and names.count(name) == 1 else f"{name} {summary.stamp}".strip()
        for name, summary in zip(names, summaries)
    ]


def compare(places: Sequence[str]) -> List[Compared]:
    """Read simulations, each given as `RUN:STAMP`; `RUN` alone selects all simulations of the run.

    In a run that begins with an external graph, the graph takes the place of
    simulations.
    """
    selected_stamps: Dict[
        Tuple[Path, str], Tuple[RunDirectory, Optional[SimulationRecord]]
    ] = {}
    for place in places:
        path, stamp = split_place(place)
        run = open_run(path)
        is_imported = run.manifest.run.imported
        words = "simulation"
        command = shlex.join(["snnb", "simulate", "--run-dir", str(path)])
        if is_imported:
            words = "graph"
            command = graph_command(run)
        records = run.records_of("graph" if is_imported else "simulate")
        if not records:
            raise UsageError(f"{path} has no {words} yet; `{command}` makes one")
        if stamp is not None and stamp not in records:
            raise UsageError(
                f"{place}: no such {words}; there are: {', '.join(records)}"
            )
        for name in records if stamp is None else [stamp]:
            record = None if is_imported else cast("SimulationRecord", records[name])
            selected_stamps.setdefault((path.resolve(), name), (run, record))
    parameters = [
        {} if record is None else parameters_of(run, record)
        for run, record in selected_stamps.values()
    ]
    if len(selected_stamps) == 1:  # compared with the defaults
        parameters += [
            default_parameters(run)
            for run, record in selected_stamps.values()
            if record is not None
        ]
    return [
        outside_one(run, name)
        if record is None
        else compared_one(run, name, record, differs)
        for ((_, name), (run, record)), differs in zip(
            selected_stamps.items(), differing(parameters)
        )
    ]


def split_place(text: str) -> Tuple[Path, Optional[str]]:
    """Return run and stamp of `RUN:STAMP`. The path of a run, which may contain a colon, has no stamp."""
    path, _, stamp = text.rpartition(":")
    if (
        path
        and (Path(path) / manifest.NAME).exists()
        and not (Path(text) / manifest.NAME).exists()
    ):
        return Path(path), stamp
    return Path(text), None


def compared_one(
    run: RunDirectory,
    stamp: str,
    record: SimulationRecord,
    differs: Mapping[str, JsonValue],
) -> Compared:
    """Return the figures of a simulation, and its parameters in `differs` that have a meaning for its network."""
    statistics, counts = simulated_files(run, stamp)
    params = {"parse": record.details.conversion, "simulate": record.params}
    names = set()  # as `differing` returns them
    for stage, options in params.items():
        for name in inapplicable(run, options):
            names |= {name, f"{stage} {name}"}
    return Compared(
        run=run.path,
        stamp=stamp,
        model=run.model,
        dataset=run.manifest.run.dataset,
        label=record.details.label,
        differs={name: value for name, value in differs.items() if name not in names},
        statistics=statistics,
        fidelity=record.details.fidelity,
        neurons=sum(population_counts.size for population_counts in counts.values()),
        mappings=mappings_of(run, stamp),
    )


def outside_one(run: RunDirectory, name: str) -> Compared:
    """Return the figures of an external graph, which has no parameters."""
    from snnb.graph.synapse_graph import SynapseGraph

    with SynapseGraph.open(unaltered(run, graph_file(run, name))) as graph_of_run:
        spikes = {
            population.name: population.traffic()
            for population in graph_of_run.populations
        }
        recording = graph_of_run.recording
        assert recording is not None  # an external graph has spikes, given or assumed
        neurons = graph_of_run.number_of_neurons()
        neuron_spikes = sum(
            spikes[population.name].sum() for population in graph_of_run.layers
        )
        n_carriers = sum(
            float(spikes[p.source.name] @ p.out_degrees)
            for p in graph_of_run.projections
        )
        traffic = GraphTraffic(
            num_samples=recording.num_samples,
            num_timesteps=recording.num_timesteps,
            latency_steps=recording.num_timesteps,
            mean_rate=neuron_spikes / max(1, neurons),
            synaptic_operations_per_sample=n_carriers * recording.num_timesteps,
            synapses=graph_of_run.number_of_edges(),
        )
        return Compared(
            run=run.path,
            stamp=name,
            model=run.model,
            dataset=run.manifest.run.dataset,
            label="external graph"
            + (", spikes assumed" if graph_of_run.assumed_spikes else ""),
            differs={},
            statistics=traffic,
            fidelity=None,
            neurons=neurons,
            mappings=mappings_of(run, name),
        )


def simulated_files(
    run: RunDirectory, stamp: str
) -> Tuple[SimulationStatistics, Dict[str, np.ndarray]]:
    """Return the statistics of a simulation, and the spike counts by population of `spike_rate_sums.npz`."""
    from snnb.network.spike_counts import SUMS

    folder = run.directory_of("simulate", stamp)
    accuracies, sums = (
        unaltered(run, f"{folder}/{name}") for name in (ACCURACIES, SUMS)
    )
    arrays = load_archive(sums, must=["num_samples"])
    counts = {
        name: values
        for name, values in arrays.items()
        if values.ndim and name != "input"
    }
    return read_document(SimulationStatistics, accuracies), counts


def mappings_of(run: RunDirectory, graph: Optional[str] = None) -> List[MappingSummary]:
    """Return the mappings of a graph, or of all graphs of the run, oldest first."""
    summaries = []
    records = cast("Dict[str, mapping.MapRecord]", run.records_of(mapping.STAGE.name))
    for stamp, record in records.items():
        if graph is None or record.details.graph == graph:
            hardware = str(record.params.hardware)
            summaries.append(
                MappingSummary(
                    stamp=stamp,
                    hardware_file=hardware if is_file(hardware) else None,
                    details=record.details,
                )
            )
    return summaries
