"""Generate the edges of a projection, in order of source and then of target, into buffers that are reused.

The loops are compiled by numba, which is imported on first use.
"""

from typing import Tuple

import numpy as np

from snnb.graph.edges import EdgeBatch, Stream


def fill(stream: Stream, rate: np.ndarray, pairing: str, start: int, batch: EdgeBatch) -> Tuple[int, int]:
    """Fill a batch with all edges of the sources from `start` on, as many sources as it has room for.

    Returns
    -------
    filled, start : int
        How many edges there are now in the batch, and the source that goes on.
    """
    from snnb.graph.edge_loops import fill_dense, fill_diagonal

    return (fill_dense if pairing == "dense" else fill_diagonal)(stream, rate, start, *batch)
