"""Labels of samples and the outputs of a network."""

import numpy as np


def label_outside(labels: np.ndarray, outputs: int) -> str:
    """Return the end of a message about the first label that is no number of an output.

    `labels` are class numbers, of shape (samples,). Empty without such a label.
    """
    (samples,) = (labels >= outputs).nonzero()
    if not samples.size:
        return ""
    sample = samples[0]
    return (
        f"; label {labels[sample]} (prepared sample {sample}) is not from 0 to "
        f"{outputs - 1}"
    )
