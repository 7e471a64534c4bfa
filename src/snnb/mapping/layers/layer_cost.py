"""Cost of layers on cores, from the spike counts of a simulation: `cost.json` of such a mapping.

A spike of a layer goes once to each core that reads the layer; twice if that core reads it twice, as two sources. All
figures are per sample.
"""

import hashlib
import json
from pathlib import Path
from typing import Dict, List, Literal, Mapping, Optional, Sequence

import numpy as np
from pydantic import Field
from typing_extensions import Annotated

from snnb.chips.hardware import LayerHardware
from snnb.core.errors import DamagedError
from snnb.core.quantities import number, rows, units, view
from snnb.io.text import Document, read_document
from snnb.mapping.layers.assignment import LayerAssignment, text_table
from snnb.mapping.quantities import CORE_EVENTS_PEAK, LayerCores, LayerTraffic
from snnb.network.network import Network, Population, Reindexed
from snnb.network.spike_times import read_spike_times

COST = "cost.json"


class LayerSource(Document):
    """Spikes that a layer reads."""

    name: str  # population, or the input
    pooling: int  # side of the windows that are summed on the way; 1: none


class LayerOnCore(Document):
    """A layer and its core. Numbers of entries are those of the three memories of the core."""

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
    """Events into the core that receives the most of them in a step of a recorded sample."""

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
            f"events into the busiest core in a step of {len(self.samples):,} recorded samples: "
            f"{self.core_events_peak:,} at most (core {self.core}, sample {self.sample:,}, step {self.step:,}), "
            f"mean {number(self.mean).value}"
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
    folded: Dict[str, int]  # poolings without neurons on the chip, and the sides of their windows
    busiest_core: Optional[BusiestCore] = None  # None: no spike times were recorded
    units: Dict[str, str] = Field(default_factory=dict)  # of the quantities that have a value
    sha256: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")  # of all other fields

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
        spike_times: Optional[Path] = None,
    ) -> "LayerCost":
        """Compute the cost of a network that fits.

        Parameters
        ----------
        counts : spikes of each neuron per sample, float64, by name of each population and of a spiking input
        spike_times : spike_times.npz of the simulation
        """
        core = {layer.name: number for layer, number in zip(assignment.layers, assignment.core) if number is not None}
        operations = synaptic_operations(network, assignment.folded, counts)
        outside = network.input.name
        readers = [(term.source, core[layer.name]) for layer in assignment.layers for term in layer.terms]
        layers = []
        for layer, fits in zip(assignment.layers, assignment.fits):
            received = [t.source for t in layer.terms if core.get(t.source) != core[layer.name]]
            sent = sum(source == layer.name and reader != core[layer.name] for source, reader in readers)
            layers.append(
                LayerOnCore(
                    name=layer.name,
                    core=core[layer.name],
                    fits=list(fits),
                    kernel=layer.kernel,
                    neurons=layer.neurons,
                    biases=layer.biases,
                    sources=[LayerSource(name=term.source, pooling=term.pooling) for term in layer.terms],
                    spikes_in=float(sum(counts[name].sum() for name in received if name in counts)),
                    spikes_out=float(sent * counts[layer.name].sum()) if layer.name in counts else 0.0,
                    synaptic_operations=operations[layer.name],
                )
            )
        n_outside = sum(source == outside for source, _ in readers)
        made = cls(
            model=model,
            graph=graph,
            hardware=hardware,
            neurons=sum(network.volume(layer.name).size for layer in layers),
            samples=samples,
            cores=LayerCores(cores=len({layer.core for layer in layers})),
            traffic=LayerTraffic(
                connectivity=sum(layer.spikes_out for layer in layers),
                outside_spikes=float(n_outside * counts[outside].sum()) if outside in counts else 0.0,
                synaptic_operations=sum(layer.synaptic_operations for layer in layers),
            ),
            layers=layers,
            folded=dict(assignment.folded),
            busiest_core=None if spike_times is None else _busiest(assignment, core, list(counts), spike_times),
        )
        made = made.model_copy(update={"units": units(made)})
        return made.model_copy(update={"sha256": made.checksum()})

    def checksum(self) -> str:
        """Return the SHA-256 of all other fields."""
        content = {name: value for name, value in self.model_dump(mode="json").items() if name != "sha256"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> "LayerCost":
        """Read a file; raise `DamagedError` if it is not one, or its checksum does not match."""
        cost = read_document(cls, path)
        if cost.sha256 != cost.checksum():
            raise DamagedError(path, "damaged, its checksum does not match")
        return cost

    def log_lines(self, assignment: LayerAssignment) -> List[str]:
        """Return the lines of the log: layers with their memories, and cost."""
        text = [f"{len(self.layers)} layers on {self.cores.cores} cores of {self.hardware.name}"]
        text += [f"source of the figures: {self.hardware.source}", "", *text_table(assignment.rows()), ""]
        table = [["layer", "core", "spikes in", "spikes out", "synaptic operations"]]
        for layer in self.layers:
            loads = (layer.spikes_in, layer.spikes_out, layer.synaptic_operations)
            table.append([layer.name, str(layer.core), *(number(load).value for load in loads)])
        text += [*text_table(table), ""]
        text += [f"  {row.title:<20}{row.value:>14}  {row.unit}".rstrip() for row in rows(self, COST_TABLE)]
        return text + ([] if self.busiest_core is None else [self.busiest_core.line()])


COST_TABLE = view("cores", "connectivity", "outside_spikes", "synaptic_operations", of=[LayerCost])


def synaptic_operations(
    network: Network, folded: Mapping[str, int], counts: Mapping[str, np.ndarray]
) -> Dict[str, float]:
    """Count the spikes at synapses of each population that is not folded, per sample.

    A folded pooling passes all spikes of its windows on. Weights of 0 by which a kernel is filled up do not count.
    """
    values: Dict[str, np.ndarray] = {}
    for volume in network.volumes:
        if isinstance(volume, Reindexed):
            values[volume.name] = np.maximum(volume.layer.apply([values[name] for name in volume.inputs]), 0)
        elif volume.name in folded and isinstance(volume, Population):
            geometry = volume.only.geometry
            values[volume.name] = geometry.sums(values[volume.only.input].reshape(geometry.input_volume))
        else:
            values[volume.name] = np.asarray(counts.get(volume.name, np.zeros(volume.size))).reshape(volume.shape)
    return {
        population.name: float(
            sum(
                (values[p.input].reshape(p.geometry.input_volume) * p.geometry.fan_out()[:, :, np.newaxis]).sum()
                for p in population.projections
            )
        )
        for population in network.populations
        if population.name not in folded
    }


def _busiest(assignment: LayerAssignment, core: Mapping[str, int], sources: Sequence[str], path: Path) -> BusiestCore:
    recorded = read_spike_times(path, sources)
    samples, steps = recorded.samples, recorded.steps
    events = np.zeros((max(core.values()) + 1, len(samples) * steps), np.int64)
    for layer in assignment.layers:
        for term in layer.terms:
            if term.source in sources and core.get(term.source) != core[layer.name]:
                sample, _, step = recorded.spikes[term.source].T
                at = (sample - samples.start) * steps + step
                events[core[layer.name]] += np.bincount(at, minlength=len(samples) * steps)
    number, at_most = np.unravel_index(int(events.argmax()), events.shape)
    return BusiestCore(
        samples=list(samples),
        core_events_peak=int(events.max()),
        core=int(number),
        sample=int(at_most) // steps + samples.start,
        step=int(at_most) % steps,
        mean=float(events.max(axis=0).mean()),
    )
