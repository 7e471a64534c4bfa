"""Exit codes and message of an interrupted command; imports nothing but the standard library."""

import signal
from typing import Optional

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def interruption_message(stage: Optional[str]) -> str:
    """Return the line that is printed when a command is interrupted; `stage` is the stage that runs, if any."""
    if stage == "train":
        return "interrupted; the run is as it was before `train`; the same command continues after the last epoch"
    if stage is not None:
        return f"interrupted; the run is as it was before `{stage}`; the same command begins `{stage}` again"
    return "interrupted; the run is as it was"
