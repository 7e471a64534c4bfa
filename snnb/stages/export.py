"""`export`: the run's graph in another program's format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from snnb.errors import UpstreamError, UsageError
from snnb.progress import Progress, silent
from snnb.rundir.directory import RunDirectory


@dataclass(frozen=True)
class Exported:
    """What was written: a file or a folder."""

    path: Path
    edges: int
    size_bytes: int


def export_graph(
    run: RunDirectory,
    format: str,
    *,
    output: Optional[Path] = None,
    graph: Optional[str] = None,
    rate_unit: str = "step",
    with_input: bool = False,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Exported:
    """Write a graph of the run in another format.

    Parameters
    ----------
    output
        Where to write; `graphs/<stamp>/export/MODEL.<ending>` when left out.
    graph
        Stamp of the graph, or `weights`; the latest when left out.

    Raises
    ------
    UpstreamError
        The run has no graph yet.
    UsageError
        There is no such graph or format, or the target exists and `force` is false.
    """
    from snnb.synapses import SynapseGraph
    from snnb.synapses.export import default_name, estimate
    from snnb.synapses.export import export as write

    known = run.manifest.stages.graphs
    if not known:
        raise UpstreamError(f"{run.path} has no graph yet; `snnb graph --run-dir {run.path}` makes it")
    stamp = graph or max(known, key=lambda key: known[key].timing.started_utc)
    if stamp not in known:
        raise UsageError(f"--graph {graph}: not in {run.path}; there are: {', '.join(known)}")
    folder = run.path / run.directory_of("graph", stamp)
    opened = SynapseGraph.open(folder / f"{run.model}_graph.h5")
    target = output or folder / "export" / default_name(format, run.model)
    target.parent.mkdir(parents=True, exist_ok=True)
    expected = estimate(opened, format)
    say(f"export: about {expected.size_bytes / 1e6:,.1f} MB, {expected.seconds:,.0f} s")
    write(opened, format, target, rate_unit=rate_unit, with_input=with_input, force=force, progress=progress)
    files = [target] if target.is_file() else [f for f in target.rglob("*") if f.is_file()]
    return Exported(target, opened.number_of_edges(), sum(f.stat().st_size for f in files))
