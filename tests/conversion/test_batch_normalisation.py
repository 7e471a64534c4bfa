"""What PyTorch exports around poolings: computed padding, and a batch normalisation.

Files are written with the operators that `torch.onnx.export` of PyTorch 2.13 writes,
and compared with ONNX Runtime.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.core.errors import InputError
from snnb.core.progress import say_nothing, silent
from snnb.forward.analogue import Analogue
from snnb.model_files.read_model import read_model

FLOAT = onnx.TensorProto.FLOAT


def write(path, nodes, constants):
    """Write a classifier of pictures (3, 12, 12) that ends in `logits`."""
    initializers = [
        numpy_helper.from_array(np.asarray(values), name)
        for name, values in constants.items()
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 3, 12, 12])],
        [helper.make_tensor_value_info("logits", FLOAT, None)],
        initializers,
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def softmax_by_onnxruntime(path, x):
    """Return the softmax of the logits for pictures (samples, height, width, 3)."""
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(path), providers=providers)
    [logits] = session.run(None, {"x": x.transpose(0, 3, 1, 2)})
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def numbers(random, *shape):
    return random.normal(0, 0.4, shape).astype(np.float32)


def test_zero_padding_whose_pads_are_computed(tmp_path):
    """`ZeroPad2d((0, 1, 2, 1))`: left, right, top and bottom."""
    random = np.random.default_rng(0)
    constants = {
        "pad": np.array([0, 1, 2, 1], np.int64),
        "rest": np.array([4], np.int64),
        "pairs": np.array([-1, 2], np.int64),
        "last": np.array([-1], np.int64),
        "before_first": np.array([np.iinfo(np.int64).min + 1], np.int64),
        "axis": np.array([0], np.int64),
        "flat": np.array([-1], np.int64),
        "fill": np.array(0, np.float32),
        "kernel": numbers(random, 4, 3, 3, 3),
        "weights": numbers(random, 10, 4 * 13 * 11),
    }
    zero = helper.make_tensor("zero", onnx.TensorProto.INT64, [1], [0])
    nodes = [
        helper.make_node("ConstantOfShape", ["rest"], ["zeros"], value=zero),
        helper.make_node("Concat", ["pad", "zeros"], ["all"], axis=0),
        helper.make_node("Reshape", ["all", "pairs"], ["rows"]),
        helper.make_node(
            "Slice", ["rows", "last", "before_first", "axis", "last"], ["reversed"]
        ),
        helper.make_node("Transpose", ["reversed"], ["columns"], perm=[1, 0]),
        helper.make_node("Reshape", ["columns", "flat"], ["pads"]),
        helper.make_node("Cast", ["pads"], ["cast"], to=onnx.TensorProto.INT64),
        helper.make_node("Pad", ["x", "cast", "fill"], ["padded"], mode="constant"),
        helper.make_node("Conv", ["padded", "kernel"], ["sums"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["sums"], ["rates"]),
        helper.make_node("Flatten", ["rates"], ["vector"]),
        helper.make_node("Gemm", ["vector", "weights"], ["logits"], transB=1),
    ]
    path = write(tmp_path / "net.onnx", nodes, constants)
    network = read_model(path, say_nothing)
    x = random.random((4, 12, 12, 3)).astype(np.float32)
    ours = Analogue(network, threads=1).outputs(x)
    np.testing.assert_allclose(ours, softmax_by_onnxruntime(path, x), atol=1e-6)


def normalised_maximum(path, scale):
    """Write Conv, ReLU, BatchNormalization, MaxPool, Conv, ReLU, Flatten, Gemm."""
    random = np.random.default_rng(1)
    constants = {
        "kernel": numbers(random, 4, 3, 3, 3),
        "scale": np.asarray(scale, np.float32),
        "shift": numbers(random, 4),
        "mean": numbers(random, 4),
        "variance": random.uniform(0.5, 1.5, 4).astype(np.float32),
        "kernel2": numbers(random, 5, 4, 3, 3),
        "weights": numbers(random, 10, 45),
    }
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    names = ["rates", "scale", "shift", "mean", "variance"]
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["sums"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["sums"], ["rates"]),
        helper.make_node("BatchNormalization", names, ["normalised"]),
        helper.make_node("MaxPool", ["normalised"], ["maxima"], **window),
        helper.make_node("Conv", ["maxima", "kernel2"], ["sums2"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["sums2"], ["rates2"]),
        helper.make_node("Flatten", ["rates2"], ["vector"]),
        helper.make_node("Gemm", ["vector", "weights"], ["logits"], transB=1),
    ]
    return write(path, nodes, constants)


def convert_file(path, x, **options):
    return convert(
        read_model(path, say_nothing),
        x_norm=x,
        settings=ConversionSettings(**options),
        progress=silent,
        pixel_scale=255,
    )


@pytest.mark.parametrize(
    "options", [{}, {"calibrate": 8}], ids=["parsed", "calibrated"]
)
def test_batch_normalisation_before_max_pooling(tmp_path, options):
    """The pooling counts spikes; the following weights have the scale and the shift."""
    path = normalised_maximum(tmp_path / "net.onnx", [0.5, 1.2, 0.8, 0.3])
    x = np.random.default_rng(2).random((6, 12, 12, 3)).astype(np.float32)
    result = convert_file(path, x, **options)
    assert result.largest_difference < 1e-5
    kinds = [population.kind for population in result.parsed.populations]
    assert kinds == ["Conv2D", "MaxPooling2D", "Conv2D", "Dense"]
    outputs = Analogue(result.parsed, threads=1).outputs(x)
    wanted = softmax_by_onnxruntime(path, x)
    np.testing.assert_allclose(outputs, wanted, atol=1e-5)


def test_a_negative_scale_before_max_pooling_is_refused(tmp_path):
    path = normalised_maximum(tmp_path / "net.onnx", [0.5, -1.2, 0.8, 0.3])
    x = np.random.default_rng(2).random((6, 12, 12, 3)).astype(np.float32)
    with pytest.raises(InputError, match="scales 1 of 4 channels by negative numbers"):
        convert_file(path, x)


@pytest.mark.parametrize(
    "options",
    [{}, {"calibrate": 8}, {"calibrate": 8, "weight_bits": 8}],
    ids=["parsed", "calibrated", "integers"],
)
def test_batch_normalisation_before_a_global_average(tmp_path, options):
    """The dense layer reads all positions: a convolution of the size of the map."""
    random = np.random.default_rng(3)
    constants = {
        "kernel": numbers(random, 4, 3, 3, 3),
        "scale": np.array([0.5, -1.2, 0.8, 0.3], np.float32),
        "shift": numbers(random, 4),
        "mean": numbers(random, 4),
        "variance": random.uniform(0.5, 1.5, 4).astype(np.float32),
        "weights": numbers(random, 10, 4),
        "bias": numbers(random, 10),
    }
    names = ["rates", "scale", "shift", "mean", "variance"]
    gemm = ["vector", "weights", "bias"]
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["sums"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["sums"], ["rates"]),
        helper.make_node("BatchNormalization", names, ["normalised"]),
        helper.make_node("GlobalAveragePool", ["normalised"], ["means"]),
        helper.make_node("Flatten", ["means"], ["vector"]),
        helper.make_node("Gemm", gemm, ["logits"], transB=1),
    ]
    path = write(tmp_path / "net.onnx", nodes, constants)
    x = random.random((6, 12, 12, 3)).astype(np.float32)
    result = convert_file(path, x, **options)
    output = result.parsed.populations[-1]
    assert (output.kind, output.shape) == ("Conv2D", (1, 1, 10))
    assert output.only.kernel.shape == (10, 10, 4, 10)
    outputs = Analogue(result.parsed, threads=1).outputs(x)
    wanted = softmax_by_onnxruntime(path, x)
    np.testing.assert_allclose(outputs, wanted, atol=1e-5)
