"""Message of an interrupted command."""

import sys
from typing import Optional


def interruption_message(stage: Optional[str]) -> str:
    """Return the line that is printed when a command is interrupted.

    `stage` runs at that time, or is None. Nothing is imported, since a signal can
    arrive while modules are imported.
    """
    directory = sys.modules.get("snnb.rundir.directory")
    change = getattr(directory, "last_change", None)
    state = None if change is None else change.state()
    if state is not None:
        return f"interrupted; {state}"
    if stage is None:
        return "interrupted; the run is unchanged"
    effect = f"begins `{stage}` again"
    if stage == "train":
        effect = "continues after the last epoch"
    return (
        f"interrupted; the run is in its state before `{stage}`; the same command "
        f"{effect}"
    )
