"""The exported network in SANA-FE, on as many cores as it takes, with TrueNorth's neuron, whose sums are float64.

A synapse takes a time step there, so populations begin at their `first_step`, and spikes that skip layers wait in
relays, neurons that spike a step after their only source. The attributes of a neuron are float32 in it. (Boyle et al.,
IEEE TCAD 44(8), 2025.)
"""

import contextlib
import io
import tempfile
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Tuple

import numpy as np
import yaml
from typing_extensions import Protocol

from snnb.core.errors import UsageError, how_to_install
from snnb.crosscheck.exported import ExportedNetwork, ExportedPopulation, Simulate
from snnb.graph.export.sanafe import unsaid

# Units and their events; SANA-FE requires an energy and a latency of each, which are 0 here.
UNITS = {
    "axon_in": ["message_in"],
    "synapse": ["process_spike"],
    "dendrite": ["update"],
    "soma": ["access_neuron", "update_neuron", "spike_out"],
    "axon_out": ["message_out"],
}
COSTS = ("energy", "latency")
MODELS = {"synapse": "current_based", "dendrite": "accumulator", "soma": "truenorth"}
CORE = 1024  # neurons: the dendrite `accumulator` has no more, and SANA-FE 2.1.1 writes over its end without a check
RELAY = {"threshold": 1.0, "reset_mode": "hard", "reset": 0.0, "reverse_reset_mode": "none"}
RESETS = {False: "soft", True: "hard"}


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    sanafe = imported()
    refuse_unknown(network)
    with contextlib.redirect_stdout(io.StringIO()):
        chip = _chip(sanafe, network)

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        found: Dict[str, List[Tuple[int, int, int]]] = {population.name: [] for population in network.simulated}
        with contextlib.redirect_stdout(io.StringIO()):  # it prints every step
            for sample, values in enumerate(inputs):
                _simulate_one(chip, network, sample, values, steps, found)
        return {name: np.array(rows, np.int64).reshape(-1, 3) for name, rows in found.items()}

    return simulate


def _simulate_one(
    chip: Any,
    network: ExportedNetwork,
    sample: int,
    values: np.ndarray,
    steps: int,
    found: Dict[str, List[Tuple[int, int, int]]],
) -> None:
    """Simulate one sample, and add its spikes to those found. The input and biases are biases of SANA-FE."""
    chip.reset()
    constant = network.input.coding == "current"
    firsts = {population.name: population.first_step for population in network.simulated}
    arriving = {p.name: _arriving(network, p, values) for p in network.simulated}
    biases = {population.name: np.full(population.size, np.nan) for population in network.simulated}
    for at in range(steps + max(firsts.values())):
        for population in network.simulated:
            name, step = population.name, at - population.first_step
            current = np.zeros(population.size)  # SANA-FE's neurons are at 0 before their first step
            if 0 <= step < steps:
                current = population.bias + (arriving[name] if constant else arriving[name][step])
                if not step:
                    current = current + population.start
                elif population.later_bias is not None:
                    current = current + population.later_bias
                if population.numbers is not None:
                    current = current + population.numbers["offset"][:, 0]
            changed = np.flatnonzero(current != biases[name])
            neurons = chip.mapped_neuron_groups[name] if changed.size else []
            for i, bias in zip(changed.tolist(), current[changed].tolist()):
                change(neurons[i], bias=bias)
            biases[name] = current
        for fired in chip.sim(1, timing_model="simple", spike_trace=True)["spike_trace"]:
            for address in fired:
                step = at - firsts[address.group_name]
                if 0 <= step < steps:
                    found[address.group_name].append((sample, address.neuron_offset, step))


def _arriving(network: ExportedNetwork, population: ExportedPopulation, values: np.ndarray) -> np.ndarray:
    """Return the current of the input: in each step, or a constant one."""
    if network.input.coding == "current":
        return network.input_current(population, values[:, None])[:, 0]
    return network.changing_current(population, values)


class Settable(Protocol):
    """A neuron of SANA-FE."""

    def set_model_attributes(self, *, model_attributes: Dict[str, object]) -> None:
        """Set attributes; later versions call it `set_attributes`."""


def change(neuron: Settable, **attributes: object) -> None:
    """Set attributes of a neuron."""
    setter = neuron.set_attributes if hasattr(neuron, "set_attributes") else neuron.set_model_attributes
    setter(model_attributes=attributes)


def imported() -> ModuleType:
    """Return the module `sanafe`; raise `UsageError` where it is not installed."""
    try:
        import sanafe
    except ImportError as error:
        raise UsageError(f"--with sanafe needs SANA-FE: {how_to_install('crosscheck')}") from error
    found: ModuleType = sanafe
    return found


def refuse_unknown(network: ExportedNetwork) -> None:
    """Raise `UsageError` for a network that SANA-FE cannot simulate."""
    if any(population.window is not None for population in network.populations):
        raise UsageError("--with sanafe has no firing windows; give --with brian2 or scipy")
    for population in network.simulated:
        number = unsaid(population.numbers or {})
        if number is not None:
            raise UsageError(
                f"--with sanafe cannot simulate {population.name}, which has {number}; give --with scipy or brian2"
            )
    network.refuse_late("sanafe")


def _chip(sanafe: Any, network: ExportedNetwork) -> Any:
    depth = 1 + max(population.first_step for population in network.populations)
    neurons = depth * sum(population.size for population in network.simulated)  # relays included, or more
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one_tile.yaml"
        path.write_text(yaml.safe_dump({"architecture": one_tile(neurons)}))
        architecture = sanafe.load_arch(str(path))
    cores = architecture.tiles[0].cores
    built = sanafe.Network()
    units = {f"default_{unit}_hw_name": unit for unit in ("synapse", "dendrite")}
    cells: Dict[str, Any] = {}
    for population in network.simulated:
        numbers = population.numbers
        to_value = network.resets_to_zero if numbers is None else "reset" in numbers
        own = {**RELAY, "reset_mode": RESETS[to_value], "threshold": float(population.threshold[0])}
        group = built.create_neuron_group(
            population.name, population.size, own, log_spikes=True, soma_hw_name="soma", **units
        )
        cells[population.name] = list(group.neurons)
        if network.integers or numbers is not None:
            resets = np.zeros(population.size) if numbers is None else numbers.get("reset", np.zeros(population.size))
            for neuron, *parameters in zip(
                cells[population.name], population.threshold.tolist(), resets.ravel().tolist()
            ):
                change(neuron, threshold=parameters[0], reset=parameters[1])

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
            if projection.source == network.input.name:  # see `_simulate_one`
                continue
            sources = relays(projection.source, projection.delay_steps - 1)
            targets = cells[population.name]
            weights = projection.weights.tocoo()
            values = (weights.data * network.amplitude_of(projection.source)).tolist()
            # One by one: connect_neurons_sparse of version 2.1.1 gives synapses the weights of others.
            for i, j, weight in zip(weights.col.tolist(), weights.row.tolist(), values):
                sources[i].connect_to_neuron(targets[j], {"weight": weight})
    for number, neuron in enumerate(chain.from_iterable(cells.values())):
        neuron.map_to_core(cores[number // CORE])
    chip = sanafe.SpikingChip(architecture)
    chip.load(built)
    return chip


def one_tile(neurons: int) -> Dict[str, object]:
    """Return SANA-FE's description of a chip for this number of neurons, with all costs 0."""
    units = {}
    for unit, events in UNITS.items():
        costs = {f"{cost}_{event}": 0.0 for cost in COSTS for event in events}
        units[unit] = [{"name": unit, "attributes": {**costs, **({"model": MODELS[unit]} if unit in MODELS else {})}}]
    hops = [f"{cost}_{way}_hop" for cost in COSTS for way in ("north", "east", "south", "west")]
    attributes = {"buffer_position": "soma", "buffer_inside_unit": False, "max_neurons_supported": CORE}
    core = {"name": f"core[0..{neurons // CORE + 1}]", "attributes": attributes, **units}
    tile = {"name": "tile", "attributes": dict.fromkeys(hops, 0.0), "core": [core]}
    mesh = {"link_buffer_size": 1, "topology": "mesh", "width": 1, "height": 1}
    return {"name": "one_tile", "attributes": mesh, "tile": [tile]}
