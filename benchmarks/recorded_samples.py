"""The test samples of a run."""

from pathlib import Path
from typing import Optional

import numpy as np

from snnb.stages import prepare
from snnb.stages.open_run import open_run
from snnb.stages.stage import recorded_details


def recorded_samples(run: Path, number: Optional[int] = None) -> np.ndarray:
    """Return the first test samples of a run as engines read them: float32, the stored values over their scale."""
    opened = open_run(run)
    stored = prepare.dataset_array(opened, "x_test")[:number]
    return stored.astype(np.float32) / np.float32(
        recorded_details(opened, prepare.STAGE).scale
    )
