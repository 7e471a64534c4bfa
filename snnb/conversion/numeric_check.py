"""Every conversion ends in a numeric check: the parsed model computes what the trained one does."""

import numpy as np
from tensorflow import keras

from snnb.errors import VerificationError

SAMPLES = 100
TOLERANCE = 1e-3


def reference_outputs(trained: keras.Model, x: np.ndarray, *, max_pool: str) -> np.ndarray:
    """Outputs of the trained model on the first samples, float32 `(samples, units)`.

    To be called before parsing: the toolbox's parser edits the graph of the model it reads. Where max pooling is
    replaced by average pooling the parsed model cannot agree with the trained one: the reference is then a copy of the
    trained model with that same replacement, so that all else is still verified.
    """
    if max_pool == "average" and any(isinstance(layer, keras.layers.MaxPooling2D) for layer in trained.layers):
        replaced = keras.models.clone_model(trained, clone_function=_average_for_max)
        replaced.set_weights(trained.get_weights())
        trained = replaced
    return trained.predict(x[:SAMPLES])


def check_outputs(parsed: keras.Model, x: np.ndarray, reference: np.ndarray) -> float:
    """Compare the parsed model, before its normalisation, with `reference_outputs`.

    Returns
    -------
    float
        The largest absolute difference of any output on any sample.

    Raises
    ------
    VerificationError
        The difference is above 1e-3, or above 1e-3 of the largest output where that exceeds 1.
    """
    outputs = parsed.predict(x[:SAMPLES])
    if outputs.shape != reference.shape:
        shapes = f"{outputs.shape[1:]} instead of {reference.shape[1:]}"
        raise VerificationError(f"the parsed model's output has the shape {shapes}: {_ADVICE}")
    differences = np.abs(outputs - reference)
    largest = float(differences.max())
    # Not `largest > limit`: a NaN must not pass.
    if not largest <= TOLERANCE * max(1.0, float(np.abs(reference).max())):
        sample = int(differences.reshape(len(differences), -1).max(axis=1).argmax())
        raise VerificationError(
            f"the parsed model's outputs differ from the trained model's by up to {largest:.3g} (sample {sample}): "
            f"{_ADVICE}"
        )
    return largest


_ADVICE = "snntoolbox 0.5 parses this architecture wrongly; simplify it and train again"


def _average_for_max(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    if isinstance(layer, keras.layers.MaxPooling2D):
        return keras.layers.AveragePooling2D.from_config(config)
    return layer.__class__.from_config(config)
