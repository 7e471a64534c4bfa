"""What `map` takes of a simulation that counted spikes in bins of time."""

from typing import TYPE_CHECKING, List, Optional, Tuple

from snnb.progress import Progress
from snnb.rundir.directory import RunDirectory
from snnb.stages import graph, simulate
from snnb.stages.stage import unaltered

if TYPE_CHECKING:
    from snnb.mapping.bins import BinLoads
    from snnb.mapping.map_network import MappedNetwork

BY_BIN = "spike_counts_by_bin.npz"


def counts_by_bin(run: RunDirectory, name: str) -> Tuple[List[str], List[str]]:
    """Return the path of the spikes by bin of time where a graph's simulation has them; if not, what the log says."""
    simulation = graph.simulation_of(run, name)
    record = None if simulation is None else run.record_of(simulate.KIND.name, simulation)
    path = f"{run.directory_of(simulate.KIND.name, simulation)}/{BY_BIN}"
    if record is None or not any(file.path == path for file in record.outputs):
        return [], ["busiest time: not known; `snnb simulate --bins N` counts spikes by time"]
    if graph.recorded_class(run, name) is not None:
        return [], ["busiest time: not known of one class; the simulation's bins of time hold all classes together"]
    return [path], []


def loads_by_bin(
    run: RunDirectory, mapped: "MappedNetwork", bins: List[str], progress: Progress
) -> "Optional[BinLoads]":
    """Count the spikes over the links in each bin of time, of the file that `counts_by_bin` found; None without."""
    from snnb.mapping.bins import bin_loads

    for path in bins:
        stamp = path.split("/")[1]
        remedy = f"`snnb simulate --repair {stamp}` makes it again"
        record = run.record_of(simulate.KIND.name, stamp)
        return bin_loads(mapped, unaltered(run, record, path, "the simulation wrote it", remedy), remedy, progress)
    return None
