"""`export`: the run's graph in another program's format."""

from pathlib import Path
from typing import Callable, Optional

from rich.filesize import decimal

from snnb.errors import UpstreamError, UsageError
from snnb.progress import Progress, silent
from snnb.rundir.directory import RunDirectory
from snnb.synapses import SynapseGraph
from snnb.synapses.export import FORMATS, Export, estimate, export


def export_graph(
    run: RunDirectory,
    format: str,
    *,
    output: Optional[Path] = None,
    graph: Optional[str] = None,
    rate_unit: str = "step",
    with_input: bool = False,
    scale: Optional[float] = None,
    idx64: bool = False,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Export:
    """Write a graph of the run in another format.

    Parameters
    ----------
    output
        Where to write; `graphs/<stamp>/export/MODEL.<ending>` when left out.
    graph
        Stamp of the graph, or `weights`; the latest when left out.
    rate_unit, with_input, scale, idx64, force
        As `snnb.synapses.export.export` has them.

    Raises
    ------
    UpstreamError
        The run has no graph yet.
    UsageError
        There is no such graph or format, or the target exists and `force` is false.
    """
    known = run.records_of("graph")
    if not known:
        raise UpstreamError(f"{run.path} has no graph yet; `snnb graph --run-dir {run.path}` makes it")
    stamp = graph or max(known, key=lambda key: known[key].timing.started_utc)
    if stamp not in known:
        raise UsageError(f"--graph {graph}: not in {run.path}; there are: {', '.join(known)}")
    folder = run.path / run.directory_of("graph", stamp)
    opened = SynapseGraph.open(folder / f"{run.model}_graph.h5")
    expected = estimate(opened, format, with_input=with_input)
    target = output or folder / "export" / f"{run.model}{FORMATS[format].suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"export: about {decimal(expected.size_bytes)}, {expected.seconds:,.1f} s")
    recorded = run.path / run.directory_of("simulate", stamp) / "spike_times.npz"
    return export(
        opened,
        format,
        target,
        rate_unit=rate_unit,
        with_input=with_input,
        scale=scale,
        idx64=idx64,
        spike_times=recorded if recorded.exists() else None,
        force=force,
        progress=progress,
    )
