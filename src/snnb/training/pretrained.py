"""Verify and evaluate a network that is trained already; no TensorFlow."""

import math
from pathlib import Path
from typing import Dict, Optional, Tuple

import numpy as np

from snnb.core.errors import InputError, VerificationError
from snnb.core.progress import Progress, silent
from snnb.forward.analogue import Analogue, compare_outputs
from snnb.model_files.fold_pixels import AS_THEY_ARE, RAW, parse_pixels
from snnb.model_files.onnx_model import EXPORT, outputs_of_file
from snnb.network.geometry import Shape
from snnb.network.labels import label_outside
from snnb.network.trained import TrainedNetwork
from snnb.training.batches import LabelledPictures
from snnb.training.history import METRICS_FILE, TrainingMetrics, named_metrics

SMALLEST_PROBABILITY = 1e-7  # of Keras's cross entropy


def check_shapes(
    input_layer: Tuple[str, Shape],
    last: Tuple[str, Shape],
    pictures: LabelledPictures,
) -> None:
    """Raise `InputError` if input or output of a model do not fit the pictures or their classes.

    `input_layer` and `last` are names and shapes of its first and last layers.
    """
    (start, read), (end, written), num_classes = input_layer, last, pictures.num_classes
    picture_shape = pictures.x.shape[1:]
    if read != tuple(picture_shape):
        raise InputError(
            f"layer {start}: the model takes inputs of shape {read}, "
            f"but the images are {tuple(picture_shape)}: change one or the other",
        )
    if num_classes is None and math.prod(written) != math.prod(picture_shape):
        raise InputError(
            f"layer {end}: the model's output has shape {written}, "
            f"which cannot reproduce images of shape {tuple(picture_shape)}",
        )
    if num_classes is not None and written != (num_classes,):
        raise InputError(
            f"layer {end}: the model's output has shape {written}, but the data set "
            f"has {num_classes} classes: the output must have shape ({num_classes},)"
            f"{label_outside(pictures.y, written[-1])}",
        )


def verify_onnx(
    path: Path,
    network: TrainedNetwork,
    pixels: Optional[str],
    x: np.ndarray,
) -> None:
    """Compare a network with the ONNX file that it was read from, run by ONNX Runtime.

    `x` are images with pixels in [0, 1], float32 (samples, height, width, channels).
    Raise `VerificationError` if the outputs differ by more than the tolerance of
    `compare_outputs`.
    """
    pixel_format = parse_pixels(
        AS_THEY_ARE if pixels is None or pixels == RAW else pixels
    )
    network_input = (
        x[..., ::-1] if pixel_format.reversed else x
    ) * pixel_format.factor + pixel_format.shift
    softmax = getattr(network.output.layer, "activation", "linear") == "softmax"
    reference = outputs_of_file(path, network_input.astype(np.float32), softmax=softmax)
    largest, alike = compare_outputs(Analogue(network).outputs(x), reference)
    if not alike:
        raise VerificationError(
            f"{path}: read as a network whose outputs differ by up to {largest:.3g}; "
            f"{EXPORT}",
        )


def evaluate(
    network: TrainedNetwork,
    test_set: LabelledPictures,
    progress: Progress = silent,
) -> Tuple[Dict[str, float], Optional[np.ndarray]]:
    """Return the `loss` of a network on the test set and, of a classifier, its `accuracy` in [0, 1] and its confusion.

    The confusion is the number of samples by class and prediction: int64 (classes,
    classes + 1), 0 in the last column.
    """
    classes, analogue, loss = test_set.num_classes, Analogue(network), 0.0
    confusion = np.zeros((classes or 0, (classes or 0) + 1), np.int64)
    for start in range(0, len(test_set.x), analogue.batch):
        part = slice(start, start + analogue.batch)
        x = np.divide(test_set.x[part], np.float32(test_set.scale), dtype=np.float32)
        outputs = analogue.outputs(x).astype(np.float64)
        if classes is None:
            loss += float(np.square(outputs - x.reshape(len(x), -1)).mean(axis=1).sum())
        else:
            with np.errstate(invalid="ignore"):  # outputs of 0: the loss is not finite
                shares = outputs / outputs.sum(axis=1, keepdims=True)
            class_probability = np.clip(
                shares[np.arange(len(x)), test_set.y[part]],
                SMALLEST_PROBABILITY,
                1 - SMALLEST_PROBABILITY,
            )
            loss -= float(np.log(class_probability).sum())
            np.add.at(confusion, (test_set.y[part], outputs.argmax(axis=1)), 1)
        progress(start + len(x), len(test_set.x), "evaluating")
    figures = {"loss": shortest(loss / len(test_set.x))}
    if classes is not None:
        figures["accuracy"] = shortest(np.trace(confusion) / len(test_set.x))
    return figures, confusion if classes is not None else None


def evaluate_pretrained(
    network: TrainedNetwork,
    test_set: LabelledPictures,
    directory: Path,
    progress: Progress = silent,
) -> Tuple[Dict[str, float], Optional[np.ndarray]]:
    """Evaluate a trained network, see `evaluate`; write training_metrics.json to a directory.

    Raise `InputError` if the network does not fit the pictures, or its loss is not
    finite.
    """
    input_volume, last = network.input, network.output
    check_shapes(
        (input_volume.name, input_volume.shape), (last.name, last.shape), test_set
    )
    figures, confusion = evaluate(network, test_set, progress)
    if not math.isfinite(figures["loss"]):
        raise InputError(
            f"the loss of the trained model is {figures['loss']} on the test set: "
            "train the model again",
        )
    metrics = named_metrics(figures, test_set.num_classes)
    document = TrainingMetrics.model_validate(
        {**metrics, "levels": network.levels, "epochs_run": 0},
    )
    document.write(directory / METRICS_FILE)
    return metrics, confusion


def shortest(value: float) -> float:
    """Round to the fewest digits that give the same float32: 0.9816 for 0.9815999865531921."""
    return float(str(np.float32(value)))
