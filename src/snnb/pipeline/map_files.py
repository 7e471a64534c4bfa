"""Files of the stage `map`: spikes by time bin that it reads, and the files that it writes."""

from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from snnb.core.options import Options
from snnb.core.progress import Progress
from snnb.mapping.hardware import Hardware
from snnb.pipeline import graph, simulate
from snnb.pipeline.stage import remedy, unaltered, write_log
from snnb.rundir.directory import RunDirectory
from snnb.simulation.file_names import BY_BIN, SPIKE_TIMES

if TYPE_CHECKING:
    from snnb.mapping.bins import BinLoads
    from snnb.mapping.map_network import MappedNetwork
    from snnb.mapping.step_times import RecordedSteps


def counts_by_bin(run: RunDirectory, name: str) -> Tuple[Optional[str], List[str]]:
    """Return the path of the spikes by time bin of a graph's simulation, or None and lines for the log."""
    path = _simulated(run, name, BY_BIN)
    if path is None:
        return None, ["busiest time: not known; `snnb simulate --bins N` counts spikes by time"]
    if graph.recorded_class(run, name) is not None:
        return None, ["busiest time: not known of one class; the simulation's bins of time hold all classes together"]
    return path, []


def spike_times(run: RunDirectory, name: str, hardware: Hardware) -> Optional[str]:
    """Return the path of the recorded spike times of a graph's simulation, if the hardware has figures of events."""
    path = _simulated(run, name, SPIKE_TIMES)
    used = (hardware.events or hardware.time_ns is not None) and graph.recorded_class(run, name) is None
    return path if used else None


def _simulated(run: RunDirectory, name: str, file: str) -> Optional[str]:
    """Return the path of a file of a graph's simulation, or None if the simulation did not write it."""
    simulation = graph.simulation_of(run, name)
    record = None if simulation is None else run.record_of(simulate.KIND.name, simulation)
    path = f"{run.directory_of(simulate.KIND.name, simulation)}/{file}"
    return path if record is not None and any(output.path == path for output in record.outputs) else None


def steps_of_samples(run: RunDirectory, mapped: "MappedNetwork", path: str, progress: Progress) -> "RecordedSteps":
    """Compute energy and times of the recorded samples; `path` is from `spike_times`."""
    from snnb.mapping.step_times import recorded_steps

    stamp = path.split("/")[1]
    mend, record = remedy(run, simulate.KIND.name, stamp), run.record_of(simulate.KIND.name, stamp)
    return recorded_steps(mapped, unaltered(run, record, path, mend), mend, progress)


def loads_by_bin(run: RunDirectory, mapped: "MappedNetwork", path: str, progress: Progress) -> "BinLoads":
    """Count the spikes over the links of the mesh in each time bin; `path` is from `counts_by_bin`."""
    from snnb.mapping.bins import bin_loads

    stamp = path.split("/")[1]
    mend, record = remedy(run, simulate.KIND.name, stamp), run.record_of(simulate.KIND.name, stamp)
    return bin_loads(mapped, unaltered(run, record, path, mend), mend, progress)


def write_files(
    run: RunDirectory,
    directory: Path,
    mapped: "MappedNetwork",
    by_time: "Tuple[Optional[BinLoads], Optional[RecordedSteps]]",
    *,
    params: Options,
    notes: Sequence[str],
    figures: str,
    described: Mapping[str, object],
) -> None:
    """Write the files of a mapping.

    Parameters
    ----------
    run : RunDirectory
    directory : Path
    mapped : MappedNetwork
    by_time : pair of BinLoads and RecordedSteps, each or None
    params : Options
    notes : sequence of str
        Further lines of the log.
    figures : {"png", "svg", "pdf"}
    described : mapping
        Entries of `cost.json` other than the costs.
    """
    from snnb.mapping.mapping_plots import plot_events, plot_mapping, plot_traffic
    from snnb.mapping.write_mapping import log_lines, write_mapping

    plot_mapping(directory / f"mapping.{figures}", mapped)
    plot_traffic(directory / f"traffic.{figures}", mapped)
    if mapped.cost.events is not None:
        plot_events(directory / f"events.{figures}", mapped, mapped.cost.events)
    found = {name: one for name, one in zip(("by_bin", "recorded"), by_time) if one is not None}
    words = [one.in_words() for one in found.values()]
    write_log(directory / "log.txt", run, params, [*log_lines(mapped), *words, *notes], dated=False)
    of_class = mapped.network.graph.class_name
    optional: Dict[str, object] = {} if of_class is None else {"class_name": of_class}
    optional.update({name: one.described() for name, one in found.items()})
    write_mapping(directory, mapped, {**described, **optional})


def metrics(mapped: "MappedNetwork", peak: "Optional[BinLoads]") -> Dict[str, Union[int, float, None]]:
    """Return the figures that the manifest records."""
    from snnb.mapping.write_mapping import cost_figures

    found = cost_figures(mapped)
    shown = ("cores", "chips", "connectivity", "hops_unicast", "energy_pj", "step_ns")
    chosen = {name: found[name] for name in shown if name in found}
    by_bin = {} if peak is None else {"link_load_peak": peak.loads[peak.peak]}
    return {**chosen, **by_bin, "sequential_connectivity": mapped.sequential.connectivity}
