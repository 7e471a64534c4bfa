"""Check in numbers that the parsed model computes what the trained one does."""

import json
from typing import Callable, Optional

import numpy as np
from tensorflow import keras

from snnb.conversion.unroll import unrolled_model
from snnb.core.errors import VerificationError

SAMPLES = 100
TOLERANCE = 1e-3


def reference_outputs(trained: keras.Model, x: np.ndarray, *, max_pool: str, in_float64: bool = False) -> np.ndarray:
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
    in_float64 : bool
        Whether to compute in float64, from the same weights.

    Returns
    -------
    np.ndarray
        float32 or float64 `(samples, units)`.
    """
    if max_pool == "average":
        flat = unrolled_model(trained)
        if any(isinstance(layer, keras.layers.MaxPooling2D) for layer in flat.layers):
            trained = keras.models.clone_model(flat, clone_function=_average_for_max)
            trained.set_weights(flat.get_weights())
    return (_wide(trained) if in_float64 else trained).predict(x[:SAMPLES])


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
    """Compare the parsed model, before its normalisation, with the trained one.

    Both compute in float32, where a deep network can differ from itself by more than is permitted. Whether that is the
    reason shows in float64: there the parsed model may differ from the trained one by what is permitted, or by as much
    as the trained model itself differs from float32 to float64.

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
    exact : callable, optional
        Returns `reference_outputs` in float64; called where the outputs in float32 differ by more than is permitted.

    Returns
    -------
    float
        The largest absolute difference of any output on any sample.

    Raises
    ------
    VerificationError
        The difference is above what is `permitted`, and float32 is not the reason; or an output is not finite.
    """
    advice = _ADVICE[parser]
    outputs = parsed.predict(x[:SAMPLES])
    if outputs.shape != reference.shape:
        shapes = f"{outputs.shape[1:]} instead of {reference.shape[1:]}"
        raise VerificationError(f"the parsed model's output has the shape {shapes}: {advice}")
    differences = np.abs(outputs - reference)
    largest = float(differences.max())
    # Not `largest > permitted`: a NaN must not pass.
    if not largest <= permitted(reference):
        sample = int(differences.reshape(len(differences), -1).max(axis=1).argmax())
        found = f"by up to {largest:.3g} (sample {sample})"
        if exact is None or not np.isfinite(largest):
            raise VerificationError(f"the parsed model's outputs differ from the trained model's {found}: {advice}")
        wide, precise = exact(), _wide(parsed).predict(x[:SAMPLES])
        remaining, own = float(np.abs(precise - wide).max()), float(np.abs(reference - wide).max())
        if not remaining <= max(permitted(wide), own):
            raise VerificationError(
                f"the parsed model's outputs differ from the trained model's {found}, and by up to {remaining:.3g} "
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
    description = json.loads(model.to_json())
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
