"""The chips of a grid: what a simulation costs on each of them. The mappings are not kept."""

import json
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Callable, Dict

from snnb.core.errors import InputError
from snnb.core.progress import Progress, Say
from snnb.io.text import JsonValue
from snnb.mapping.hardware import read_hardware
from snnb.pipeline.simulate import KIND
from snnb.rundir.directory import RunDirectory
from snnb.simulation.file_names import ACCURACIES, SUMS

# Energies can be compared if they are `energy_of` the same: all `events`, or `network`, without neurons and messages
CHIP_COLUMNS = ("cores", "chips", "energy_pj", "energy_of", "sample_ns", "sample_latency_ns", "note")


def chip_figures(
    run: RunDirectory, stamp: str, hardware: str, say: Say, bar: "Callable[[str], AbstractContextManager[Progress]]"
) -> Dict[str, JsonValue]:
    """Map a simulation onto hardware, and return `CHIP_COLUMNS`; where it does not fit, only a note that says why.

    Parameters
    ----------
    stamp : str
        Of the simulation.
    hardware : name or file of a description
    """
    from snnb.graph.build import build_graph
    from snnb.mapping.map_network import map_network
    from snnb.mapping.mapping_cost import MappingCost
    from snnb.mapping.neurons import PlacedNetwork

    folder, found = run.path / run.directory_of(KIND.name, stamp), dict.fromkeys(CHIP_COLUMNS)
    parsed, coding = folder / f"{run.model}_parsed.h5", json.loads((folder / ACCURACIES).read_text())["coding"]
    chip, _ = read_hardware(hardware)
    with tempfile.TemporaryDirectory() as scratch, build_graph(
        parsed, Path(scratch) / "graph.h5", counts=folder / SUMS, coding=coding
    ) as graph:
        try:
            with bar("map") as progress:
                figures = MappingCost.of(map_network(PlacedNetwork.of(graph), chip, progress=progress)).figures
        except InputError as error:
            say(f"sweep: {error}")
            return {**found, "note": str(error)}
    known: Dict[str, JsonValue] = {"chips": 1, "energy_of": "events" if chip.events else "network"}
    return {**found, **known, **{name: figures[name] for name in CHIP_COLUMNS if name in figures}}
