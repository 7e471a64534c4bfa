"""`verify`: the recorded files are hashed again, and each result is described as `status` describes it."""

import shlex
from dataclasses import replace
from typing import List, Sequence

from snnb.core.progress import Progress, silent
from snnb.pipeline.all import STAGES
from snnb.pipeline.plan import state_of_stages
from snnb.rundir.directory import RunDirectory
from snnb.rundir.verification import Verification, verify_run


def verification_of(run: RunDirectory, progress: Progress = silent) -> Verification:
    """Hash every recorded file again; a result that is not up to date has a note with its state.

    Parameters
    ----------
    run : RunDirectory
    progress : Progress
        Called with the number of bytes compared.
    """
    found = verify_run(run, progress)
    states = [
        f"{state.name}: {state.in_words}"
        for state in state_of_stages(run)
        if state.record is not None and not state.up_to_date
        if state.name not in found.damaged
    ]
    return replace(found, notes=[*found.notes, *states])


def repairs(run: RunDirectory, damaged: Sequence[str]) -> List[str]:
    """Return commands that make damaged results again, in order; `damaged` is that of a `Verification`."""
    by_key = {stage.kind.key: stage for stage in STAGES.values()}
    commands = []
    for damage in damaged:
        key, _, name = damage.partition("/")
        stage = by_key[key]
        words = shlex.join([stage.name, *stage.again(run, name)])
        commands.append(f"`snnb {words} --run-dir {shlex.quote(str(run.path))}`")
    return commands
