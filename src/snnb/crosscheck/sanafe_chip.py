"""The exported network in SANA-FE on the chip of a mapping, with energies and times.

(Boyle et al., IEEE TCAD 44(8), 2025.)
"""

import contextlib
import io
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.crosscheck.exported import ExportedNetwork, ExportedPopulation, Simulate
from snnb.crosscheck.sanafe import (
    Changes,
    SanafeChip,
    SanafeNeuron,
    SanafeResult,
    SpikeRow,
    import_sanafe,
    run_chip,
    spike_arrays,
    spikes_by_step,
)
from snnb.formats.sanafe import NEVER

ALWAYS = -NEVER  # threshold


@dataclass(frozen=True)
class ChipTrace:
    """Costs according to SANA-FE, a row for each simulated sample."""

    # By SANA-FE's components
    energy_pj: List[Dict[str, float]] = field(default_factory=list)
    # In its timing model `simple`
    step_ns: List[List[float]] = field(default_factory=list)
    # In `detailed`, which has contention
    detailed_ns: List[List[float]] = field(default_factory=list)

    @property
    def samples(self) -> int:
        """Number of samples simulated so far."""
        return len(self.step_ns)

    def add(self, simple: List[SanafeResult], contention: List[SanafeResult]) -> None:
        """Add the results of a sample in the models `simple` and `detailed`."""
        energies = {}
        for name in simple[0]["energy"]:
            energies[name] = sum(part["energy"][name] for part in simple) * 1e12
        self.energy_pj.append(energies)
        self.step_ns.append(_times_ns(simple))
        self.detailed_ns.append(_times_ns(contention))


def _times_ns(results: List[SanafeResult]) -> List[float]:
    """Return the duration of each step."""
    times: List[float] = []
    for part in results:
        times += [seconds * 1e9 for seconds in part["perf_trace"]["sim_time"]]
    return times


def build_chip(
    network: ExportedNetwork,
    netlist: Path,
    architecture: Path,
    random_spikes: Mapping[str, np.ndarray],
) -> Tuple[Simulate, ChipTrace]:
    """Return the simulation function of a mapped network, and the trace that it fills.

    `netlist` and `architecture` are files of `snnb export --format sanafe --map`,
    `random_spikes` the recorded spikes of the populations that are drawn at random
    (softmax), which follow from no weight: int64 (spikes, 3). Populations begin at
    their `first_step` and end after the time steps of a sample.
    """
    sanafe = import_sanafe(network)
    if network.leaky or network.input.coding != "current":
        raise UsageError(
            "--map takes converted networks with a constant input; omit it",
        )
    with contextlib.redirect_stdout(io.StringIO()):
        tiles = sanafe.load_arch(str(architecture))
        chip = sanafe.SpikingChip(tiles)
        chip.load(sanafe.load_net(str(netlist), tiles, use_netlist_format=True))
    simulation = _ChipSimulation(network, chip, random_spikes, ChipTrace())
    return simulation.simulate, simulation.trace


@dataclass(frozen=True)
class _ChipSimulation:
    """A network on the chip of a mapping, and its simulation function."""

    network: ExportedNetwork
    chip: SanafeChip
    random_spikes: Mapping[str, np.ndarray]
    trace: ChipTrace

    def simulate(self, inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        """Simulate samples one after the other, see `Simulate`; add to the trace."""
        network = self.network
        spikes: Dict[str, List[SpikeRow]] = {}
        for population in network.simulated_populations:
            spikes[population.name] = []
        end = steps + max(population.first_step for population in network.populations)
        for sample, pixels in enumerate(inputs):
            changes = self._changes(pixels, steps)
            simple = run_chip(self.chip, changes, end, "simple")
            contention = run_chip(self.chip, changes, end, "detailed")
            self.trace.add(simple, contention)
            for chip_step, addresses in enumerate(spikes_by_step(simple)):
                for address in addresses:
                    population = network.populations[int(address.group_name)]
                    if population.name in spikes:
                        step = chip_step - population.first_step
                        row = (sample, address.neuron_offset, step)
                        spikes[population.name].append(row)
        return spike_arrays(spikes)

    def _changes(self, pixels: np.ndarray, steps: int) -> Changes:
        """Return the changes of parameters by time step of the next sample."""
        changes: Changes = defaultdict(list)
        for group, population in enumerate(self.network.populations[1:], 1):
            neurons = list(self.chip.mapped_neuron_groups[str(group)])
            if population.name in self.random_spikes:
                rows = self.random_spikes[population.name]
                rows = rows[rows[:, 0] == self.trace.samples]
                _replay(changes, neurons, population.first_step, rows)
            else:
                self._run(changes, neurons, population, pixels, steps)
        return changes

    def _run(
        self,
        changes: Changes,
        neurons: List[SanafeNeuron],
        population: ExportedPopulation,
        pixels: np.ndarray,
        steps: int,
    ) -> None:
        """Add the changes that give neurons their input for the steps of a sample.

        The file has potentials in thresholds or integers.
        """
        unit = population.threshold
        if self.network.integers:
            unit = np.ones(population.size)
        input_current = self.network.input_current(population, pixels[np.newaxis])[:, 0]
        currents = (population.bias + input_current) / unit
        starts = currents + population.start / unit
        thresholds = population.threshold / unit
        if population.coding == "membrane":
            thresholds = np.full(population.size, NEVER)
        # Before changes of random spikes in step 0
        changes[0][:0] = [
            (
                neuron,
                {
                    "threshold": threshold,
                    "bias": 0.0,
                },
            )
            for neuron, threshold in zip(neurons, thresholds.tolist())
        ]
        begin = population.first_step
        _change_biases(changes[begin], neurons, starts)
        _change_biases(changes[begin + 1], neurons, currents)
        changes[begin + steps] += [(neuron, {"threshold": NEVER}) for neuron in neurons]


def _change_biases(
    changes: List[Tuple[SanafeNeuron, Dict[str, object]]],
    neurons: List[SanafeNeuron],
    biases: np.ndarray,
) -> None:
    """Add the changes of the biases of neurons in a step."""
    for neuron, bias in zip(neurons, biases.tolist()):
        changes.append((neuron, {"bias": bias}))


def _replay(
    changes: Changes,
    neurons: List[SanafeNeuron],
    first_step: int,
    rows: np.ndarray,
) -> None:
    """Add the changes that let neurons spike as recorded, `rows` as of `Spikes`."""
    for neuron in neurons:
        changes[0].append((neuron, {"threshold": NEVER, "reset_mode": "hard"}))
    for _, number, step in rows.tolist():
        chip_step = first_step + step
        changes[chip_step].append((neurons[number], {"threshold": ALWAYS}))
        # In front, so that a spike in that step too comes last
        changes[chip_step + 1].insert(0, (neurons[number], {"threshold": NEVER}))
