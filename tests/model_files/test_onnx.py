""".onnx files, as PyTorch has exported them: equal to what PyTorch and onnxruntime compute."""

import shutil
from contextlib import suppress

import numpy as np
import onnx
import pytest
from scipy.special import softmax

from snnb.architectures import own_model
from snnb.core.errors import InputError, VerificationError
from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_model import external_files, read_graph, read_onnx
from snnb.model_files.read_model import read_model
from snnb.training.pretrained import verify_onnx
from tests.model_files.conftest import RECORDED, assert_refused, outputs
from tests.model_files.test_onnx_operators import node, onnxruntime_outputs, written

NAMES = [
    "residual_torch_9",
    "residual_torch_13",
    "residual_torch_fixed",
    "residual_torch_default",
]
NAMES += ["plain_torch_9", "plain_torch_17", "plain_torch_default"]


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_model_computes_what_pytorch_and_onnxruntime_do(name):
    path = RECORDED / f"{name}.onnx"
    with np.load(str(RECORDED / f"{name.rpartition('_')[0]}.npz")) as recorded_arrays:
        x, y = recorded_arrays["x"], recorded_arrays["y"]
    messages = []
    found_outputs = outputs(read_model(path, messages.append), x)
    assert y.std() > 0.1
    np.testing.assert_allclose(found_outputs, y, atol=1e-4)
    by_onnxruntime = np.concatenate(
        [
            onnxruntime_outputs(path, transpose[None])
            for transpose in x.transpose(0, 3, 1, 2)
        ]
    )
    np.testing.assert_allclose(
        found_outputs, softmax(by_onnxruntime, axis=1), atol=1e-4
    )
    [message] = messages
    assert (
        "ends in logits" if "residual" in name else "ends in the logarithm of a softmax"
    ) in message


@pytest.mark.parametrize(
    "pixels", ["0-1", "caffe", "torch", "mean=0.1,0.2,0.3,std=0.5"]
)
def test_a_network_is_verified_with_its_file(pixels):
    path, other_engine = RECORDED / "residual_torch_13.onnx", "tf"
    with np.load(str(RECORDED / "residual_torch.npz")) as recorded_arrays:
        x = recorded_arrays["x"]
    verify_onnx(path, read_model(path, len, pixels), pixels, x)
    with pytest.raises(
        VerificationError,
        match=r"13\.onnx: read as a network whose outputs differ by up to 0\.\d+; exp",
    ):
        verify_onnx(path, read_model(path, len, pixels), other_engine, x)


def test_outputs_that_are_no_logits_are_verified_as_they_are(tmp_path):
    random = np.random.default_rng(0)
    nodes = [
        node("Flatten", "x", "f"),
        node("Gemm", "f,w", "z", transB=1),
        node("Relu", "z"),
    ]
    weights = random.normal(0, 9, (10, 64)).astype(np.float32)
    path = written(tmp_path / "net.onnx", nodes, (1, 8, 8), w=weights)
    network, x = read_model(path, len), random.random((9, 8, 8, 1)).astype(np.float32)
    verify_onnx(path, network, None, x)
    assert outputs(network, x).max() > 10


def test_a_truncated_file(tmp_path):
    content = (RECORDED / "residual_torch_13.onnx").read_bytes()
    path = tmp_path / "net.onnx"
    for part in (0.02, 0.3, 0.99):
        path.write_bytes(content[: int(len(content) * part)])
        assert assert_refused(path, "is not a complete .onnx file").startswith(
            str(path)
        )


@pytest.fixture
def beside(tmp_path):
    """A model with its weights in a file beside it."""
    for name in ("plain_torch_default.onnx", "plain_torch_default.onnx.data"):
        shutil.copy(str(RECORDED / name), str(tmp_path / name))
    return tmp_path / "plain_torch_default.onnx"


def test_external_weights_belong_to_the_model(beside):
    data = beside.with_name(beside.name + ".data")
    assert external_files(beside) == [data]
    data.write_bytes(data.read_bytes()[:-4])
    assert_refused(beside, "is damaged|is not a complete .onnx file")
    data.unlink()
    assert_refused(beside, "plain_torch_default.onnx.data")


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd"])
def test_weights_outside_the_directory_of_the_model_are_not_read(beside, location):
    (beside.parent.parent / "secret").write_bytes(bytes(3000))
    model = onnx.load(str(beside), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    beside.write_bytes(model.SerializeToString())
    message = f"its weights are in .*{location}, outside of its folder"
    assert_refused(beside, message)
    with pytest.raises(InputError, match=message):
        external_files(beside)


def test_the_model_is_named_after_its_file(beside):
    model = own_model(str(beside))
    assert (model.name, model.function) == ("plain_torch_default", None)
    assert model.input_shape((1, 1, 1), 3) == (8, 10, 1)


OTHER_FORMATS = {
    "HDF5": (
        (RECORDED / "plain_keras24.h5").read_bytes(),
        "it is an HDF5 file; rename it to end in .h5",
    ),
    "zip": (
        (RECORDED / "plain_keras305.keras").read_bytes(),
        "it is a zip archive; rename it to end in .keras",
    ),
    "random": (
        bytes(np.random.default_rng(4).integers(0, 256, 3000, np.uint8)),
        "it is not a complete .onnx file",
    ),
}


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_a_file_of_another_format_is_refused(kind, tmp_path):
    content, message = OTHER_FORMATS[kind]
    (tmp_path / "net.onnx").write_bytes(content)
    line = assert_refused(tmp_path / "net.onnx", rf"net\.onnx: {message}")
    assert "built-in" not in line  # an address in memory


@pytest.mark.parametrize(
    ("name", "read", "first_byte", "times"),
    [
        ("plain_torch_9", read_graph, 400, 300),
        ("residual_torch_9", lambda path: read_onnx(path, len), None, 60),
    ],
)
def test_damaged_bytes_are_refused_or_read(tmp_path, name, read, first_byte, times):
    """protobuf raises errors of several types, of which one is a SystemError."""
    original = (RECORDED / f"{name}.onnx").read_bytes()
    random = np.random.default_rng(7)
    path = tmp_path / "net.onnx"
    done = 0
    for _ in range(times):
        content = bytearray(original)
        for place in random.integers(0, first_byte or len(content), 3):
            content[place] = random.integers(0, 256)
        path.write_bytes(bytes(content))
        with suppress(NotReadError):
            read(path)
            done += 1
    assert 0 < done < times
