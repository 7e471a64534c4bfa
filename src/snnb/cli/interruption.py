"""Message of an interrupted command."""

import sys
from typing import Optional


def interruption_message(stage: Optional[str]) -> str:
    """Return the line that is printed when a command is interrupted, while `stage` runs if it is given.

    Nothing is imported, since a signal can arrive while modules are imported.
    """
    directory = sys.modules.get("snnb.rundir.directory")
    change = getattr(directory, "last_change", None)
    state = None if change is None else change.state()
    if state is not None:
        return f"interrupted; {state}"
    if stage is None:
        return "interrupted; the run is unchanged"
    again = "continues after the last epoch" if stage == "train" else f"begins `{stage}` again"
    return f"interrupted; the run is in its state before `{stage}`; the same command {again}"
