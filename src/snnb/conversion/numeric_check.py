"""Compare the outputs of the parsed model and the trained model."""

import json
from typing import Callable, Optional

import numpy as np

from snnb.conversion.keras_graph import unrolled_model
from snnb.core.errors import VerificationError
from snnb.io.keras import description_of, keras

SAMPLES = 100
TOLERANCE = 1e-3


def reference_outputs(trained: keras.Model, x: np.ndarray, *, max_pool: str, in_float64: bool = False) -> np.ndarray:
    """Return the outputs of the trained model on the first 100 samples, computed in float32 or float64.

    Call it before parsing, since the toolbox's parser edits the graph of the model that it reads. If max pooling is
    replaced by average pooling, the reference is a copy of the trained model with the same replacement.
    """
    if max_pool == "average":
        flat = unrolled_model(trained)
        if any(isinstance(layer, keras.layers.MaxPooling2D) for layer in flat.layers):
            trained = keras.models.clone_model(flat, clone_function=_average_for_max)
            trained.set_weights(flat.get_weights())
    return (_wide(trained) if in_float64 else trained).predict(x[:SAMPLES], verbose=0)


def permitted(reference: np.ndarray) -> float:
    """Return the difference up to which outputs count as equal: 1e-3, or 1e-3 of the largest where that exceeds 1."""
    return TOLERANCE * max(1.0, float(np.abs(reference).max()))


def check_outputs(
    parsed: keras.Model,
    x: np.ndarray,
    reference: np.ndarray,
    *,
    parser: str = "toolbox",
    exact: Optional[Callable[[], np.ndarray]] = None,
) -> float:
    """Compare the parsed model, before its normalisation, with the trained one; return the largest absolute difference.

    In float32, rounding alone can exceed the permitted difference in a deep network. Then both models are compared in
    float64, where they may differ by the permitted difference, or by the rounding error of the trained model, the
    difference of its outputs in float32 and float64. Raise `VerificationError` if they differ by more, or an output is
    not finite.

    Parameters
    ----------
    parsed : keras.Model
    x : np.ndarray
        The argument of `reference_outputs`.
    reference : np.ndarray
        Return value of `reference_outputs`.
    parser : {"toolbox", "own"}
        For the message.
    exact : callable, optional
        Return `reference_outputs` in float64; called if the outputs in float32 differ by more than is permitted.
    """
    advice = _ADVICE[parser]
    outputs = parsed.predict(x[:SAMPLES], verbose=0)
    if outputs.shape != reference.shape:
        shapes = f"{outputs.shape[1:]} instead of {reference.shape[1:]}"
        raise VerificationError(f"the parsed model's output has the shape {shapes}: {advice}")
    differences = np.abs(outputs - reference)
    largest = float(differences.max())
    # Not `largest > permitted`: a NaN must not pass.
    if not largest <= permitted(reference):
        sample = int(differences.reshape(len(differences), -1).max(axis=1).argmax())
        by = f"by up to {largest:.3g} (sample {sample})"
        if exact is None or not np.isfinite(largest):
            raise VerificationError(f"the parsed model's outputs differ from the trained model's {by}: {advice}")
        wide, precise = exact(), _wide(parsed).predict(x[:SAMPLES], verbose=0)
        remaining, own = float(np.abs(precise - wide).max()), float(np.abs(reference - wide).max())
        if not remaining <= max(permitted(wide), own):
            raise VerificationError(
                f"the parsed model's outputs differ from the trained model's {by}, and by up to {remaining:.3g} "
                f"where both compute in float64, so not by rounding: {advice}"
            )
    return largest


_ADVICE = {
    "toolbox": "snntoolbox 0.5 parses this architecture wrongly; try --parser own, or simplify it and train again",
    "own": "snnb parses this architecture wrongly; simplify it and train again",
}


def _wide(model: keras.Model) -> keras.Model:
    """Return a copy of a model that computes in float64."""
    model = unrolled_model(model)
    description = description_of(model)
    for entry in description["config"]["layers"]:
        entry["config"]["dtype"] = "float64"
        if entry["class_name"].startswith("BatchNormalization"):
            entry["config"]["fused"] = False  # which TensorFlow has in float32 only
    wide = keras.models.model_from_json(json.dumps(description))
    wide.set_weights(model.get_weights())
    return wide


def _average_for_max(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    if isinstance(layer, keras.layers.MaxPooling2D):
        return keras.layers.AveragePooling2D.from_config(config)
    return layer.__class__.from_config(config)
