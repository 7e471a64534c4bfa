"""Which files are read as trained models, and what to do with the others; told by their names and first bytes."""

from pathlib import Path
from typing import Dict

from snnb.core.errors import InputError

READ = (".h5", ".hdf5", ".keras", ".onnx")
FROM_TORCH = (
    "in the program that has the model, `model.eval()` and "
    "`torch.onnx.export(model, torch.zeros(1, 3, 32, 32), '{stem}.onnx')` (with the size of its pictures)"
)
FROM_TENSORFLOW = "`model = tensorflow.keras.models.load_model('{name}')` and `model.save('{stem}.h5')`"
# By the end of the name: what it is, and the two lines that make a file of it that is read.
REFUSED: Dict[str, str] = {
    ".pt": f"is PyTorch's, whose reading can run code: {FROM_TORCH}",
    ".pth": f"is PyTorch's, whose reading can run code: {FROM_TORCH}",
    ".ckpt": "holds weights without a model; build the model, then `model.load_weights('{name}')` and "
    f"`model.save('{{stem}}.h5')`; or, if PyTorch Lightning wrote it, {FROM_TORCH}",
    ".safetensors": f"holds weights without a model: {FROM_TORCH}",
    ".pkl": "is a pickle, whose reading can run code: in the program that wrote it, "
    "`model = pickle.load(open('{name}', 'rb'))` and `model.save('{stem}.h5')`",
    ".pickle": "is a pickle, whose reading can run code: in the program that wrote it, "
    "`model = pickle.load(open('{name}', 'rb'))` and `model.save('{stem}.h5')`",
    ".pb": "is TensorFlow's graph of operations, without the layers: in the TensorFlow that wrote its folder, "
    "`model = tensorflow.keras.models.load_model('FOLDER')` and `model.save('{stem}.h5')`",
    ".tflite": "is rounded and fused for small devices: take the model that it was made from, "
    f"{FROM_TENSORFLOW.replace('{name}', 'MODEL')}",
}
SAVED_MODEL = f"is a SavedModel, whose operations may write files: in the TensorFlow that wrote it, {FROM_TENSORFLOW}"
HDF5_FILE, ZIP = "an HDF5 file", "a zip archive"
# By the first bytes of a file: what it is.
BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": HDF5_FILE,
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "compressed with gzip",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x7fELF": "a program",
}


def is_model_file(text: str) -> bool:
    """Return whether the value of `--model` names a file of a trained model by its ending, or a SavedModel's folder."""
    return text.lower().endswith((*READ, *REFUSED)) or (Path(text) / "saved_model.pb").is_file()


def refuse_other_kinds(path: Path) -> None:
    """Refuse a file of a kind that is not read.

    Raises
    ------
    InputError
        It is one of those in `REFUSED`, or a SavedModel; the message has the code that makes an .onnx or .h5 of it.
    """
    ending = path.suffix.lower()
    remedy = SAVED_MODEL if (path / "saved_model.pb").is_file() else REFUSED.get(ending)
    if remedy is not None:
        raise InputError(f"{path} {remedy.format(name=path.name, stem=path.stem or 'model')}")


def content_of(path: Path) -> str:
    """Return what a file is by its content, as in "a zip archive"; "" where the first bytes do not tell."""
    with path.open("rb") as file:
        beginning = file.read(512)
    for bytes_, kind in BEGINNINGS.items():
        if beginning.startswith(bytes_):
            return kind
    if beginning[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if not beginning:
        return "empty"
    return "a text" if _is_text(beginning) else ""


def _is_text(beginning: bytes) -> bool:
    try:
        text = beginning.decode("utf-8")
    except UnicodeDecodeError as error:
        text = beginning[: error.start].decode("utf-8") if len(beginning) - error.start < 4 else "\0"
    return all(char.isprintable() or char in "\r\n\t\f" for char in text)
