"""The cost of a simulation on each chip of a grid. The mappings are not kept."""

import hashlib
import tempfile
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Literal, NamedTuple, Optional, Union

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Progress, Say
from snnb.io.files import sha256_of
from snnb.io.text import Document, read_document
from snnb.mapping.hardware import Hardware, read_hardware
from snnb.pipeline.simulate import KIND
from snnb.rundir.directory import RunDirectory
from snnb.simulation.simulation_files import SUMS
from snnb.simulation.simulation_statistics import ACCURACIES, SimulationStatistics

if TYPE_CHECKING:
    from snnb.mapping.neurons import PlacedNetwork


class ChipFigures(Document):
    """Cost of a simulation on a chip; where it does not fit, only a note with the reason."""

    cores: Optional[int]
    chips: Optional[int]
    energy_pj: Optional[float]
    # Energies can be compared if they are of the same: all `events`, or the `network`, without neurons and messages
    energy_of: Optional[Literal["events", "network"]]
    sample_ns: Optional[float]
    sample_latency_ns: Optional[float]
    note: Optional[str]


NO_CHIP = ChipFigures(**dict.fromkeys(ChipFigures.model_fields))


class TrafficOnChip(NamedTuple):
    """Key of a mapping: networks of equal synapses and traffic are mapped onto a chip in the same way."""

    parsed: str  # SHA-256 of the parsed network
    traffic: str  # SHA-256 of the spikes of each neuron that has synapses
    hardware: bytes  # content of the description


class Places(NamedTuple):
    """Arrays of a mapping, from which its cost is computed."""

    core: np.ndarray  # (neurons,) int32
    place: np.ndarray  # (cores, 2) int32
    entries: Optional[np.ndarray]  # see `TrafficSums`


def chip_figures(
    run: RunDirectory,
    stamp: str,
    hardware: str,
    mapped: Dict[TrafficOnChip, Union[Places, InputError]],
    say: Say,
    bar: "Callable[[str], AbstractContextManager[Progress]]",
) -> ChipFigures:
    """Map a simulation onto hardware and return its cost.

    Parameters
    ----------
    stamp : str
        Stamp of the simulation.
    hardware : name or file of a description
    mapped : dict
        Mappings of earlier points, or the errors of those that do not fit; a new one is added.
    """
    from snnb.graph.build import build_graph
    from snnb.mapping.cost import cost
    from snnb.mapping.neurons import PlacedNetwork
    from snnb.mapping.traffic import count_traffic

    folder = run.path / run.directory_of(KIND.name, stamp)
    parsed, coding = folder / f"{run.model}_parsed.h5", read_document(SimulationStatistics, folder / ACCURACIES).coding
    chip, text = read_hardware(hardware)
    with tempfile.TemporaryDirectory() as scratch, build_graph(
        parsed, Path(scratch) / "graph.h5", counts=folder / SUMS, coding=coding
    ) as graph:
        network = PlacedNetwork.of(graph)
        key = TrafficOnChip(sha256_of(parsed), _traffic_of(network), text)
        if key not in mapped:
            with bar("map") as progress:
                mapped[key] = _mapped(network, chip, progress)
        places = mapped[key]
        if isinstance(places, InputError):
            say(f"sweep: {places}")
            return NO_CHIP.model_copy(update={"note": str(places)})
        sums = replace(count_traffic(network, places.core, len(places.place)), entries=places.entries)
        costs = cost(sums, chip, places.place)
    return ChipFigures(
        cores=int(np.count_nonzero(costs.neurons)),
        chips=1 if costs.chips is None else costs.chips,
        energy_pj=costs.energy_pj,
        energy_of="events" if chip.events else "network",
        sample_ns=costs.sample_ns,
        sample_latency_ns=costs.sample_latency_ns,
        note=None,
    )


def _mapped(network: "PlacedNetwork", chip: Hardware, progress: Progress) -> Union[Places, InputError]:
    from snnb.mapping.map_network import map_network

    try:
        mapping = map_network(network, chip, progress=progress)
    except InputError as error:
        return error
    return Places(mapping.core, mapping.place, mapping.partition.best.entries)


def _traffic_of(network: "PlacedNetwork") -> str:
    """Return the SHA-256 of the spikes that synapses carry: the spikes of all neurons except the output's."""
    digest = hashlib.sha256(str(network.samples).encode())
    for population in network.sources:
        if network.projections_from(population):
            digest.update(f"{population.name} ".encode() + network.spikes_of(population).tobytes())
    return digest.hexdigest()
