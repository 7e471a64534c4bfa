""".onnx files, as PyTorch has exported them: equal to what PyTorch and onnxruntime compute."""

import shutil

import numpy as np
import pytest

from snnb.architectures import own_model
from snnb.core.errors import InputError
from snnb.model_files.onnx_graph import external_files
from snnb.model_files.read_model import read_model
from tests.model_files.conftest import RECORDED

onnx = pytest.importorskip("onnx")


def by_onnxruntime(path, x):
    """What onnxruntime makes of pictures (batch, height, width, channels)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    pictures = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return np.concatenate([session.run(None, {name: one[None]})[0] for one in pictures])


def softmax(x):
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


NAMES = ["residual_torch_9", "residual_torch_13", "residual_torch_fixed", "residual_torch_default"]
NAMES += ["plain_torch_9", "plain_torch_17", "plain_torch_default"]


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_model_computes_what_pytorch_and_onnxruntime_do(name):
    path = RECORDED / f"{name}.onnx"
    with np.load(str(RECORDED / f"{name.rpartition('_')[0]}.npz")) as recorded:
        x, y = recorded["x"], recorded["y"]
    told = []
    outputs = read_model(path, told.append).predict(x)
    assert y.std() > 0.1
    np.testing.assert_allclose(outputs, y, atol=1e-4)
    np.testing.assert_allclose(outputs, softmax(by_onnxruntime(path, x)), atol=1e-4)
    [message] = told
    assert ("ends in logits" if "residual" in name else "ends in the logarithm of a softmax") in message


def refused(path, message):
    with pytest.raises(InputError, match=message) as raised:
        read_model(path, len)
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_file(tmp_path, part):
    content = (RECORDED / "residual_torch_13.onnx").read_bytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(content[: int(len(content) * part)])
    assert str(path) in refused(path, "is not a complete .onnx file")


def test_files_of_other_kinds_under_this_name(tmp_path):
    path = tmp_path / "net.onnx"
    for content, kind in (
        (b"PK\x03\x04rest", "a zip archive"),
        (b"a text\n" * 9, "a text"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"\x80\x04\x95rest", "a pickle"),
        (b"", "empty"),
    ):
        path.write_bytes(content)
        refused(path, f"is not an .onnx file but {kind}; export it again")
    path.write_bytes(bytes(range(256)))
    refused(path, "is not a complete .onnx file")


@pytest.fixture
def beside(tmp_path):
    """A model with its weights in a file beside it."""
    for name in ("plain_torch_default.onnx", "plain_torch_default.onnx.data"):
        shutil.copy(str(RECORDED / name), str(tmp_path / name))
    return tmp_path / "plain_torch_default.onnx"


def place(path, **told):
    """Say something else about where the weights are."""
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key in told:
                entry.value = str(told[entry.key])
    path.write_bytes(model.SerializeToString())


def test_weights_beside_the_model_belong_to_it(beside):
    data = beside.with_name(beside.name + ".data")
    assert external_files(beside) == [data]
    data.write_bytes(data.read_bytes()[:-4])
    refused(beside, r"needs [\d,]+ bytes from [\d,]+ on, but plain_torch_default.onnx.data has 2,636")
    data.unlink()
    refused(beside, "plain_torch_default.onnx.data is missing, in which plain_torch_default.onnx has its weights")


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "", "a\0b"])
def test_weights_outside_the_folder_of_the_model(beside, location):
    (beside.parent.parent / "secret").write_bytes(bytes(3000))
    place(beside, location=location)
    refused(beside, "outside its folder, and not read")


def test_a_link_among_the_weights_is_not_followed(beside, tmp_path_factory):
    data = beside.with_name(beside.name + ".data")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.move(str(data), str(elsewhere / "data"))
    data.symlink_to(elsewhere / "data")
    refused(beside, "which is a link, and not read")
    data.unlink()
    (beside.parent / "weights").symlink_to(elsewhere)
    place(beside, location="weights/data")
    refused(beside, "which is a link, and not read")


@pytest.mark.parametrize(
    ("told", "message"),
    [({"offset": -8}, "bytes from -8 on"), ({"length": 7}, "needs"), ({"offset": "x"}, "no valid place")],
)
def test_a_place_among_the_weights_that_is_none(beside, told, message):
    place(beside, **told)
    refused(beside, message)


def test_the_model_is_named_after_its_file(beside):
    own = own_model(str(beside))
    assert (own.name, own.function) == ("plain_torch_default", None)
    assert own.input_shape((1, 1, 1), 3) == (8, 10, 1)
