"""Files of other kinds: refused in one line, with the code that makes a file of them that is read."""

import ast
import re
import subprocess
import sys

import pytest

from snnb.architectures import is_own, own_model
from snnb.core.errors import InputError
from snnb.model_files.kinds import content_of
from snnb.model_files.read_model import read_model


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("net.pt", "is PyTorch's"),
        ("net.PTH", "is PyTorch's"),
        ("net.ckpt", "holds weights without a model"),
        ("net.safetensors", "holds weights without a model"),
        ("net.pb", "is TensorFlow's graph of operations"),
        ("net.tflite", "is rounded and fused"),
        ("net.pkl", "is a pickle"),
        ("net.pickle", "is a pickle"),
        ("saved", "is a SavedModel"),
    ],
)
def test_a_kind_that_is_not_read_says_what_to_do(tmp_path, name, what):
    path = tmp_path / name
    if name == "saved":
        path.mkdir()
        (path / "saved_model.pb").touch()
    else:
        path.write_bytes(b"anything")
    assert is_own(str(path))
    with pytest.raises(InputError, match=what) as raised:
        own_model(str(path))
    text = str(raised.value)
    assert text.startswith(str(path))
    assert len(text.splitlines()) == 1
    code = re.findall("`(.*?)`", text)
    assert len(code) in (2, 4)
    for line in code:
        ast.parse(line)  # they are Python
    assert any(line.endswith((".h5')", ".onnx')")) for line in code)


def test_the_command_refuses_it_before_anything_is_made(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"PK\x03\x04")
    command = [sys.executable, "-c", "from snnb.cli.app import app; app()", "run", "--model", f"{tmp_path}/net.pt"]
    options = ["--dataset", "digits", "--run-dir", f"{tmp_path}/run"]
    result = subprocess.run([*command, *options], capture_output=True, text=True)
    assert result.returncode == 3
    assert "torch.onnx.export" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_names_of_models_are_no_files():
    assert not is_own("lenet_mnist")
    assert not is_own("onnx")


CONTENTS = {
    "a text": [b"hello\n", "größer — 中".encode() * 40],
    "a zip archive": [b"PK\x03\x04..."],
    "compressed with gzip": [b"\x1f\x8b\x08"],
    "a pickle": [b"\x80\x04\x95"],
    "a TensorFlow Lite model": [b"\x1c\x00\x00\x00TFL3"],
    "empty": [b""],
    "": [b"\x08\x07\x12\x07pytorch", bytes(600), b"ab\xff\xfe" * 200],
}


@pytest.mark.parametrize(("kind", "contents"), CONTENTS.items())
def test_the_content_tells_what_a_file_is(tmp_path, kind, contents):
    for content in contents:
        (tmp_path / "file").write_bytes(content)
        assert content_of(tmp_path / "file") == kind


@pytest.mark.parametrize("ending", ["h5", "hdf5", "keras", "H5"])
@pytest.mark.parametrize(("content", "kind"), [(b"a text\n", "a text"), (b"\x80\x04\x95", "a pickle"), (b"", "empty")])
def test_a_wrong_content_is_named(tmp_path, ending, content, kind):
    path = tmp_path / f"net.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"is not an? .* file but {kind}; ") as raised:
        read_model(path, len)
    assert str(path) in str(raised.value)


def test_a_keras_archive_called_h5_needs_another_name(recorded, tmp_path):
    (tmp_path / "net.h5").write_bytes(recorded("residual_keras3.keras")[0].read_bytes())
    with pytest.raises(InputError, match=r"is not an HDF5 file but a zip archive; if Keras wrote it, .* in .keras"):
        read_model(tmp_path / "net.h5", len)


def test_a_folder_of_another_kind(tmp_path):
    (tmp_path / "net.h5").mkdir()
    with pytest.raises(InputError, match="is a directory, not a regular file"):
        own_model(str(tmp_path / "net.h5"))
