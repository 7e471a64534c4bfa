"""Which parameters tell results apart, under names that say which stage has them where several do."""

import json
from typing import Dict, List, Mapping, Sequence

from snnb.io.text import JsonValue

ByStage = Mapping[str, Mapping[str, JsonValue]]  # the parameters of each stage, as the manifest has them


def differing(results: Sequence[ByStage]) -> List[Dict[str, JsonValue]]:
    """Return the parameters of each result that are not the same in all.

    Parameters
    ----------
    results : sequence of mapping
        By name of the stage, its parameters by name. A stage that is not known of a result is left out of it.

    Returns
    -------
    list of dict
        For each result, in the order of the stages. A name is that of the parameter, `percentile`; with the stage
        before it where two stages have one of that name, `train seed`; a setting of the model is `settings dropout`.
    """
    flat = [_flat(result) for result in results]
    names = list(dict.fromkeys(key for parameters in flat for key in parameters))
    stages: Dict[str, set] = {}
    for stage, name in names:
        stages.setdefault(name, set()).add(stage)
    told = []
    for stage, name in names:
        values = {json.dumps(parameters[stage, name]) for parameters in flat if (stage, name) in parameters}
        unknown = any((stage, name) not in parameters and stage in result for parameters, result in zip(flat, results))
        if len(values) > 1 or unknown:
            told.append((stage, name))
    return [
        {
            name if len(stages[name]) == 1 else f"{stage} {name}": parameters[stage, name]
            for stage, name in told
            if (stage, name) in parameters
        }
        for parameters in flat
    ]


def in_words(parameters: Mapping[str, JsonValue]) -> str:
    """Return parameters in one line: `percentile 99, duration 50`."""
    return ", ".join(f"{name} {_value(value)}" for name, value in parameters.items())


def _value(value: JsonValue) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(_value, value)) if isinstance(value, list) else str(value)


def _flat(result: ByStage) -> Dict[tuple, JsonValue]:
    found = {}
    for stage, parameters in result.items():
        for name, value in parameters.items():
            inner = {f"{name} {key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
            found.update({(stage, key): item for key, item in inner.items()})
    return found
