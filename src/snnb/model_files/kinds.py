"""Formats of trained models that are read, and how to convert models in other formats; options of reading NIR files.

Imported at the start of the program, so without numpy.
"""

from pathlib import Path
from typing import Dict, List, Literal, Optional, Sequence, Tuple

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.errors import InputError
from snnb.core.options import Flag, Options

NIR = ".nir"  # of trained spiking networks
READ = (".h5", ".hdf5", ".keras", ".onnx", NIR)
RESAVE = "save the model again with model.save"
FROM_TORCH = (
    "in the program that has the model, `model.eval()` and "
    "`torch.onnx.export(model, torch.zeros(1, 3, 32, 32), '{stem}.onnx')` (with the size of its images)"
)
FROM_TENSORFLOW = "`model = tensorflow.keras.models.load_model('{name}')` and `model.save('{stem}.h5')`"
# Keras 3 exports SavedModels that it does not load.
SINCE_KERAS_3 = " (from TensorFlow 2.16 on only the latter, in the program that exported the model)"
PICKLE = (
    "is a pickle, whose reading can run code: in the program that wrote it, "
    "`model = pickle.load(open('{name}', 'rb'))` and `model.save('{stem}.h5')`"
)
# File extension -> description of the file, with the two lines of code that convert it to a format that is read.
REFUSED: Dict[str, str] = {
    ".pt": f"is PyTorch's, whose reading can run code: {FROM_TORCH}",
    ".pth": f"is PyTorch's, whose reading can run code: {FROM_TORCH}",
    ".ckpt": "holds weights without a model; build the model, then `model.load_weights('{name}')` and "
    f"`model.save('{{stem}}.h5')`; or, if PyTorch Lightning wrote it, {FROM_TORCH}",
    ".safetensors": f"holds weights without a model: {FROM_TORCH}",
    ".pkl": PICKLE,
    ".pickle": PICKLE,
    ".pb": "is TensorFlow's graph of operations, without the layers: in the TensorFlow that wrote its folder, "
    "`model = tensorflow.keras.models.load_model('FOLDER')` and `model.save('{stem}.h5')`"
    f"{SINCE_KERAS_3}",
    ".tflite": "is rounded and fused for small devices: take the model that it was made from, "
    f"{FROM_TENSORFLOW.replace('{name}', 'MODEL')}",
}
SAVED_MODEL = (
    "is a SavedModel, whose operations may write files: in the TensorFlow that wrote it, "
    f"{FROM_TENSORFLOW}{SINCE_KERAS_3}"
)


class NotReadError(Exception):
    """A model has something that cannot be read. `read_model` makes an `InputError` of it.

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
        more = f" and {len(names) - NAMES_AT_MOST} more" if len(names) > NAMES_AT_MOST else ""
        phrases.append(f"{', '.join(names[:NAMES_AT_MOST])}{more}: {reason}")
    return "; ".join(phrases)


def is_model_file(text: str) -> bool:
    """Return whether the value of `--model` is a file name of a trained model, or the directory of a SavedModel."""
    return text.lower().endswith((*READ, *REFUSED)) or (Path(text) / "saved_model.pb").is_file()


def is_nir(text: str) -> bool:
    """Return whether a file name is that of a NIR file."""
    return text.lower().endswith(NIR)


def refuse_other_kinds(path: Path) -> None:
    """Raise `InputError` for a file in a format that is not read, with the code that converts it to .onnx or .h5."""
    advice = SAVED_MODEL if (path / "saved_model.pb").is_file() else REFUSED.get(path.suffix.lower())
    if advice is not None:
        raise InputError(f"{path} {advice.format(name=path.name, stem=path.stem or 'model')}")


class NirSettings(Options):
    """Decisions that a NIR file leaves open."""

    time_step: Annotated[Optional[float], Flag(panel="NIR")] = Field(
        default=None, gt=0, description="Time step, in the time unit of the NIR file."
    )
    # subtract_delayed: in the next step, after the decay, as snnTorch does with `reset_delay=True`, its default.
    nir_reset: Annotated[Literal["value", "subtract", "subtract_delayed"], Flag(panel="NIR")] = Field(
        default="value", description="Reset: to v_reset, or by subtraction, immediately or one step later."
    )
    integration: Annotated[Literal["euler", "exponential"], Flag(panel="NIR")] = Field(
        default="euler", description="Integration of the leak."
    )
