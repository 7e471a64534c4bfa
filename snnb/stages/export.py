"""`export`: the run's graph in another program's format."""

from pathlib import Path
from typing import Callable, List, Optional

from rich.filesize import decimal

from snnb.errors import InputError, UpstreamError, UsageError
from snnb.progress import Progress, silent
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.status import stale_reason
from snnb.synapses import SynapseGraph
from snnb.synapses.export import DESCRIPTION, FORMATS, Export, estimate, export
from snnb.text import load_json

EXPORTS = "exports"


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
        Where to write; `exports/<graph's stamp>/MODEL.<ending>` of the run when left out.
    graph
        Stamp of the graph, or `weights`; the latest when left out.
    rate_unit, with_input, scale, idx64, force
        As `snnb.synapses.export.export` has them.

    Raises
    ------
    UpstreamError
        The run has no graph yet.
    UsageError
        There is no such graph or format; the target is, contains or lies among a run's own files; it exists and
        `force` is false; or it is neither a file nor what an export made.
    """
    known = run.manifest.stages.graphs
    if not known:
        raise UpstreamError(f"{run.path} has no graph yet; `snnb graph --run-dir {run.path}` makes it")
    stamp = graph or max(known, key=lambda key: known[key].timing.started_utc)
    if stamp not in known:
        raise UsageError(f"--graph {graph}: not in {run.path}; there are: {', '.join(known)}")
    others = [name for name in known if name != stamp]
    say(
        f"export: graph {stamp}"
        + (", of the weights alone" if stamp == "weights" else "")
        + (f"; there are also {', '.join(others)}: choose with --graph" if others and graph is None else "")
    )
    stale = stale_reason(run, known[stamp], {})
    if stale:
        say(f"export: this graph is stale: {stale}")
    folder = run.path / run.directory_of("graph", stamp)
    opened = SynapseGraph.open(folder / f"{run.model}_graph.h5")
    expected = estimate(opened, format, with_input=with_input)
    if output is None:
        target = _own_place(run, stamp) / f"{run.model}{FORMATS[format].suffix}"
    else:
        target = output
        _refuse_files_of_runs(target, run)
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
        origin={"stamp": stamp, "sha256": _hash_of(run, stamp) or ""},
        force=force,
        progress=progress,
    )


def _own_place(run: RunDirectory, stamp: str) -> Path:
    """`exports/<graph's stamp>/`, made where it is not there; never through a link."""
    place = run.path / EXPORTS / stamp
    for directory in (place.parent, place):
        if directory.is_symlink():
            raise UsageError(f"{directory} is a link, which is not followed; remove it, or give --output")
        directory.mkdir(exist_ok=True)
    return place


def _refuse_files_of_runs(target: Path, run: RunDirectory) -> None:
    """Raise `UsageError` for a target that is, contains or lies among the files of a run, other than its exports."""
    place = target.parent.resolve() / target.name
    for directory in (place, *place.parents):
        if (directory / manifest.NAME).is_file() and place.parts[len(directory.parts) :][:1] != (EXPORTS,):
            raise UsageError(f"{target} lies among the files of the run {directory}; give another path")
    if place in (run.path.resolve(), *run.path.resolve().parents, run.path.resolve() / EXPORTS):
        raise UsageError(f"{target} holds the run {run.path}; give another path")


def _hash_of(run: RunDirectory, stamp: str) -> Optional[str]:
    """Recorded SHA-256 of a graph's file; None when there is no such graph."""
    record = run.manifest.stages.graphs.get(stamp)
    files = record.outputs if record is not None else []
    return next((file.sha256 for file in files if file.path.endswith("_graph.h5")), None)


def stale_exports(run: RunDirectory) -> List[str]:
    """Exports in the run, by path, that were made from a graph that has changed or is there no longer."""
    stale = []
    for path in sorted((run.path / EXPORTS).glob("*/*")):
        name = path / DESCRIPTION if path.is_dir() else path
        if name.name != DESCRIPTION and name.suffix != ".json":
            continue
        try:
            stated = load_json(name, "")
        except (InputError, OSError):
            continue
        made_from = stated.get("graph") if isinstance(stated, dict) else None
        if isinstance(made_from, dict) and made_from.get("sha256") != _hash_of(run, path.parent.name):
            stale.append((path if path.is_dir() else path.with_suffix("")).relative_to(run.path).as_posix())
    return stale
