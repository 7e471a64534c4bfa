"""A mapping of the run as other programs need it: the neurons on the cores of an architecture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, cast

import yaml

from snnb.core.errors import UpstreamError, UsageError
from snnb.pipeline import map as mapping_stage
from snnb.rundir.directory import RunDirectory
from snnb.rundir.staleness import stale_reason

if TYPE_CHECKING:
    from snnb.graph import SynapseGraph
    from snnb.graph.export.request import OnCores
    from snnb.mapping.mapping import Mapping


@dataclass(frozen=True)
class Placed:
    """A mapping and the stamp of its graph."""

    mapping: "Mapping"
    graph: str


def placed(run: RunDirectory, stamp: str, graph: Optional[str] = None) -> Placed:
    """Return a mapping of the run; raise where there is none, it is stale, or of another graph than the given one."""
    from snnb.mapping.mapping import Mapping

    records = run.records_of(mapping_stage.KIND.name)
    if stamp not in records:
        raise UsageError(f"--map {stamp}: not in {run.path}; there are: {', '.join(records) or 'none yet'}")
    record = cast("mapping_stage.MapRecord", records[stamp])
    if graph not in (None, record.details.graph):
        raise UsageError(f"--map {stamp} is of graph {record.details.graph}; leave out --graph {graph}")
    if record.details.relays:
        raise UsageError(
            f"--map {stamp}: its relay neurons start at half their threshold, and neurons of SANA-FE at 0; give a "
            "mapping without --split-fan-in"
        )
    stale = stale_reason(run, record, {})
    if stale is not None:
        raise UpstreamError(f"mapping {stamp} is stale: {stale}; map again with `snnb map --run-dir {run.path}`")
    directory = run.path / run.directory_of(mapping_stage.KIND.name, stamp)
    return Placed(Mapping.open(directory), record.details.graph)


def on_cores(graph: "SynapseGraph", mapping: "Mapping") -> "OnCores":
    """Return the neurons of a graph on the cores of an architecture of SANA-FE.

    The neurons that a mapping counts as active in every time step are updated in each, whatever their potential.
    """
    from snnb.graph.export.request import OnCores
    from snnb.mapping.events import active_neurons
    from snnb.mapping.neurons import PlacedNetwork
    from snnb.mapping.sanafe_architecture import address_of, architecture_file

    hardware, fullest = mapping.hardware, int(mapping.per_core["neurons"].max(initial=0))
    if fullest > hardware.neurons_per_core:
        raise UsageError(
            f"mapping {mapping.path.name} is invalid: a core has {fullest:,} neurons, and {hardware.name} takes "
            f"{hardware.neurons_per_core:,}; give a valid mapping"
        )
    tile, core = address_of(mapping.place, hardware.mesh, hardware.tile or (1, 1))
    return OnCores(
        tile[mapping.core],
        core[mapping.core],
        active_neurons(PlacedNetwork.of(graph)),
        yaml.safe_dump(architecture_file(hardware.model_dump()), sort_keys=False),
        {"stamp": mapping.path.name, "hardware": hardware.name},
    )
