"""The simulations of a run and the parameters in which they differ."""

import json
from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple, cast

from snnb.architectures import find
from snnb.io.text import JsonValue
from snnb.pipeline import parse, simulate
from snnb.pipeline.parse import ParseParams
from snnb.pipeline.simulate import SimulateParams, SimulationRecord
from snnb.pipeline.train import TrainParams, shown_params
from snnb.rundir.directory import RunDirectory

SIMULATION_HEAD = ("simulation", "label", "samples", "SNN", "differs in")
ByStage = Mapping[str, Mapping[str, JsonValue]]  # recorded parameters by stage


@dataclass(frozen=True)
class Simulation:
    """A simulation and the parameters in which it differs from others."""

    stamp: str
    record: SimulationRecord
    differs: Dict[str, JsonValue]  # parameters of it and of its network that are not equal in all simulations

    @property
    def row(self) -> Tuple[str, ...]:
        """The cells of a table for people, whose head is `SIMULATION_HEAD`."""
        accuracy, error = map(self.record.metrics.get, ("snn_accuracy", "snn_mean_squared_error"))
        quality = f"{accuracy:.2%}" if accuracy is not None else "" if error is None else f"error {error:.4g}"
        samples, label = f"{self.record.params.samples:,}", self.record.details.label or ""
        return self.stamp, label, samples, quality, in_words(self.differs)


def simulations_of(run: RunDirectory) -> List[Simulation]:
    """Return all simulations of a run, oldest first."""
    records = cast("Dict[str, SimulationRecord]", run.records_of(simulate.KIND.name))
    different = differing([parameters_of(run, record) for record in records.values()])
    return [Simulation(stamp, record, differs) for (stamp, record), differs in zip(records.items(), different)]


def parameters_of(run: RunDirectory, record: SimulationRecord) -> ByStage:
    """Return the recorded parameters of a simulation and of the stages before it, by stage."""
    made = {"train": record.details.training, "parse": record.details.conversion, "simulate": record.params}
    return {stage: shown_params(run, params) for stage, params in made.items() if params is not None}


def default_parameters(run: RunDirectory) -> ByStage:
    """Return the defaults of the parameters, by stage, without the recipe of a model in a file."""
    info = run.manifest.run
    own = find(info.model) if info.model_source is None else None
    recipe = {} if own is None else {**own.recipe.model_dump(), "settings": dict(own.settings)}
    train = shown_params(run, TrainParams(**recipe))
    return {
        "train": train,
        "parse": ParseParams.model_validate(parse.STAGE.defaults(run, {})).model_dump(mode="json"),
        "simulate": SimulateParams.model_validate(simulate.STAGE.defaults(run, {})).model_dump(mode="json"),
    }


def differing(results: Sequence[ByStage]) -> List[Dict[str, JsonValue]]:
    """Return the parameters of each result that are not equal in all results, in the order of the stages.

    Keys are parameter names, preceded by the stage where several stages have a parameter of that name (`train seed`);
    a setting of the model is `settings dropout`.
    """
    flat = [_flat(result) for result in results]
    keys = list(dict.fromkeys(key for parameters in flat for key in parameters))
    names = [name for _, name in keys]
    different = []
    for stage, name in keys:
        values = {json.dumps(parameters[stage, name]) for parameters in flat if (stage, name) in parameters}
        missing = any((stage, name) not in parameters and stage in result for parameters, result in zip(flat, results))
        if len(values) > 1 or missing:
            different.append((stage, name))
    return [
        {
            name if names.count(name) == 1 else f"{stage} {name}": parameters[stage, name]
            for stage, name in different
            if (stage, name) in parameters
        }
        for parameters in flat
    ]


def in_words(parameters: Mapping[str, JsonValue]) -> str:
    """Return parameters as one line: `percentile 99, duration 50`."""
    return ", ".join(f"{name} {_value(value)}" for name, value in parameters.items())


def _value(value: JsonValue) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(_value, value)) if isinstance(value, list) else str(value)


def _flat(result: ByStage) -> Dict[tuple, JsonValue]:
    flat = {}
    for stage, parameters in result.items():
        for name, value in parameters.items():
            inner = {f"{name} {key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
            flat.update({(stage, key): item for key, item in inner.items()})
    return flat
