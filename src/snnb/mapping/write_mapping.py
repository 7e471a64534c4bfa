"""Files of a mapping: cores of the neurons, the cores, traffic, cost and the lines of the log."""

import json
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Sequence, Union

import numpy as np
from scipy.sparse import save_npz

from snnb.mapping.event_cost import EventCost
from snnb.mapping.limits import NO_LIMIT, Limits
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.mapping import (
    CHECKSUM,
    CORE_COLUMNS,
    CORES,
    COST,
    FURTHER_UNITS,
    PARTITION,
    TRAFFIC,
    UNITS,
    Number,
    checksum,
)
from snnb.mapping.traffic import TrafficSums


def write_mapping(directory: Path, mapped: MappedNetwork, stated: Mapping[str, object]) -> None:
    """Write all files of a mapping except pictures and log; `stated` are further entries of cost.json."""
    (directory / PARTITION).write_text("".join(f"{core}\n" for core in mapped.core.tolist()))
    _write_cores(directory / CORES, mapped)
    save_npz(directory / TRAFFIC, mapped.traffic)  # numpy sets a fixed time: the same bytes each time
    document = json.loads(json.dumps({**stated, **_document(mapped)}, allow_nan=False))  # tuples become lists
    document[CHECKSUM] = checksum(directory, document)
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    (directory / COST).write_text(f"{{\n{lines}\n}}\n")


def cost_figures(mapped: MappedNetwork) -> Dict[str, Number]:
    """Return the scalar figures of a mapping by their names in cost.json, except `seconds`."""
    numbers: Dict[str, Number] = {name: getattr(mapped.cost, name) for name in UNITS if name != "seconds"}
    numbers["cores"] = int(np.count_nonzero(mapped.cost.neurons))
    further = {name: getattr(mapped.cost, name) for name in FURTHER_UNITS}
    return {**numbers, **{name: value for name, value in further.items() if value is not None}}


def _units(figures: Iterable[str]) -> Dict[str, str]:
    """Return the units of figures, and of `seconds`."""
    every = {**UNITS, **FURTHER_UNITS}
    return {name: every[name] for name in every if name in figures or name == "seconds"}


def core_figures(mapped: MappedNetwork) -> Dict[str, np.ndarray]:
    """Return the figures of each core, those of `CORE_COLUMNS` first: shape (cores,)."""
    cost = mapped.cost
    found = {name: getattr(cost, name) for name in CORE_COLUMNS[3:]}
    found.update(cost.contents)
    if cost.step_ns is not None and cost.events is not None:
        found["step_ns"] = cost.events.core_ns
    return found


def _fullness(mapped: MappedNetwork, name: str) -> Dict[str, Union[Number, None]]:
    """Return mean (over the cores with neurons) and maximum of what cores hold, the fullest core and its share."""
    numbers: np.ndarray = getattr(mapped.cost, name)
    limit: int = getattr(Limits.of(mapped.hardware), name)
    most, used = int(numbers.max(initial=0)), mapped.cost.neurons > 0
    return {
        "mean": float(numbers[used].mean()) if used.any() else 0.0,
        "max": most,
        "core": int(np.argmax(numbers)),
        "limit": None if limit == NO_LIMIT else limit,
        "share": None if limit == NO_LIMIT else most / limit,
    }


def _document(mapped: MappedNetwork) -> Dict[str, object]:
    """Return the content of cost.json that follows from the mapping."""
    cost, figures, of_events = mapped.cost, cost_figures(mapped), {}
    if cost.events is not None:
        of_events = {"events": cost.events.events, "energy_by_event_pj": cost.events.energy_pj}
        of_events["energy_by_part_pj"] = cost.events.energy_by_part
    return {
        "hardware": mapped.hardware.model_dump(mode="json"),
        "limits": {name: _fullness(mapped, name)["limit"] for name in cost.contents},
        "valid": not mapped.overfull_cores.size,
        "overfull": {name: cores.tolist() for name, cores in mapped.overfull.items()},
        "method": mapped.method,
        "neurons": mapped.network.neurons,
        "first_id": mapped.network.first,
        "samples": mapped.network.samples,
        "layers": {population.name: population.size for population in mapped.network.populations},
        **figures,
        **{f"{name}_per_core": _fullness(mapped, name) for name in cost.contents},
        "sequential": _candidate(mapped.sequential),
        "tried": [_candidate(one) for one in mapped.partition.tried],
        "per_projection": [vars(projection) for projection in cost.projections],
        **of_events,
        "per_core": {name: numbers.tolist() for name, numbers in core_figures(mapped).items()},
        "units": _units(figures),
    }


def _candidate(one: TrafficSums) -> Dict[str, object]:
    return {"method": one.method, "cores": one.cores, "connectivity": one.connectivity}


def _write_cores(path: Path, mapped: MappedNetwork) -> None:
    figures = core_figures(mapped)
    columns: List[Sequence[Number]] = [range(len(mapped.place)), *mapped.place.T.tolist()]
    columns += [numbers.tolist() for numbers in figures.values()]
    rows = [",".join([*CORE_COLUMNS[:3], *figures]), *(",".join(map(repr, row)) for row in zip(*columns))]
    path.write_text("\n".join(rows) + "\n")


def log_lines(mapped: MappedNetwork) -> List[str]:
    """Return the lines of a log: limits, contents of the cores, and cost."""
    hardware, neurons, tried = mapped.hardware, mapped.cost.neurons, list(mapped.partition.tried)
    used, of_class = np.count_nonzero(neurons), mapped.network.graph.class_name
    text = [] if of_class is None else [f"spikes of the samples of one class only: {of_class}"]
    text += [
        f"{mapped.network.neurons:,} neurons on {used:,} of the {hardware.cores:,} cores of {hardware.name}, "
        f"{hardware.mesh[0]}×{hardware.mesh[1]}",
        f"source of its figures: {hardware.source}",
    ]
    if neurons.size > used:
        text.append(
            f"{neurons.size - used:,} core numbers of the partition have no neurons: empty cores, which keep their "
            "numbers"
        )
    text += [
        "",
        "a core                      mean         max   limit",
        *(_contents(mapped, name) for name in mapped.cost.contents),
    ]
    figures = cost_figures(mapped)
    units = _units(figures)
    text += ["", "what it costs"]
    text += [f"  {name:<18}{value:>14,.6g}  {units[name]}" for name, value in figures.items()]
    if mapped.cost.events is not None:
        text += _energies(mapped.cost.events)
    text += ["", "partition                  cores  connectivity"]
    for one in tried if mapped.sequential in tried else [*tried, mapped.sequential]:
        note = "" if one in tried else "  for comparison"
        text.append(f"  {one.method:<20}{one.cores:>10,}{one.connectivity:>14,.6g}{note}")
    text += [f"taken: {mapped.method}, {_ratio(mapped)}", *mapped.warnings]
    return [*text, *(_overfull(mapped, core) for core in mapped.overfull_cores.tolist())]


def _energies(events: EventCost) -> List[str]:
    """Return a line for each kind of event that takes energy."""
    text, total = ["", "energy of a sample             events            pJ"], sum(events.energy_pj.values())
    for name, picojoules in events.energy_pj.items():
        share = picojoules / total if total else 0.0
        text.append(f"  {name:<18}{events.events[name]:>17,.6g}{picojoules:>14,.6g}  {share:.1%}")
    return text


def _contents(mapped: MappedNetwork, name: str) -> str:
    full = _fullness(mapped, name)
    limit = "any number" if full["limit"] is None else f"{full['limit']:,}: {full['share']:.0%} full"
    return f"  {name:<18}{full['mean']:>12,.1f}{full['max']:>12,}   {limit} (core {full['core']:,} has most)"


def _overfull(mapped: MappedNetwork, core: int) -> str:
    limits = Limits.of(mapped.hardware)
    exceeded = [name for name, cores in mapped.overfull.items() if core in cores]
    return f"  core {core:,}: " + ", ".join(
        f"{getattr(mapped.cost, name)[core]:,} {name} of {getattr(limits, name):,}" for name in exceeded
    )


def _ratio(mapped: MappedNetwork) -> str:
    baseline = mapped.sequential.connectivity
    if not baseline:
        return "and in the order of ids no spikes travel between cores either"
    return f"{mapped.cost.connectivity / baseline:.2f} × the connectivity of the sequential mapping"
