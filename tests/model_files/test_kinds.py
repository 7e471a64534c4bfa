"""Files of other kinds: refused in one line, with the code that makes a file of them that is read."""

import ast
import re

import pytest

from snnb.architectures import is_own, own_model
from snnb.core.errors import InputError
from tests.model_files.conftest import assert_refused


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("net.pt", "is PyTorch's"),
        ("net.ckpt", "holds weights without a model"),
        ("net.pb", "is TensorFlow's graph of operations"),
        ("net.tflite", "is rounded and fused"),
        ("net.pkl", "is a pickle"),
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
    with pytest.raises(InputError, match=what) as error_info:
        own_model(str(path))
    text = str(error_info.value)
    assert text.startswith(str(path))
    assert len(text.splitlines()) == 1
    code = re.findall("`(.*?)`", text)
    assert len(code) in (2, 4)
    for line in code:
        ast.parse(line)  # they are Python
    assert any(line.endswith((".h5')", ".onnx')")) for line in code)


@pytest.mark.parametrize("ending", ["h5", "keras", "onnx"])
@pytest.mark.parametrize(
    "content", [b"a text\n", b"\x80\x04\x95", b"", b"\x89HDF\r\n\x1a\n", None]
)
def test_a_file_of_another_kind_or_a_folder_is_refused(tmp_path, ending, content):
    path = tmp_path / f"net.{ending}"
    path.mkdir() if content is None else path.write_bytes(content)
    assert assert_refused(
        path, r"not a complete (HDF5|\.onnx) file|it is a pickle|it is an HDF5 file"
    ).startswith(str(path))


def test_a_keras_archive_called_h5_needs_another_name(recorded_file, tmp_path):
    (tmp_path / "net.h5").write_bytes(
        recorded_file("residual_keras3.keras")[0].read_bytes()
    )
    assert_refused(
        tmp_path / "net.h5",
        r"is a zip archive, not an HDF5 file; if Keras wrote it, rename it to end in \.keras",
    )
