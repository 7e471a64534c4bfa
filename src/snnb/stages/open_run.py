"""Open or create the run directory of a model."""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Optional

from snnb.core.errors import DamagedError, InputError, SnnbError, UsageError
from snnb.core.options import command_words
from snnb.core.progress import Say, say_nothing
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.environment import now_utc
from snnb.rundir.manifest import AnyKind, RunInfo
from snnb.stages import graph as graph_stage
from snnb.stages.all import KINDS
from snnb.stages.graph import IMPORTED, WEIGHTS
from snnb.stages.model import identify_model
from snnb.stages.stage import recorded
from snnb.stages.train import CHECKPOINT
from snnb.version import __version__


def open_run(path: Path) -> RunDirectory:
    """Open an existing run directory for reading."""
    return RunDirectory.open(path, KINDS)


def described_with_repair(error: BaseException) -> str:
    """Return the message of an error. For a damaged file of a run it names the command that recreates the file."""
    if isinstance(error, DamagedError):
        path = Path(os.path.abspath(error.path))  # noqa: PTH100 - links stay
        for folder in path.parents:
            if (folder / manifest.NAME).is_file():
                directory, *below = path.relative_to(folder).parts
                kind = next(
                    (kind for kind in KINDS if kind.directory == directory),
                    None,
                )
                if directory == CHECKPOINT:
                    return (
                        f"{error}; `snnb train --no-resume {_quoted(folder)}` starts "
                        "the training from the beginning"
                    )
                if kind is not None and (kind.names is None or below):
                    with suppress(SnnbError):  # the manifest is not valid
                        return (
                            f"{error}; "
                            f"{repair_command(open_run(folder), kind, below[0] if kind.names else '')}"
                        )
    return str(error)


def repair_command(run: RunDirectory, kind: AnyKind, name: str) -> str:
    """Return the command that recreates a result of a stage; `name` is empty for a stage with one result."""
    path = _quoted(run.path)
    if not name:
        return f"`snnb {kind.name} {path}` recreates it"
    if kind is graph_stage.STAGE:  # in its place, so that its mappings stay
        record = recorded(run, graph_stage.STAGE, name)
        # Made of arrays
        if name == IMPORTED and record is not None and record.params.from_file is None:
            return (
                f"`Run.from_graph` with path={str(run.path)!r} recreates it in Python"
            )
        options = {WEIGHTS: " --weights-only", IMPORTED: ""}.get(
            name,
            f" --simulation {shlex.quote(name)}",
        )
        return f"`snnb graph {path}{options}` recreates it"
    damaged_record = run.record_of(kind.name, name)
    words = []
    if damaged_record is not None:
        words = command_words(kind.params, damaged_record.options or {})
    return (
        f"`snnb remove {path} {kind.directory}/{name} --with-dependents`, then "
        f"`{shlex.join(['snnb', kind.name, str(run.path), *words])}` recreates it"
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def open_or_create(
    model: Optional[str],
    run_dir: Optional[Path],
    dataset: Optional[str] = None,
    graph: Optional[Path] = None,
    *,
    wait: bool = True,
    say: Say = say_nothing,
) -> RunDirectory:
    """Open a run directory, or create it.

    Parameters
    ----------
    model : str, optional
        Model name or file; can be omitted if the run exists.
    run_dir : Path, optional
        By default `$SNNB_RUNS/MODEL` or `runs/MODEL`.
    dataset : str, optional
    graph : Path, optional
        File of an external graph, or `instance:NAME`, with which the run begins instead
        of a model.
    wait : bool
        Wait while another process holds the lock of a directory without a run;
        otherwise raise `UpstreamError`.
    say : callable
        Called with a message while it waits.
    """
    if graph is not None:
        if model is not None or dataset is not None:
            raise UsageError(
                "--from: an external graph has no model and no data set; omit "
                "--model, --dataset",
            )
        from snnb.formats.import_graph import find_reader

        # Raises for a file that does not exist or is of no known kind
        find_reader(graph_stage.file_of(graph))
        return create_run(
            graph_stage.imported_name(graph),
            run_dir,
            is_imported=True,
            wait=wait,
            say=say,
        )
    if model is None and dataset is not None:
        raise UsageError(f"--dataset {dataset}: give --model too")
    if model is None:
        if run_dir is None:
            raise UsageError(
                "give --model NAME (`snnb models` lists them), or --run-dir of a run "
                "that exists",
            )
        if os.path.lexists(run_dir / manifest.NAME):
            return open_run(run_dir)
        if any((run_dir / kind.directory).is_dir() for kind in KINDS):
            raise InputError(
                f"{run_dir} holds a run without its {manifest.NAME}; restore that "
                "from a copy",
            )
        raise UsageError(
            f"{run_dir} is not a run directory; give --model NAME to create a run",
        )

    name, on, source = identify_model(model, dataset)
    return create_run(name, run_dir, on, source, wait=wait, say=say)


def create_run(
    model: str,
    run_dir: Optional[Path],
    dataset: str = "",
    source: Optional[str] = None,
    *,
    is_imported: Optional[bool] = None,
    wait: bool = True,
    say: Say,
) -> RunDirectory:
    """Open or create a run with the fields of its `RunInfo`; for the other parameters see `open_or_create`."""
    info = RunInfo(
        model=model,
        dataset=dataset,
        model_source=source,
        imported=is_imported,
        created_utc=now_utc().isoformat(timespec="seconds"),
        snnb_version=__version__,
    )
    path = run_dir or Path(os.environ.get("SNNB_RUNS") or "runs") / model
    return RunDirectory.create(path, info, KINDS, wait=wait, say=say)
