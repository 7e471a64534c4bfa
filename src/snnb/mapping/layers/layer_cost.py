"""Cost of layers on cores, from the spike counts of a simulation.

It is `cost.json` of such a mapping.

A spike of a layer goes once to each core that reads the layer; twice if that core reads
it twice, as two sources. All figures are per sample.
"""

import hashlib
import json
from pathlib import Path
from typing import Dict, List, Literal, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from pydantic import Field
from typing_extensions import Annotated

from snnb.chips.hardware import LayerHardware
from snnb.core.errors import DamagedError
from snnb.core.quantities import number, rows, units, view
from snnb.io.text import Document, read_document
from snnb.mapping.layers.assignment import LayerAssignment, text_table
from snnb.mapping.layers.core_layer import CoreLayer
from snnb.mapping.quantities import (
    CORE_EVENTS_PEAK,
    LayerCores,
    LayerTraffic,
    MappingSummary,
)
from snnb.network.network import Network, Population, Reindexed
from snnb.network.spike_times import SpikeTimes

COST = "cost.json"


class LayerSource(Document):
    """Spikes that a layer reads."""

    name: str  # population, or the input
    pooling: int  # side of the windows that are summed on the way; 1: none


class LayerOnCore(Document):
    """A layer and its core, with the numbers of entries in the memories of the core."""

    name: str
    core: int
    fits: List[int]  # cores that hold the layer
    kernel: int
    neurons: int
    biases: int
    sources: List[LayerSource]
    spikes_in: float  # from other cores, and from a spiking input
    spikes_out: float  # to other cores
    synaptic_operations: float  # of the spikes that it reads, also from its own core


class BusiestCore(Document):
    """Events into the core that receives the most of them in a recorded step."""

    samples: List[int]  # indices of the test samples
    core_events_peak: Annotated[int, CORE_EVENTS_PEAK] = Field(
        description="most events into one core in a step of a recorded sample"
    )
    core: int  # core, sample and step, from 0, of the peak; the first one
    sample: int
    step: int
    mean: float  # over steps and samples, of the core that is busiest in each

    def line(self) -> str:
        """Return the line of the log."""
        return (
            f"events into the busiest core in a step of {len(self.samples):,} recorded "
            f"samples: {self.core_events_peak:,} at most (core {self.core}, sample "
            f"{self.sample:,}, step {self.step:,}), mean {number(self.mean).value}"
        )


class LayerCost(Document):
    """Content of `cost.json` of a mapping of layers: its cost, and how it was made."""

    kind: Literal["layers"] = "layers"
    model: str
    graph: str  # stamp
    hardware: LayerHardware
    neurons: int
    samples: int
    cores: LayerCores
    traffic: LayerTraffic
    layers: List[LayerOnCore]
    # Poolings without neurons on the chip, and the sides of their windows
    folded: Dict[str, int]
    busiest_core: Optional[BusiestCore] = None  # None: no spike times were recorded
    # Of the quantities that have a value
    units: Dict[str, str] = Field(default_factory=dict)
    # Of all other fields
    sha256: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(
        cls,
        network: Network,
        hardware: LayerHardware,
        assignment: LayerAssignment,
        counts: Mapping[str, np.ndarray],
        *,
        model: str,
        graph: str,
        samples: int,
        spike_times: Optional[SpikeTimes] = None,
    ) -> "LayerCost":
        """Compute the cost of a network that fits.

        Parameters
        ----------
        counts : mapping of str to np.ndarray
            Spikes of each neuron per sample, float64, by the name of each population
            and of a spiking input.
        spike_times : SpikeTimes, optional
            Spikes of the recorded samples.
        """
        core = _cores_by_layer(assignment)
        readers: List[_Reader] = []
        for layer in assignment.layers:
            for term in layer.terms:
                readers.append(_Reader(term.source, core[layer.name]))
        operations = synaptic_operations(network, assignment.folded, counts)
        layers: List[LayerOnCore] = []
        for layer, fits in zip(assignment.layers, assignment.fits):
            layer_on_core = LayerOnCore(
                name=layer.name,
                core=core[layer.name],
                fits=list(fits),
                kernel=layer.kernel,
                neurons=layer.neurons,
                biases=layer.biases,
                sources=[
                    LayerSource(name=term.source, pooling=term.pooling)
                    for term in layer.terms
                ],
                spikes_in=_count_spikes_in(layer, core, counts),
                spikes_out=_count_spikes_out(layer, core, readers, counts),
                synaptic_operations=operations[layer.name],
            )
            layers.append(layer_on_core)
        outside = network.input.name
        outside_spikes = 0.0
        if outside in counts:
            n_readers = sum(reader.source == outside for reader in readers)
            outside_spikes = float(n_readers * counts[outside].sum())
        busiest_core: Optional[BusiestCore] = None
        if spike_times is not None:
            busiest_core = _find_busiest_core(
                assignment,
                core,
                list(counts),
                spike_times,
            )
        cost = cls(
            model=model,
            graph=graph,
            hardware=hardware,
            neurons=sum(network.volume(layer.name).size for layer in layers),
            samples=samples,
            cores=LayerCores(cores=len({layer.core for layer in layers})),
            traffic=LayerTraffic(
                connectivity=sum(layer.spikes_out for layer in layers),
                outside_spikes=outside_spikes,
                synaptic_operations=sum(layer.synaptic_operations for layer in layers),
            ),
            layers=layers,
            folded=dict(assignment.folded),
            busiest_core=busiest_core,
        )
        cost = cost.model_copy(update={"units": units(cost)})
        return cost.model_copy(update={"sha256": cost.checksum()})

    def checksum(self) -> str:
        """Return the SHA-256 of all other fields."""
        content: Dict[str, object] = self.model_dump(mode="json")
        content.pop("sha256", None)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> "LayerCost":
        """Read a file.

        Raise `DamagedError` if it is not one, or its checksum does not match.
        """
        cost = read_document(cls, path)
        if cost.sha256 != cost.checksum():
            raise DamagedError(path, "damaged, its checksum does not match")
        return cost

    def summary(self) -> MappingSummary:
        """Return the figures that the manifest also holds."""
        busiest = self.busiest_core
        return MappingSummary(
            graph=self.graph,
            hardware=self.hardware.name,
            mesh=None,
            method="layers",
            neurons=self.neurons,
            overfull_cores=0,
            cores=self.cores,
            traffic=self.traffic,
            core_events_peak=None if busiest is None else busiest.core_events_peak,
        )

    def log_lines(self, assignment: LayerAssignment) -> List[str]:
        """Return the lines of the log: layers with their memories, and cost."""
        cores = f"{self.cores.cores} cores of {self.hardware.name}"
        text = [
            f"{len(self.layers)} layers on {cores}",
            f"source of the figures: {self.hardware.source}",
            "",
            *text_table(assignment.rows()),
            "",
        ]
        table = [["layer", "core", "spikes in", "spikes out", "synaptic operations"]]
        for layer in self.layers:
            cells = [
                layer.name,
                str(layer.core),
                number(layer.spikes_in).value,
                number(layer.spikes_out).value,
                number(layer.synaptic_operations).value,
            ]
            table.append(cells)
        text += [*text_table(table), ""]
        for row in rows(self, COST_TABLE):
            text.append(f"  {row.title:<20}{row.value:>14}  {row.unit}".rstrip())
        if self.busiest_core is not None:
            text.append(self.busiest_core.line())
        return text


class _Reader(NamedTuple):
    """A core that reads the spikes of a source."""

    source: str  # population, or the input
    core: int


def _cores_by_layer(assignment: LayerAssignment) -> Dict[str, int]:
    """Return the core of each layer by its name."""
    cores: Dict[str, int] = {}
    for layer, core in zip(assignment.layers, assignment.core):
        if core is not None:
            cores[layer.name] = core
    return cores


COST_TABLE = view(
    "cores",
    "connectivity",
    "outside_spikes",
    "synaptic_operations",
    of=[LayerCost],
)


def synaptic_operations(
    network: Network,
    folded_poolings: Mapping[str, int],
    counts: Mapping[str, np.ndarray],
) -> Dict[str, float]:
    """Count the spikes at synapses of each population that is not folded, per sample.

    A folded pooling passes all spikes of its windows on. Weights of 0 by which a kernel
    is filled up do not count.
    """
    spikes: Dict[str, np.ndarray] = {}  # of each volume, in its shape
    for volume in network.volumes:
        if isinstance(volume, Reindexed):
            inputs = [spikes[name] for name in volume.inputs]
            spikes[volume.name] = np.maximum(volume.layer.apply(inputs), 0)
        elif volume.name in folded_poolings and isinstance(volume, Population):
            geometry = volume.only.geometry
            input_spikes = spikes[volume.only.input].reshape(geometry.input_volume)
            spikes[volume.name] = geometry.sums(input_spikes)
        else:
            numbers = counts.get(volume.name, np.zeros(volume.size))
            spikes[volume.name] = np.asarray(numbers).reshape(volume.shape)
    operations: Dict[str, float] = {}
    for population in network.populations:
        if population.name in folded_poolings:
            continue
        sums = []
        for projection in population.projections:
            geometry = projection.geometry
            input_spikes = spikes[projection.input].reshape(geometry.input_volume)
            sums.append((input_spikes * geometry.fan_out()[:, :, np.newaxis]).sum())
        operations[population.name] = float(sum(sums))
    return operations


def _find_busiest_core(
    assignment: LayerAssignment,
    core: Mapping[str, int],
    sources: Sequence[str],
    recording: SpikeTimes,
) -> BusiestCore:
    """Find the core that receives the most events in a step of a recorded sample.

    Parameters
    ----------
    core : mapping
        Core of each layer by its name.
    sources : sequence of str
        Populations and inputs that spike.
    recording : SpikeTimes
        Spikes of the recorded samples.
    """
    samples = recording.samples
    steps = recording.steps
    n_steps = len(samples) * steps  # of all samples, one sample after the other
    events = np.zeros((max(core.values()) + 1, n_steps), np.int64)
    for layer in assignment.layers:
        layer_core = core[layer.name]
        for term in layer.terms:
            if term.source in sources and core.get(term.source) != layer_core:
                sample, _, step = recording.spikes[term.source].T
                sample_step = (sample - samples.start) * steps + step
                events[layer_core] += np.bincount(sample_step, minlength=n_steps)
    peak_core, peak_step = np.unravel_index(int(events.argmax()), events.shape)
    return BusiestCore(
        samples=list(samples),
        core_events_peak=int(events.max()),
        core=int(peak_core),
        sample=int(peak_step) // steps + samples.start,
        step=int(peak_step) % steps,
        mean=float(events.max(axis=0).mean()),
    )


def _count_spikes_in(
    layer: CoreLayer,
    core: Mapping[str, int],
    counts: Mapping[str, np.ndarray],
) -> float:
    """Count the spikes per sample that the core of a layer receives from others.

    Spikes of a spiking input are included. `core` is that of each layer by name; for
    `counts` see `LayerCost.of`.
    """
    spikes = 0.0
    for term in layer.terms:
        if core.get(term.source) != core[layer.name] and term.source in counts:
            spikes += counts[term.source].sum()
    return float(spikes)


def _count_spikes_out(
    layer: CoreLayer,
    core: Mapping[str, int],
    readers: Sequence[_Reader],
    counts: Mapping[str, np.ndarray],
) -> float:
    """Count the spikes per sample that the core of a layer sends to others.

    A spike counts once for each of the `readers` of the layer on another core.
    """
    if layer.name not in counts:
        return 0.0
    n_readers = 0
    for reader in readers:
        n_readers += reader.source == layer.name and reader.core != core[layer.name]
    return float(n_readers * counts[layer.name].sum())
