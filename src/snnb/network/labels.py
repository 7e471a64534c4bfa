"""Labels of samples and the outputs of a network."""

import numpy as np


def label_outside(labels: np.ndarray, outputs: int) -> str:
    """Return the end of a message about the first label that is no number of an output.

    `labels` are class numbers, of shape (samples,). Empty without such a label.
    """
    (positions,) = (labels >= outputs).nonzero()
    if not positions.size:
        return ""
    return f"; label {labels[positions[0]]} (prepared sample {positions[0]}) is not from 0 to {outputs - 1}"
