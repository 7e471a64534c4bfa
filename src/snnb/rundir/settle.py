"""Recover a run before a command that only reads it."""

from snnb.core.errors import InputError, UpstreamError
from snnb.core.progress import Say
from snnb.io.files import describe_os_error
from snnb.rundir import lock, replacing
from snnb.rundir.directory import RunDirectory


def settle(run: RunDirectory, say: Say) -> None:
    """Restore what a killed stage has left if the run is not locked and can be written; else say why not.

    Parameters
    ----------
    run : RunDirectory
        The run.
    say : callable
        Called with the reason.
    """
    if not any(replacing.left_behind(run.path, run.records(), run.kinds)):
        return
    try:
        with run.locked(wait=False):
            return
    except UpstreamError:
        say(f"{run.path} is in use by {lock.holder_of(run.path)}; what follows may describe an incomplete stage")
    except (OSError, InputError) as error:
        reason = describe_os_error(error) if isinstance(error, OSError) else error
        say(f"a stage was interrupted; the next `snnb` command that may write here restores the run ({reason})")
