"""Integer weights for partitioners: scaled, at least 1, their sum below 2³¹."""

from typing import Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError

LARGEST_SUM = 2**31 - 1


def scaled(values: np.ndarray, repeats: np.ndarray, scale: Optional[float], default: float) -> Tuple[np.ndarray, float]:
    """Return max(1, round(scale × value)) as int64, and the scale.

    Parameters
    ----------
    values : (nodes,) float64 array
    repeats : (nodes,) int64 array, number of occurrences of each weight in the file
    scale : float, or None for the default, halved until the sum fits
    default : float
    """
    tried = default if scale is None else scale
    while True:
        weights = np.maximum(1, np.rint(tried * values))
        total = float(weights @ repeats.astype(np.float64))
        if total <= LARGEST_SUM:
            return weights.astype(np.int64), tried
        if scale is not None or weights.max(initial=1) == 1:
            break
        tried /= 2
    raise UsageError(
        f"the weights sum to {total:,.0f}, partitioners hold {LARGEST_SUM:,}; "
        + ("give a smaller --scale" if scale is not None else "the graph is too large for this format")
    )
