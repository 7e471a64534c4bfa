"""The exported network in SANA-FE, on a chip without costs.

The neuron is TrueNorth's, whose sums are float64; attributes of a neuron are float32. A
synapse takes a time step, so populations begin at their `first_step`, and spikes that
skip layers wait in relays, neurons that spike a step after their only source. (Boyle et
al., IEEE TCAD 44(8), 2025.)

`sanafe_chip` simulates the chip of a mapping instead, with energies and times.
"""

import contextlib
import io
import tempfile
from collections import defaultdict
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import numpy as np
import yaml

from snnb.chips.hardware import LARGEST_LIMIT, EventFigures, Hardware, RouteFigures
from snnb.chips.sanafe_architecture import architecture_file
from snnb.core.errors import UsageError, how_to_install
from snnb.crosscheck.exported import ExportedNetwork, ExportedPopulation, Simulate
from snnb.formats.sanafe import CORE, unsupported_number

RELAY = {
    "threshold": 1.0,
    "reset_mode": "hard",
    "reset": 0.0,
    "reverse_reset_mode": "none",
}
UNITS = {
    "default_synapse_hw_name": "synapse",
    "default_dendrite_hw_name": "dendrite",
    "soma_hw_name": "soma",
}
# Objects of the library, which has no types
SanafeChip = Any
SanafeNeuron = Any
SanafeAddress = Any  # of a neuron: `group_name` and `neuron_offset`
SanafeResult = Dict[str, Any]  # of some steps of a simulation
# Attributes of neurons to set before a step, in this order, by step
Changes = Dict[int, List[Tuple[SanafeNeuron, Dict[str, object]]]]
SpikeRow = Tuple[int, int, int]  # sample, neuron, and step from the population's first


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    sanafe = import_sanafe(network)
    with contextlib.redirect_stdout(io.StringIO()):
        chip = _ChipBuilder(sanafe, network).build()
    return _Simulation(network, chip).simulate


class _Simulation:
    """A network on a chip without costs, and its simulation function."""

    def __init__(self, network: ExportedNetwork, chip: SanafeChip) -> None:
        self._network = network
        self._chip = chip
        populations = network.simulated_populations
        self._first_steps = {p.name: p.first_step for p in populations}

    def simulate(self, inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        """Simulate samples one after the other, see `Simulate`."""
        spikes: Dict[str, List[SpikeRow]] = {name: [] for name in self._first_steps}
        end = steps + max(self._first_steps.values())
        for sample, values in enumerate(inputs):
            changes = self._changes(values, steps, end)
            results = run_chip(self._chip, changes, end, "simple")
            for chip_step, addresses in enumerate(spikes_by_step(results)):
                for address in addresses:
                    name = address.group_name
                    step = chip_step - self._first_steps[name]
                    if 0 <= step < steps:
                        spikes[name].append((sample, address.neuron_offset, step))
        return spike_arrays(spikes)

    def _changes(self, values: np.ndarray, steps: int, end: int) -> Changes:
        """Return the changes of the biases of all neurons for an input."""
        changes: Changes = defaultdict(list)
        for population in self._network.simulated_populations:
            biases = np.zeros((end, population.size))
            begin = population.first_step
            biases[begin : begin + steps] = self._biases(population, values, steps)
            is_change = np.ones(biases.shape, bool)  # in the first step all are set
            is_change[1:] = biases[1:] != biases[:-1]
            neurons = self._chip.mapped_neuron_groups[population.name]
            for step, number in np.argwhere(is_change).tolist():
                bias = float(biases[step, number])
                changes[step].append((neurons[number], {"bias": bias}))
        return changes

    def _biases(
        self,
        population: ExportedPopulation,
        values: np.ndarray,
        steps: int,
    ) -> np.ndarray:
        """Return the biases of SANA-FE in the steps of a sample: float64 (steps, size).

        Input and bias are the bias of SANA-FE, whose neurons are at 0 before their
        first step, and so is the potential before the first step.
        """
        network = self._network
        if network.input.coding == "current":
            current = network.input_current(population, values[np.newaxis]).T
        else:
            current = network.changing_current(population, values)[:steps]
        biases = np.zeros((steps, population.size))
        biases += population.bias + current
        biases[0] += population.start
        if population.later_bias is not None:
            biases[1:] += population.later_bias
        biases += population.numbers["offset"][:, 0]
        return biases


def import_sanafe(network: ExportedNetwork) -> ModuleType:
    """Return the module `sanafe`.

    Raise `UsageError` if it is not installed, or cannot simulate the network.
    """
    try:
        import sanafe
    except ImportError as error:
        raise UsageError(
            f"--with sanafe needs SANA-FE: {how_to_install('crosscheck')}",
        ) from error
    if any(population.window is not None for population in network.populations):
        raise UsageError(
            "--with sanafe has no firing windows; give --with brian2 or scipy",
        )
    network.refuse_fixed_point("sanafe")
    for population in network.populations:
        if population.counts_largest:
            raise UsageError(
                f"--with sanafe cannot simulate {population.name}, a max pooling, "
                "which follows the largest spike count of its inputs; give --with "
                "scipy or brian2"
            )
    for population in network.simulated_populations:
        number = unsupported_number(population.numbers)
        if number is not None:
            raise UsageError(
                f"--with sanafe cannot simulate {population.name}: {number}; give "
                "--with scipy or brian2"
            )
    network.refuse_late("sanafe")
    return sanafe


class _ChipBuilder:
    """Builds a network of SANA-FE on a chip of one tile."""

    def __init__(self, sanafe: ModuleType, network: ExportedNetwork) -> None:
        self._sanafe = sanafe
        self._network = network
        self._built = sanafe.Network()
        # By population or name of the relays
        self._neurons: Dict[str, List[SanafeNeuron]] = {}

    def build(self) -> SanafeChip:
        """Return a chip with the network."""
        for population in self._network.simulated_populations:
            self._add_population(population)
        for population in self._network.simulated_populations:
            self._connect(population)
        depth = 1 + max(p.first_step for p in self._network.populations)
        neurons = sum(p.size for p in self._network.simulated_populations)
        architecture = self._architecture(depth * neurons)  # relays included, or more
        cores = architecture.tiles[0].cores
        neurons_in_order = chain.from_iterable(self._neurons.values())
        for number, neuron in enumerate(neurons_in_order):
            neuron.map_to_core(cores[number // CORE])
        chip = self._sanafe.SpikingChip(architecture)
        chip.load(self._built)
        return chip

    def _architecture(self, neurons: int) -> Any:
        """Return a chip for this number of neurons."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "one_tile.yaml"
            path.write_text(yaml.safe_dump(one_tile(neurons)), encoding="utf-8")
            return self._sanafe.load_arch(str(path))

    def _add_population(self, population: ExportedPopulation) -> None:
        """Add the neurons of a population."""
        has_reset = "reset" in population.numbers
        group = self._built.create_neuron_group(
            population.name,
            population.size,
            {**RELAY, "reset_mode": "hard" if has_reset else "soft"},
            log_spikes=True,
            **UNITS,
        )
        neurons = list(group.neurons)
        self._neurons[population.name] = neurons
        resets = population.numbers.get("reset", np.zeros(population.size)).ravel()
        thresholds = population.threshold.tolist()
        for neuron, threshold, reset in zip(neurons, thresholds, resets.tolist()):
            change(neuron, threshold=threshold, reset=reset)

    def _connect(self, population: ExportedPopulation) -> None:
        """Add the synapses onto a population.

        Its bias has the current of the input.
        """
        targets = self._neurons[population.name]
        for projection in self._network.inbound(population.name):
            if projection.source == self._network.input.name:
                continue
            sources = self._relays(projection.source, projection.delay_steps - 1)
            weights = projection.weights.tocoo()
            synapses = zip(
                weights.col.tolist(),
                weights.row.tolist(),
                weights.data.tolist(),
            )
            # One by one: connect_neurons_sparse of version 2.1.1 gives synapses the
            # weights of others.
            for source, target, weight in synapses:
                attributes = {"weight": weight}
                sources[source].connect_to_neuron(targets[target], attributes)

    def _relays(self, population: str, steps: int) -> List[SanafeNeuron]:
        """Return neurons that repeat the spikes of a population some steps later."""
        if not steps:
            return self._neurons[population]
        name = f"{population} {steps} steps later"
        if name not in self._neurons:
            sources = self._relays(population, steps - 1)
            group = self._built.create_neuron_group(name, len(sources), RELAY, **UNITS)
            relays = list(group.neurons)
            for source, relay in zip(sources, relays):
                source.connect_to_neuron(relay, {"weight": 1.0})
            self._neurons[name] = relays
        return self._neurons[name]


def one_tile(neurons: int) -> Mapping[str, object]:
    """Return an architecture file of a chip without costs for a number of neurons."""
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


def change(neuron: SanafeNeuron, **attributes: object) -> None:
    """Set attributes of a neuron.

    Versions after 2.1.1 call the function `set_attributes`.
    """
    if hasattr(neuron, "set_attributes"):
        neuron.set_attributes(model_attributes=attributes)
    else:
        neuron.set_model_attributes(model_attributes=attributes)


def run_chip(
    chip: SanafeChip,
    changes: Changes,
    end: int,
    timing: str,
) -> List[SanafeResult]:
    """Simulate the steps 0 to `end` - 1 of a sample on a chip that is reset.

    Return SANA-FE's results of the parts between changes. `timing` is the name of a
    timing model.
    """
    chip.reset()
    results = []
    begins = sorted({0, *(step for step in changes if step < end)})
    for begin, part_end in zip(begins, [*begins[1:], end]):
        for neuron, attributes in changes.get(begin, ()):
            change(neuron, **attributes)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints every step
            result = chip.sim(
                part_end - begin,
                timing_model=timing,
                spike_trace=True,
                perf_trace=True,
            )
        results.append(result)
    return results


def spikes_by_step(results: List[SanafeResult]) -> Iterator[List[SanafeAddress]]:
    """Yield the addresses of the neurons that spike in each step."""
    return chain.from_iterable(part["spike_trace"] for part in results)


def spike_arrays(spikes: Mapping[str, List[SpikeRow]]) -> Dict[str, np.ndarray]:
    """Return the spikes of each population as an array, see `Spikes`."""
    return {
        name: np.array(rows, np.int64).reshape(
            -1,
            3,
        )
        for name, rows in spikes.items()
    }
