"""From the name of a model and a path to a run directory."""

import os
from pathlib import Path
from typing import Optional

from snnb.architectures import find
from snnb.errors import UsageError
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.environment import now_utc
from snnb.rundir.records import RunInfo
from snnb.version import __version__


def default_run_dir(model: str) -> Path:
    """Where a run lies when --run-dir is left out."""
    return Path(os.environ.get("SNNB_RUNS") or "runs") / model


def open_or_create(model: Optional[str], run_dir: Optional[Path]) -> RunDirectory:
    """Open the run directory, or make it for the model; its manifest names the model when --model is left out."""
    if model is None:
        if run_dir is None:
            raise UsageError("give --model NAME (`snnb models` lists them), or --run-dir of a run that exists")
        if not (run_dir / manifest.NAME).is_file():
            raise UsageError(f"{run_dir} is no run yet; give --model NAME to make one")
        return RunDirectory.open(run_dir)
    spec = find(model).spec
    info = RunInfo(
        model=spec.name,
        dataset=spec.dataset,
        created_utc=now_utc().isoformat(timespec="seconds"),
        snnb_version=__version__,
    )
    return RunDirectory.create(run_dir or default_run_dir(spec.name), info)
