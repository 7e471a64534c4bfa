"""Open the run that a command works on."""

from pathlib import Path
from typing import TYPE_CHECKING, Optional

from snnb.core.errors import UsageError
from snnb.core.progress import Say

if TYPE_CHECKING:
    from snnb.rundir.directory import RunDirectory


def opened(run_dir: Optional[Path], say: Say) -> "RunDirectory":
    """Open an existing run and recover it after a killed stage, or `say` why it cannot be recovered now."""
    if run_dir is None:
        raise UsageError("give the directory of a run, as in `snnb status runs/lenet_mnist`")
    from snnb.pipeline.open_run import open_run

    run = open_run(run_dir)
    run.settle(say)
    return run
