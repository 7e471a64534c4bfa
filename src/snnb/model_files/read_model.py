"""A trained model from its file, whatever wrote it."""

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Tuple

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.model_files.kinds import HDF5_FILE, ZIP, content_of, refuse_other_kinds
from snnb.model_files.onnx_graph import EXPORT, external_files
from snnb.model_files.onnx_model import read_onnx

if TYPE_CHECKING:
    from tensorflow.keras import Model

    from snnb.model_files.pixels import Preprocessing

RESAVE = "build the model of Keras's own layers and save it again with model.save"


def read_model(path: Path, tell: Say, pixels: Optional[str] = None) -> "Model":
    """Read a trained model with its weights; it takes pixels in [0, 1].

    Parameters
    ----------
    path : Path
        A file of Keras (.h5, .hdf5, .keras) or ONNX (.onnx).
    tell : callable
        Called with what the model has here that it has not in the file: a softmax behind its logits.
    pixels : str, optional
        The pixels that the model in the file takes, as `snnb.model_files.expected_pixels.parse_pixels` reads them.
        By default those that its preprocessing layers take, without these pixels in [0, 1].

    Returns
    -------
    Model
        A Keras model of TensorFlow 2.2, uncompiled.

    Raises
    ------
    InputError
        The file is damaged, of another kind, or holds what cannot be read; the message says what to do.
    """
    from snnb.model_files.pixels import fold_pixels

    model, preprocessing = _read(path, tell)
    return fold_pixels(_with_softmax(model, tell), pixels, tell, preprocessing)


def _read(path: Path, tell: Say) -> Tuple["Model", Optional["Preprocessing"]]:
    refuse_other_kinds(path)
    ending, content = path.suffix.lower(), content_of(path)
    if ending == ".keras" and content == ZIP:
        from snnb.model_files.keras_zip import read_keras_zip

        return read_keras_zip(path, RESAVE, tell)
    if ending == ".onnx":
        if content:
            raise InputError(f"{path} is not an .onnx file but {content}; {EXPORT}")
        return read_onnx(path, tell), None
    if content not in (HDF5_FILE, ""):
        remedy = "if Keras wrote it, give it a name that ends in .keras" if content == ZIP else RESAVE
        raise InputError(
            f"{path} is not {'an HDF5' if ending != '.keras' else 'a .keras'} file but {content}; {remedy}"
        )
    from snnb.model_files.keras_h5 import read_keras_h5  # until version 2.11, Keras wrote .keras files in HDF5 too

    return read_keras_h5(path, RESAVE, tell)


def files_of(path: Path) -> List[Path]:
    """Return the files that a model is read from: its own, and those in which an ONNX file keeps weights."""
    return [path, *external_files(path)] if path.suffix.lower() == ".onnx" else [path]


def _with_softmax(model: "Model", tell: Say) -> "Model":
    """Add the softmax to a classifier that ends in logits, that is, in a vector without an activation."""
    from tensorflow import keras

    if len(model.outputs) != 1 or not model.layers or len(model.output_shape) != 2:
        return model
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    if activation != "linear" or isinstance(last, (keras.layers.Softmax, keras.layers.ReLU)):
        return model
    softmax = keras.layers.Activation("softmax", name="softmax_of_logits")
    tell(f"the model ends in logits (layer {last.name}); a softmax is put behind them")
    return keras.Model(model.inputs, softmax(model.outputs[0]), name=model.name)
