"""`verify`: the recorded files are hashed again, and each result is described as `status` describes it."""

from dataclasses import replace
from typing import List, Sequence

from snnb.core.progress import Progress, silent
from snnb.pipeline.all import STAGES
from snnb.pipeline.plan import state_of_stages
from snnb.pipeline.stage import remedy
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
    """Return what to do about each damaged result.

    Parameters
    ----------
    run : RunDirectory
    damaged : sequence of str
        Attribute `damaged` of a `Verification`.
    """
    by_key = {stage.kind.key: stage.name for stage in STAGES.values()}
    found = (damage.partition("/") for damage in damaged)
    return [remedy(run, by_key[key], name or None) for key, _, name in found]
