"""The exported network in SANA-FE: on a chip without costs, or on the chip of a mapping, with energies and times.

The neuron is TrueNorth's, whose sums are float64; attributes of a neuron are float32. A synapse takes a time step, so
populations begin at their `first_step`, and spikes that skip layers wait in relays, neurons that spike a step after
their only source. (Boyle et al., IEEE TCAD 44(8), 2025.)
"""

import contextlib
import io
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import numpy as np
import yaml

from snnb.chips.hardware import LARGEST_LIMIT, EventFigures, Hardware, RouteFigures
from snnb.chips.sanafe_architecture import architecture_file
from snnb.core.errors import UsageError, how_to_install
from snnb.crosscheck.exported import ExportedNetwork, Simulate
from snnb.formats.sanafe import CORE, NEVER, unsupported_number

RELAY = {"threshold": 1.0, "reset_mode": "hard", "reset": 0.0, "reverse_reset_mode": "none"}


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    sanafe = _imported(network)
    with contextlib.redirect_stdout(io.StringIO()):
        chip = _chip(sanafe, network)
    constant = network.input.coding == "current"
    firsts = {population.name: population.first_step for population in network.simulated}

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        spikes: Dict[str, List[Tuple[int, int, int]]] = {name: [] for name in firsts}
        for sample, values in enumerate(inputs):
            changes: Changes = defaultdict(list)
            end = steps + max(firsts.values())
            for population in network.simulated:
                if constant:
                    arriving = network.input_current(population, values[np.newaxis]).T
                else:
                    arriving = network.changing_current(population, values)[:steps]
                # Input and bias are the bias of SANA-FE, whose neurons are at 0 before their first step.
                biases = np.zeros((end + 1, population.size))
                biases[0] = np.nan  # before the sample
                own = biases[1 + population.first_step :][:steps]
                own += population.bias + arriving
                own[0] += population.start
                if population.later_bias is not None:
                    own[1:] += population.later_bias
                own += population.numbers["offset"][:, 0]
                neurons = chip.mapped_neuron_groups[population.name]
                for step, i in np.argwhere(biases[1:] != biases[:-1]).tolist():
                    changes[step].append((neurons[i], {"bias": float(biases[step + 1, i])}))
            for at, fired in enumerate(_spikes_of(_simulate(chip, changes, end, "simple"))):
                for address in fired:
                    step = at - firsts[address.group_name]
                    if 0 <= step < steps:
                        spikes[address.group_name].append((sample, address.neuron_offset, step))
        return {name: np.array(rows, np.int64).reshape(-1, 3) for name, rows in spikes.items()}

    return simulate


def _change(neuron: Any, **attributes: object) -> None:
    """Set attributes of a neuron; versions after 2.1.1 call the function `set_attributes`."""
    setter = neuron.set_attributes if hasattr(neuron, "set_attributes") else neuron.set_model_attributes
    setter(model_attributes=attributes)


def _imported(network: ExportedNetwork) -> Any:
    """Return the module `sanafe`; raise `UsageError` if it is not installed, or cannot simulate the network."""
    try:
        import sanafe
    except ImportError as error:
        raise UsageError(f"--with sanafe needs SANA-FE: {how_to_install('crosscheck')}") from error
    if any(population.window is not None for population in network.populations):
        raise UsageError("--with sanafe has no firing windows; give --with brian2 or scipy")
    for population in network.populations:
        if population.counts_largest:
            raise UsageError(
                f"--with sanafe cannot simulate {population.name}, a max pooling, which follows the largest spike "
                "count of its inputs; give --with scipy or brian2"
            )
    for population in network.simulated:
        missing = unsupported_number(population.numbers)
        if missing is not None:
            raise UsageError(f"--with sanafe cannot simulate {population.name}: {missing}; give --with scipy or brian2")
    network.refuse_late("sanafe")
    return sanafe


def _chip(sanafe: Any, network: ExportedNetwork) -> Any:
    depth = 1 + max(population.first_step for population in network.populations)
    neurons = depth * sum(population.size for population in network.simulated)  # relays included, or more
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one_tile.yaml"
        path.write_text(yaml.safe_dump(one_tile(neurons)), encoding="utf-8")
        architecture = sanafe.load_arch(str(path))
    cores = architecture.tiles[0].cores
    built = sanafe.Network()
    units = {f"default_{unit}_hw_name": unit for unit in ("synapse", "dendrite")}
    cells: Dict[str, Any] = {}
    for population in network.simulated:
        own = {**RELAY, "reset_mode": "hard" if "reset" in population.numbers else "soft"}
        group = built.create_neuron_group(
            population.name, population.size, own, log_spikes=True, soma_hw_name="soma", **units
        )
        cells[population.name] = list(group.neurons)
        resets = population.numbers.get("reset", np.zeros(population.size)).ravel().tolist()
        for neuron, threshold, reset in zip(cells[population.name], population.threshold.tolist(), resets):
            _change(neuron, threshold=threshold, reset=reset)

    def relays(source: str, steps: int) -> List[Any]:
        """Return neurons that repeat the spikes of a population a number of steps later."""
        name = f"{source} {steps} steps later"
        if steps and name not in cells:
            before = relays(source, steps - 1)
            group = built.create_neuron_group(name, len(before), RELAY, soma_hw_name="soma", **units)
            cells[name] = list(group.neurons)
            for one, other in zip(before, cells[name]):
                one.connect_to_neuron(other, {"weight": 1.0})
        return cells[name] if steps else cells[source]

    for population in network.simulated:
        for projection in network.inbound(population.name):
            if projection.source == network.input.name:  # its current is part of the bias
                continue
            sources = relays(projection.source, projection.delay_steps - 1)
            targets = cells[population.name]
            weights = projection.weights.tocoo()
            # One by one: connect_neurons_sparse of version 2.1.1 gives synapses the weights of others.
            for i, j, weight in zip(weights.col.tolist(), weights.row.tolist(), weights.data.tolist()):
                sources[i].connect_to_neuron(targets[j], {"weight": weight})
    for number, neuron in enumerate(chain.from_iterable(cells.values())):
        neuron.map_to_core(cores[number // CORE])
    chip = sanafe.SpikingChip(architecture)
    chip.load(built)
    return chip


def one_tile(neurons: int) -> Mapping[str, object]:
    """Return an architecture file of a chip for this number of neurons, with all costs 0."""
    cores = neurons // CORE + 2
    chip = Hardware(
        name="one_tile",
        mesh=(cores, 1),
        tile=(cores, 1),
        neurons_per_core=CORE,
        axons_per_core=LARGEST_LIMIT,
        energy_pj=EventFigures(router=0.0, link=0.0),
        latency_ns=RouteFigures(router=0.0, link=0.0),
        source="none: all costs are 0",
        sources={"tile": "none"},
    )
    return architecture_file(chip)


ALWAYS = -NEVER  # threshold
Changes = Dict[int, List[Tuple[Any, Dict[str, object]]]]  # by step, attributes of neurons


@dataclass(frozen=True)
class ChipTrace:
    """Costs according to SANA-FE, a row for each simulated sample."""

    energy_pj: List[Dict[str, float]] = field(default_factory=list)  # by SANA-FE's components
    step_ns: List[List[float]] = field(default_factory=list)  # in its timing model `simple`
    detailed_ns: List[List[float]] = field(default_factory=list)  # in `detailed`, which has contention


def build_chip(
    network: ExportedNetwork, netlist: Path, architecture: Path, drawn: Mapping[str, np.ndarray]
) -> Tuple[Simulate, ChipTrace]:
    """Return the simulation function of a mapped network, and the trace that it fills.

    `netlist` and `architecture` are files of `snnb export --format sanafe --map`, `drawn` the recorded spikes of the
    populations that are drawn at random (softmax), which follow from no weight: int64 (spikes, 3). Populations begin at
    their `first_step` and end after the time steps of a sample.
    """
    sanafe = _imported(network)
    if network.leaky or network.input.coding != "current":
        raise UsageError("--map takes converted networks with a constant input; omit it")
    with contextlib.redirect_stdout(io.StringIO()):
        arch = sanafe.load_arch(str(architecture))
        chip = sanafe.SpikingChip(arch)
        chip.load(sanafe.load_net(str(netlist), arch, use_netlist_format=True))
    trace = ChipTrace()

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        spikes: Dict[str, List[Tuple[int, int, int]]] = {population.name: [] for population in network.simulated}
        for sample, pixels in enumerate(inputs):
            of_sample = {name: rows[rows[:, 0] == len(trace.step_ns)] for name, rows in drawn.items()}
            changes = _changes(chip, network, pixels, steps, of_sample)
            end = steps + max(population.first_step for population in network.populations)
            simple, detailed = (_simulate(chip, changes, end, timing) for timing in ("simple", "detailed"))
            energies = {name: sum(part["energy"][name] for part in simple) * 1e12 for name in simple[0]["energy"]}
            trace.energy_pj.append(energies)
            for rows, parts in ((trace.step_ns, simple), (trace.detailed_ns, detailed)):
                rows.append([seconds * 1e9 for part in parts for seconds in part["perf_trace"]["sim_time"]])
            for step, fired in enumerate(_spikes_of(simple)):
                for address in fired:
                    population = network.populations[int(address.group_name)]
                    if population.name in spikes:
                        row = sample, address.neuron_offset, step - population.first_step
                        spikes[population.name].append(row)
        return {name: np.array(rows, np.int64).reshape(-1, 3) for name, rows in spikes.items()}

    return simulate, trace


def _changes(
    chip: Any, network: ExportedNetwork, pixels: np.ndarray, steps: int, drawn: Mapping[str, np.ndarray]
) -> Changes:
    """Return the changes of parameters by time step of a sample; the file has potentials in thresholds or integers."""
    changes: Changes = defaultdict(list)
    for group, population in enumerate(network.populations[1:], 1):
        neurons, first = chip.mapped_neuron_groups[str(group)], population.first_step
        if population.name in drawn:
            changes[0] += [(neuron, {"threshold": NEVER, "reset_mode": "hard"}) for neuron in neurons]
            for _, number, step in drawn[population.name].tolist():
                changes[first + step].append((neurons[number], {"threshold": ALWAYS}))
                # In front, so that a spike in that step too comes last
                changes[first + step + 1].insert(0, (neurons[number], {"threshold": NEVER}))
            continue
        unit = np.ones(population.size) if network.integers else population.threshold
        currents = (population.bias + network.input_current(population, pixels[np.newaxis])[:, 0]) / unit
        starts = currents + population.start / unit
        thresholds = np.full(population.size, NEVER) if population.coding == "membrane" else population.threshold / unit
        first_changes = zip(neurons, thresholds.tolist())
        changes[0][:0] = [(neuron, {"threshold": theta, "bias": 0.0}) for neuron, theta in first_changes]
        for step, biases in ((first, starts), (first + 1, currents)):
            changes[step] += [(neuron, {"bias": bias}) for neuron, bias in zip(neurons, biases.tolist())]
        changes[first + steps] += [(neuron, {"threshold": NEVER}) for neuron in neurons]
    return changes


def _simulate(chip: Any, changes: Changes, end: int, timing: str) -> List[Dict[str, Any]]:
    """Simulate a sample from its first step; return SANA-FE's results of the parts between changes."""
    chip.reset()
    results = []
    begins = sorted({0, *(step for step in changes if step < end)})
    for begin, until in zip(begins, [*begins[1:], end]):
        for neuron, attributes in changes.get(begin, ()):
            _change(neuron, **attributes)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints every step
            results.append(chip.sim(until - begin, timing_model=timing, spike_trace=True, perf_trace=True))
    return results


def _spikes_of(results: List[Dict[str, Any]]) -> Iterator[List[Any]]:
    """Yield the addresses of the neurons that spike in each step."""
    return chain.from_iterable(part["spike_trace"] for part in results)
