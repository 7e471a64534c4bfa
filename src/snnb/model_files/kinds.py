"""Formats of trained models that are read, and how to convert models in other formats.

Options of reading NIR files.

Imported at the start of the program, so without numpy.
"""

from pathlib import Path
from typing import Dict, List, Literal, Optional, Sequence, Tuple

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.errors import InputError
from snnb.core.options import Flag, Options

# Trained spiking networks
NIR = ".nir"
LAVA_DL = ".net"
READ = (".h5", ".hdf5", ".keras", ".onnx", NIR, LAVA_DL)
RESAVE = "save the model again with model.save"
FROM_TORCH = (
    "in the program that has the model, `model.eval()` and "
    "`torch.onnx.export(model, torch.zeros(1, 3, 32, 32), '{stem}.onnx')` "
    "(with the size of its images)"
)
SAVE_H5 = "`model.save('{stem}.h5')`"
_LOAD_MODEL = "`model = tensorflow.keras.models.load_model('{name}')`"
FROM_TENSORFLOW = f"{_LOAD_MODEL} and {SAVE_H5}"
# Keras 3 exports SavedModels that it does not load.
_EXPORTER = "in the program that exported the model"
SINCE_KERAS_3 = f" (from TensorFlow 2.16 on only the latter, {_EXPORTER})"
PICKLE = (
    "is a pickle, whose reading can run code: in the program that wrote it, "
    "`model = pickle.load(open('{name}', 'rb'))` and `model.save('{stem}.h5')`"
)
# File extension -> description of the file, with the two lines of code that convert it
# to a format that is read.
REFUSED: Dict[str, str] = {
    ".pt": f"is PyTorch's, whose reading can run code: {FROM_TORCH}",
    ".pth": f"is PyTorch's, whose reading can run code: {FROM_TORCH}",
    ".ckpt": "holds weights without a model; build the model, then "
    f"`model.load_weights('{{name}}')` and {SAVE_H5}; or, if PyTorch Lightning wrote "
    f"it, {FROM_TORCH}",
    ".safetensors": f"holds weights without a model: {FROM_TORCH}",
    ".pkl": PICKLE,
    ".pickle": PICKLE,
    ".pb": "is TensorFlow's graph of operations, without the layers: in the TensorFlow "
    f"that wrote its folder, {FROM_TENSORFLOW.replace('{name}', 'FOLDER')}"
    f"{SINCE_KERAS_3}",
    ".tflite": "is rounded and fused for small devices: take the model that it was "
    f"made from, {FROM_TENSORFLOW.replace('{name}', 'MODEL')}",
}
SAVED_MODEL = (
    "is a SavedModel, whose operations may write files: in the TensorFlow that wrote "
    f"it, {FROM_TENSORFLOW}{SINCE_KERAS_3}"
)


class NotReadError(Exception):
    """A model has something that cannot be read; `read_model` raises `InputError`.

    `advice` is empty for the general advice of the file format.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.advice = advice


Reason = Tuple[str, str]  # layer, and reason why it cannot be read or converted
NAMES_AT_MOST = 5  # names of layers in a message


def joined(reasons: Sequence[Reason]) -> str:
    """Return all reasons in one line, each once with the layers that it concerns."""
    layers: Dict[str, List[str]] = {}
    for name, reason in reasons:
        layers.setdefault(reason, []).append(name)
    phrases = []
    for reason, names in layers.items():
        rest = len(names) - NAMES_AT_MOST
        more = f" and {rest} more" if rest > 0 else ""
        phrases.append(f"{', '.join(names[:NAMES_AT_MOST])}{more}: {reason}")
    return "; ".join(phrases)


def is_model_file(text: str) -> bool:
    """Return whether the value of `--model` is a file of a trained model.

    The directory of a SavedModel also is.
    """
    if text.lower().endswith((*READ, *REFUSED)):
        return True
    return (Path(text) / "saved_model.pb").is_file()


def is_spiking_file(text: str) -> bool:
    """Return whether a file name is that of a trained spiking network."""
    return text.lower().endswith((NIR, LAVA_DL))


def refuse_other_kinds(path: Path) -> None:
    """Raise `InputError` for a file in a format that is not read.

    The message has the code that converts it to .onnx or .h5.
    """
    advice = REFUSED.get(path.suffix.lower())
    if (path / "saved_model.pb").is_file():
        advice = SAVED_MODEL
    if advice is not None:
        text = advice.format(name=path.name, stem=path.stem or "model")
        raise InputError(f"{path} {text}")


_SUBTRACTIONS = "immediately or one step later"
NirReset = Literal["value", "subtract", "subtract_delayed"]


class NirSettings(Options):
    """Decisions that a NIR file leaves open."""

    time_step: Annotated[Optional[float], Flag(panel="NIR")] = Field(
        default=None,
        gt=0,
        description="Time step, in the time unit of the NIR file.",
    )
    # subtract_delayed: in the next step, after the decay, as snnTorch does with
    # `reset_delay=True`, its default.
    nir_reset: Annotated[NirReset, Flag(panel="NIR")] = Field(
        default="value",
        description=f"Reset: to v_reset, or by subtraction, {_SUBTRACTIONS}.",
    )
    integration: Annotated[Literal["euler", "exponential"], Flag(panel="NIR")] = Field(
        default="euler",
        description="Integration of the leak.",
    )
