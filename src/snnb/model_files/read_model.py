"""Read a trained model from a file of Keras or ONNX."""

import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import List, Optional

from snnb.core.errors import DamagedError, InputError, advising
from snnb.core.machine import require_memory
from snnb.core.progress import Say, say_nothing
from snnb.model_files.fold_pixels import fold_pixels
from snnb.model_files.keras_files import read_keras_h5, read_keras_zip
from snnb.model_files.kinds import RESAVE, NotReadError, refuse_other_kinds
from snnb.model_files.onnx_model import EXPORT, external_files, read_onnx
from snnb.network.layers import Activation, Flatten, ReLU, Reshape
from snnb.network.trained import TrainedLayer, TrainedNetwork

# Of an output of a layer in memory: the value, and that of the next layer
VALUE_BYTES = 8


def read_model(path: Path, warn: Say, pixels: Optional[str] = None) -> TrainedNetwork:
    """Read a trained model with its weights as a network that takes pixels in [0, 1].

    `warn` is called with a message for each difference between the network returned and
    the file, such as an added softmax. `pixels` is the pixel range of the model in the
    file, see `parse_pixels`; None: the range that its preprocessing layers take,
    without such layers [0, 1]. Raise `InputError` if the file is damaged, in another
    format, or the model has something that cannot be read.
    """
    refuse_other_kinds(path)
    is_onnx = path.suffix.lower() == ".onnx"
    advice = EXPORT if is_onnx else RESAVE
    try:
        with advising(advice):
            if is_onnx:
                network, preprocessing = read_onnx(path, warn), None
            elif not (path.is_file() and zipfile.is_zipfile(str(path))):
                # Keras until 2.11 wrote HDF5 to .keras files too
                network, preprocessing = read_keras_h5(path, warn)
            elif path.suffix.lower() == ".keras":
                network, preprocessing = read_keras_zip(path, warn)
            else:
                raise NotReadError(
                    "is a zip archive, not an HDF5 file",
                    "if Keras wrote it, rename it to end in .keras",
                )
    except NotReadError as error:
        raise InputError(f"{path}: {error}; {error.advice or advice}") from error
    for layer in network.layers:
        size = math.prod(layer.shape)
        subject = f"the {size:,} outputs of layer {layer.name}"
        require_memory(VALUE_BYTES * size, f"{path}: {subject}")
    # Of a classifier that ends in logits, a vector without an activation
    output = network.output
    computing_layer = output
    while isinstance(computing_layer.layer, (Flatten, Reshape)):
        computing_layer = network.by_name()[computing_layer.inputs[0]]
    activation = getattr(computing_layer.layer, "activation", "linear")
    is_linear = activation == "linear" and not isinstance(computing_layer.layer, ReLU)
    if is_linear and len(output.shape) == 1:
        warn(
            f"the model ends in logits (layer {output.name}); a softmax is appended",
        )
        softmax = Activation(activation="softmax")
        softmax_layer = TrainedLayer.reading("softmax_of_logits", softmax, [output])
        network = replace(network, layers=(*network.layers, softmax_layer))
    return fold_pixels(network, pixels, warn, preprocessing)


def read_trained(path: Path) -> TrainedNetwork:
    """Read the network in the HDF5 file that `train` has written.

    Raise `DamagedError` if it has none.
    """
    try:
        return read_keras_h5(path, say_nothing)[0]
    except NotReadError as error:
        raise DamagedError(path, str(error)) from error


def files_of(path: Path) -> List[Path]:
    """Return the files that a model is read from.

    They are `path`, and the external weight files of an ONNX model.
    """
    return [path, *external_files(path)] if path.suffix.lower() == ".onnx" else [path]
