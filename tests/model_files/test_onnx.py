""".onnx files, as PyTorch has exported them: equal to what PyTorch and onnxruntime compute."""

import pickle
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest

from snnb.architectures import own_model
from snnb.core.errors import InputError, VerificationError
from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_model import external_files, read_graph
from snnb.model_files.read_model import read_model
from snnb.training.pretrained import verify_onnx
from tests.model_files.conftest import RECORDED, outputs, refused


def by_onnxruntime(path, x):
    """What onnxruntime makes of pictures (batch, height, width, channels)."""
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
    found = outputs(read_model(path, told.append), x)
    assert y.std() > 0.1
    np.testing.assert_allclose(found, y, atol=1e-4)
    np.testing.assert_allclose(found, softmax(by_onnxruntime(path, x)), atol=1e-4)
    [message] = told
    assert ("ends in logits" if "residual" in name else "ends in the logarithm of a softmax") in message


@pytest.mark.parametrize("pixels", ["0-1", "caffe", "torch", "mean=0.1,0.2,0.3,std=0.5"])
def test_a_network_is_verified_with_its_file(pixels):
    path, other = RECORDED / "residual_torch_13.onnx", "tf"
    with np.load(str(RECORDED / "residual_torch.npz")) as recorded:
        x = recorded["x"]
    verify_onnx(path, read_model(path, len, pixels), pixels, x)
    with pytest.raises(
        VerificationError, match=r"13\.onnx: read as a network whose outputs differ by up to 0\.\d+; exp"
    ):
        verify_onnx(path, read_model(path, len, pixels), other, x)


def test_outputs_that_are_no_logits_are_verified_as_they_are(tmp_path):
    random, path = np.random.default_rng(0), tmp_path / "net.onnx"
    weights = onnx.numpy_helper.from_array(random.normal(0, 9, (10, 64)).astype(np.float32), "w")
    ends = [onnx.helper.make_tensor_value_info(*end) for end in (("x", 1, ("n", 1, 8, 8)), ("y", 1, None))]
    steps = (("Flatten", ["x"], ["f"], {}), ("Gemm", ["f", "w"], ["z"], {"transB": 1}), ("Relu", ["z"], ["y"], {}))
    nodes = [onnx.helper.make_node(kind, read, made, **settings) for kind, read, made, settings in steps]
    graph = onnx.helper.make_graph(nodes, "graph", ends[:1], ends[1:], [weights])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)]), str(path))
    network, x = read_model(path, len), random.random((9, 8, 8, 1)).astype(np.float32)
    verify_onnx(path, network, None, x)
    assert outputs(network, x).max() > 10


def test_a_truncated_file(tmp_path):
    content = (RECORDED / "residual_torch_13.onnx").read_bytes()
    path = tmp_path / "net.onnx"
    for part in (0.02, 0.3, 0.99):
        path.write_bytes(content[: int(len(content) * part)])
        assert refused(path, "is not a complete .onnx file").startswith(str(path))


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
    refused(beside, "is damaged|is not a complete .onnx file")
    data.unlink()
    refused(beside, "plain_torch_default.onnx.data")


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
    refused(beside, message)
    with pytest.raises(InputError, match=message):
        external_files(beside)


def test_the_model_is_named_after_its_file(beside):
    own = own_model(str(beside))
    assert (own.name, own.function) == ("plain_torch_default", None)
    assert own.input_shape((1, 1, 1), 3) == (8, 10, 1)


OTHER_FORMATS = {
    "HDF5": ((RECORDED / "plain_keras24.h5").read_bytes(), "it is an HDF5 file; rename it to end in .h5"),
    "zip": ((RECORDED / "plain_keras305.keras").read_bytes(), "it is a zip archive; rename it to end in .keras"),
    "pickle": (pickle.dumps([1, 2]), "it is a pickle"),
    "text": (b"a text\n", "it is not a complete .onnx file"),
    "random": (bytes(np.random.default_rng(4).integers(0, 256, 3000, np.uint8)), "it is not a complete .onnx file"),
}


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_a_file_of_another_format_is_refused(kind, tmp_path):
    content, message = OTHER_FORMATS[kind]
    (tmp_path / "net.onnx").write_bytes(content)
    line = refused(tmp_path / "net.onnx", rf"net\.onnx: {message}")
    assert "built-in" not in line  # an address in memory


def test_random_changes_are_refused_or_read(tmp_path):
    """protobuf raises errors of several types, of which one is a SystemError."""
    original = (RECORDED / "plain_torch_9.onnx").read_bytes()
    random, path = np.random.default_rng(7), tmp_path / "net.onnx"
    kinds = set()
    for _ in range(300):
        content = np.frombuffer(original, np.uint8).copy()
        content[random.integers(0, 400, 3)] = random.integers(0, 256, 3)
        path.write_bytes(content.tobytes())
        try:
            read_graph(path)
            kinds.add("read")
        except NotReadError:
            kinds.add("refused")
    assert kinds == {"read", "refused"}
