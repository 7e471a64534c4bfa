"""From the name of a model and a path to a run directory."""

import os
from pathlib import Path
from typing import Optional

from snnb.errors import InputError, UsageError
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.environment import now_utc
from snnb.rundir.records import RunInfo
from snnb.stages.all import KINDS
from snnb.stages.model import identify_model
from snnb.version import __version__


def default_run_dir(model: str) -> Path:
    """Where a run lies when --run-dir is left out."""
    return Path(os.environ.get("SNNB_RUNS") or "runs") / model


def open_run(path: Path) -> RunDirectory:
    """Open an existing run directory, for reading; nothing is written."""
    return RunDirectory.open(path, KINDS)


def open_or_create(model: Optional[str], run_dir: Optional[Path], dataset: Optional[str] = None) -> RunDirectory:
    """Open the run directory, or make it for the model; its manifest names the model when --model is left out."""
    if model is None and dataset is not None:
        raise UsageError(f"--dataset {dataset}: give --model too")
    if model is None:
        if run_dir is None:
            raise UsageError("give --model NAME (`snnb models` lists them), or --run-dir of a run that exists")
        if os.path.lexists(run_dir / manifest.NAME):
            return open_run(run_dir)
        if any((run_dir / directory).is_dir() for directory in (kind.directory for kind in KINDS)):
            raise InputError(f"{run_dir} holds a run without its {manifest.NAME}; restore that from a copy")
        raise UsageError(f"{run_dir} is no run yet; give --model NAME to make one")
    name, on, source = identify_model(model, dataset)
    info = RunInfo(
        model=name,
        dataset=on,
        model_source=source,
        created_utc=now_utc().isoformat(timespec="seconds"),
        snnb_version=__version__,
    )
    return RunDirectory.create(run_dir or default_run_dir(name), info, KINDS)
