"""Recover a run before a command that only reads it."""

from snnb.core.errors import InputError, UpstreamError
from snnb.core.progress import Say
from snnb.io.files import describe_os_error
from snnb.rundir import lock, replacing
from snnb.rundir import remove_result as removal
from snnb.rundir.directory import RunDirectory


def settle(run: RunDirectory, say: Say) -> None:
    """Undo what a killed stage has left, if that can be done at once; else say why not."""
    if not any(
        (
            *replacing.left_behind(run.path, run.records(), run.kinds),
            *removal.removals_left(run.path, run.kinds),
        )
    ):
        return
    try:
        with run.locked(wait=False):
            return
    except UpstreamError:
        holder = lock.holder_of(run.path)
        say(f"{run.path} is in use by {holder}; what follows may describe a stage that is not complete")
    except (OSError, InputError) as error:
        reason = describe_os_error(error) if isinstance(error, OSError) else error
        say(f"a stage was interrupted; the next `snnb` command that may write here puts it back ({reason})")
