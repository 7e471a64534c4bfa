"""Check in numbers that the parsed model computes what the trained one does."""

import numpy as np
from tensorflow import keras

from snnb.conversion.unroll import unrolled_model
from snnb.errors import VerificationError

SAMPLES = 100
TOLERANCE = 1e-3


def reference_outputs(trained: keras.Model, x: np.ndarray, *, max_pool: str) -> np.ndarray:
    """Return the outputs of the trained model on the first samples.

    Call it before parsing, since the toolbox's parser edits the graph of the model that it reads. Where max pooling is
    replaced by average pooling, the parsed model cannot agree with the trained one. The reference is then a copy of the
    trained model with the same replacement, so that everything else is still verified.

    Parameters
    ----------
    trained : keras.Model
        The trained model.
    x : np.ndarray
        Samples, float32 `(samples, ...)`; the first 100 are used.
    max_pool : {"error", "average", "spiking"}
        What parsing does about max pooling.

    Returns
    -------
    np.ndarray
        float32 `(samples, units)`.
    """
    if max_pool == "average":
        flat = unrolled_model(trained)
        if any(isinstance(layer, keras.layers.MaxPooling2D) for layer in flat.layers):
            trained = keras.models.clone_model(flat, clone_function=_average_for_max)
            trained.set_weights(flat.get_weights())
    return trained.predict(x[:SAMPLES])


def check_outputs(parsed: keras.Model, x: np.ndarray, reference: np.ndarray, *, parser: str = "toolbox") -> float:
    """Compare the parsed model, before its normalisation, with the trained one.

    Parameters
    ----------
    parsed : keras.Model
        The parsed model.
    x : np.ndarray
        The samples that `reference_outputs` was called with.
    reference : np.ndarray
        What `reference_outputs` returned.
    parser : {"toolbox", "own"}
        Whose parser it was, for the message.

    Returns
    -------
    float
        The largest absolute difference of any output on any sample.

    Raises
    ------
    VerificationError
        The difference is above 1e-3, or above 1e-3 of the largest output where that exceeds 1.
    """
    advice = _ADVICE[parser]
    outputs = parsed.predict(x[:SAMPLES])
    if outputs.shape != reference.shape:
        shapes = f"{outputs.shape[1:]} instead of {reference.shape[1:]}"
        raise VerificationError(f"the parsed model's output has the shape {shapes}: {advice}")
    differences = np.abs(outputs - reference)
    largest = float(differences.max())
    # Not `largest > limit`: a NaN must not pass.
    if not largest <= TOLERANCE * max(1.0, float(np.abs(reference).max())):
        sample = int(differences.reshape(len(differences), -1).max(axis=1).argmax())
        raise VerificationError(
            f"the parsed model's outputs differ from the trained model's by up to {largest:.3g} (sample {sample}): "
            f"{advice}"
        )
    return largest


_ADVICE = {
    "toolbox": "snntoolbox 0.5 parses this architecture wrongly; try --parser own, or simplify it and train again",
    "own": "snnb parses this architecture wrongly; simplify it and train again",
}


def _average_for_max(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    if isinstance(layer, keras.layers.MaxPooling2D):
        return keras.layers.AveragePooling2D.from_config(config)
    return layer.__class__.from_config(config)
