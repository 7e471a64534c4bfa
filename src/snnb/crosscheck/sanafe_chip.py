"""A mapped network in SANA-FE, from the files of `snnb export --format sanafe --map`: spikes, energies and times.

Populations begin at their `first_step` and end after the time steps of a sample. Spikes that are drawn at random
(softmax) follow from no weight: they are given, as they were recorded.
"""

import contextlib
import io
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.crosscheck.exported import ExportedNetwork, Simulate
from snnb.crosscheck.sanafe import change, imported, refuse_unknown

NEVER, ALWAYS = 1e30, -1e30  # thresholds
Changes = Dict[int, List[Tuple[Any, Dict[str, object]]]]  # by step, attributes of neurons


@dataclass(frozen=True)
class ChipTrace:
    """Costs that SANA-FE has found, a row for each sample simulated."""

    energy_pj: List[Dict[str, float]] = field(default_factory=list)  # by SANA-FE's components
    step_ns: List[List[float]] = field(default_factory=list)  # in its timing model `simple`
    detailed_ns: List[List[float]] = field(default_factory=list)  # in `detailed`, which has contention


def build(
    network: ExportedNetwork, netlist: Path, architecture: Path, drawn: Mapping[str, np.ndarray]
) -> Tuple[Simulate, ChipTrace]:
    """Return the simulation function of a mapped network, and the trace that it fills.

    Parameters
    ----------
    netlist, architecture : files of the export
    drawn : (spikes, 3) int64 arrays; recorded spikes of the populations that are drawn at random
    """
    sanafe = imported()
    refuse_unknown(network)
    if network.leaky or network.input.coding != "current":
        raise UsageError("--map takes converted networks with a constant input; leave it out")
    with contextlib.redirect_stdout(io.StringIO()):
        arch = sanafe.load_arch(str(architecture))
        chip = sanafe.SpikingChip(arch)
        chip.load(sanafe.load_net(str(netlist), arch, use_netlist_format=True))
    trace = ChipTrace()

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        found: Dict[str, List[np.ndarray]] = {population.name: [] for population in network.simulated}
        for sample, pixels in enumerate(inputs):
            of_sample = {name: rows[rows[:, 0] == len(trace.step_ns)] for name, rows in drawn.items()}
            changes = _changes(chip, network, pixels, steps, of_sample)
            end = steps + max(population.first_step for population in network.populations)
            with contextlib.redirect_stdout(io.StringIO()):  # it prints every step
                simple = _simulate(chip, changes, end, "simple")
                detailed = _simulate(chip, changes, end, "detailed")
            trace.energy_pj.append(_energies(simple))
            trace.step_ns.append(_times(simple))
            trace.detailed_ns.append(_times(detailed))
            for name, rows in _spikes(network, simple, sample).items():
                found[name].append(rows)
        return {name: np.concatenate(rows) for name, rows in found.items()}

    return simulate, trace


def _changes(
    chip: Any, network: ExportedNetwork, pixels: np.ndarray, steps: int, drawn: Mapping[str, np.ndarray]
) -> Changes:
    """Return the changes of parameters by time step of a sample; the file has potentials in thresholds or integers."""
    found: Changes = defaultdict(list)
    for group, population in enumerate(network.populations[1:], 1):
        neurons, first = chip.mapped_neuron_groups[str(group)], population.first_step
        if population.name in drawn:
            found[0] += [(neuron, {"threshold": NEVER, "reset_mode": "hard"}) for neuron in neurons]
            for _, number, step in drawn[population.name].tolist():
                found[first + step].append((neurons[number], {"threshold": ALWAYS}))
                # In front, so that a spike in that step too comes last
                found[first + step + 1].insert(0, (neurons[number], {"threshold": NEVER}))
            continue
        unit = np.ones(population.size) if network.integers else population.threshold
        currents = (population.bias + network.input_current(population, pixels[:, None])[:, 0]) / unit
        starts, thresholds = currents + population.start / unit, (population.threshold / unit).tolist()
        found[0][:0] = [(neuron, {"threshold": theta, "bias": 0.0}) for neuron, theta in zip(neurons, thresholds)]
        for step, biases in ((first, starts), (first + 1, currents)):
            found[step] += [(neuron, {"bias": bias}) for neuron, bias in zip(neurons, biases.tolist())]
        found[first + steps] += [(neuron, {"threshold": NEVER}) for neuron in neurons]
    return found


def _simulate(chip: Any, changes: Changes, end: int, timing: str) -> List[Dict[str, Any]]:
    """Simulate a sample from its first step; return SANA-FE's results of the parts between changes."""
    chip.reset()
    results = []
    begins = sorted({0, *(step for step in changes if step < end)})
    for begin, until in zip(begins, [*begins[1:], end]):
        for neuron, attributes in changes.get(begin, ()):
            change(neuron, **attributes)
        results.append(chip.sim(until - begin, timing_model=timing, spike_trace=True, perf_trace=True))
    return results


def _energies(results: List[Dict[str, Any]]) -> Dict[str, float]:
    return {name: sum(part["energy"][name] for part in results) * 1e12 for name in results[0]["energy"]}


def _times(results: List[Dict[str, Any]]) -> List[float]:
    return [seconds * 1e9 for part in results for seconds in part["perf_trace"]["sim_time"]]


def _spikes(network: ExportedNetwork, results: List[Dict[str, Any]], sample: int) -> Dict[str, np.ndarray]:
    """Return the spikes of a sample as rows of sample, neuron and step."""
    rows: Dict[str, List[Tuple[int, int, int]]] = {population.name: [] for population in network.simulated}
    trace = (fired for part in results for fired in part["spike_trace"])
    for step, fired in enumerate(trace):
        for address in fired:
            population = network.populations[int(address.group_name)]
            if population.name in rows:
                rows[population.name].append((sample, address.neuron_offset, step - population.first_step))
    return {name: np.array(found, np.int64).reshape(-1, 3) for name, found in rows.items()}
