"""Message of an interrupted command."""

from typing import Optional


def interruption_message(stage: Optional[str], state: Optional[str] = None) -> str:
    """Return the line that is printed when a command is interrupted, while `stage` runs if it is given.

    `state` is the state of the run if it is not that before the stage.
    """
    if state is not None:
        return f"interrupted; {state}"
    if stage is None:
        return "interrupted; the run is unchanged"
    again = "continues after the last epoch" if stage == "train" else f"begins `{stage}` again"
    return f"interrupted; the run is in its state before `{stage}`; the same command {again}"
