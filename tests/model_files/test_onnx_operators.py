"""Each operator of ONNX that is read, as onnxruntime computes it; and what of it is refused, by name and opset."""

import random
import re

import numpy as np
import onnx
import onnxruntime
import pytest

from snnb.cli.main import main
from snnb.core.errors import ResourceError
from snnb.core.machine import Memory
from snnb.forward.analogue import Analogue
from snnb.model_files.keras_files import write_keras_h5
from snnb.model_files.onnx_model import outputs_of_file, read_onnx
from snnb.model_files.onnx_operators import OPERATORS
from snnb.model_files.read_model import read_trained
from tests.cli.test_file_budget import measure_resources
from tests.model_files.conftest import assert_refused, outputs

RANDOM = np.random.default_rng(5)


def numbers(*shape):
    return RANDOM.normal(0.05, 0.5, shape).astype(np.float32)


def node(kind, inputs="x", output="y", **attributes):
    return onnx.helper.make_node(
        kind,
        inputs.split(","),
        output.split(","),
        name=f"the_{kind}_{output}",
        **attributes,
    )


def written(path, nodes, shape=(3, 9, 8), opset=13, inputs=("x",), **constants):
    """Write a model of these operators from `x` to `y`."""
    read = {name for one in nodes for name in one.input}
    values = {
        name: np.asarray(value) for name, value in constants.items() if name in read
    }
    floating, make = onnx.TensorProto.FLOAT, onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [make(name, floating, ["batch", *shape]) for name in inputs],
        [make("y", floating, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())
    return path


def onnxruntime_outputs(path, x):
    session = onnxruntime.InferenceSession(
        str(path),
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["Pad_Fusion"],  # wrong before an AveragePool
    )
    [outputs] = session.run(None, {session.get_inputs()[0].name: x})
    return outputs


def compare(path, shape):
    """Both results for random pictures, some numbers below 0, in ONNX's order."""
    x = RANDOM.uniform(-1, 1, (3, *shape)).astype(np.float32)
    expected = onnxruntime_outputs(path, x)
    found = outputs(
        read_onnx(path, len), x if shape[-1] == 3 else x.transpose(0, 2, 3, 1)
    )
    if found.ndim == 4 and shape[-1] != 3:
        found = found.transpose(0, 3, 1, 2)
    if found.ndim == 2 and expected.ndim == 4:
        found = found[:, :, None, None]
    assert expected.std() > 1e-3
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-4)


def ints(*values):
    return np.array(values, np.int64)


CONV = {"w": numbers(4, 3, 3, 3), "b": numbers(4)}
BN = {
    "scale": numbers(3),
    "shift": numbers(3),
    "mean": numbers(3),
    "var": numbers(3) ** 2,
}
POINTS = {"a": ints(2, 3), "w": numbers(4, 3, 1, 1)}
RELU = node("Relu", "x", "t")
FLATTEN = node("Flatten", "x", "t")
POOLED = node("GlobalAveragePool", "x", "t")
MEANS = node("ReduceMean", "x", "t", axes=[2, 3], keepdims=0)
FLAT = {
    "m": numbers(216, 5),
    "c": numbers(5),
    "s": numbers(216),
    "v": numbers(216) ** 2,
}
ROUND = {"pads": [1, 1, 1, 1]}
STRIDED = {"kernel_shape": [3, 3], "strides": [2, 2]}
SHAPES = [
    node("Shape", "x", "t"),
    node("Slice", "t,i,j", "u"),
    node("Concat", "u,k", "s", axis=0),
]
BRANCH = [node("GlobalAveragePool", "x", "g"), node("Flatten", "g", "h")]
TRANSPOSE = node("Transpose", "x", "t", perm=[0, 2, 3, 1])
BOUNDS = {"low": np.float32(0), "high": np.float32(0.4)}
MODELS = {
    "Conv same": ([node("Conv", "x,w,b", **ROUND)], CONV),
    "Conv stride": ([node("Conv", "x,w,b", **ROUND, strides=[2, 2])], CONV),
    "Conv dilated": ([node("Conv", "x,w", pads=[2, 2, 2, 2], dilations=[2, 2])], CONV),
    "Conv SAME_UPPER": (
        [node("Conv", "x,w", auto_pad="SAME_UPPER", strides=[2, 3])],
        CONV,
    ),
    "Conv SAME_LOWER": (
        [node("Conv", "x,w", auto_pad="SAME_LOWER", strides=[2, 3])],
        CONV,
    ),
    "depthwise": (
        [node("Conv", "x,w,b", group=3, **ROUND)],
        {"w": numbers(3, 1, 3, 3), "b": numbers(3)},
    ),
    "grouped": (
        [
            node("Conv", "x,w", "t", strides=[2, 1]),
            node("Conv", "t,g,b", "u", group=2, dilations=[1, 2]),
            node("Relu", "u"),
        ],
        {"w": numbers(4, 3, 3, 3), "g": numbers(6, 2, 2, 3), "b": numbers(6)},
    ),
    "depthwise of unequal strides": (
        [node("Conv", "x,w", group=3, strides=[2, 1])],
        {"w": numbers(6, 1, 3, 3)},
    ),
    "transposed": (
        [
            node(
                "ConvTranspose", "x,w,b", **ROUND, strides=[2, 2], output_padding=[1, 1]
            )
        ],
        {"w": numbers(3, 5, 3, 3), "b": numbers(5)},
    ),
    "transposed as same": (
        [node("ConvTranspose", "x,w", **ROUND, strides=[2, 2])],
        {"w": numbers(3, 5, 4, 4)},
    ),
    "transposed as valid": (
        [node("ConvTranspose", "x,w", strides=[3, 2], output_padding=[2, 0])],
        {"w": numbers(3, 5, 1, 4)},
    ),
    "transposed dilated": (
        [
            node(
                "ConvTranspose",
                "x,w",
                pads=[3, 0, 1, 2],
                strides=[2, 1],
                dilations=[1, 2],
            )
        ],
        {"w": numbers(3, 2, 4, 3)},
    ),
    **{
        f"transposed {automatic}": (
            [
                node(
                    "ConvTranspose",
                    "x,w",
                    auto_pad=automatic,
                    strides=[2, 3],
                    output_padding=[1, 0],
                )
            ],
            {"w": numbers(3, 5, 4, 4)},
        )
        for automatic in ("SAME_UPPER", "SAME_LOWER")
    },
    "transposed SAME_UPPER of few taps": (
        [node("ConvTranspose", "x,w", auto_pad="SAME_UPPER", strides=[3, 2])],
        {"w": numbers(3, 5, 2, 1)},
    ),
    "transposed output_shape": (
        [node("ConvTranspose", "x,w", output_shape=[10, 13], strides=[2, 2])],
        {"w": numbers(3, 5, 3, 5)},
    ),
    "transposed grouped": (
        [
            node("Conv", "x,v", "t"),
            node("Relu", "t", "u"),
            node("ConvTranspose", "u,w,b", group=2, strides=[2, 2]),
        ],
        {"v": numbers(4, 3, 3, 3), "w": numbers(4, 3, 2, 3), "b": numbers(6)},
    ),
    "Clip": ([node("Clip", "x,low,high")], BOUNDS),
    "Clip open": ([node("Clip", "x,low")], BOUNDS),
    "MaxPool same": ([node("MaxPool", kernel_shape=[3, 3], **ROUND)], {}),
    "MaxPool padded": ([RELU, node("MaxPool", "t", **STRIDED, **ROUND)], {}),
    "MaxPool ceil": ([RELU, node("MaxPool", "t", **STRIDED, ceil_mode=1)], {}),
    "AveragePool": ([node("AveragePool", kernel_shape=[2, 3], strides=[2, 1])], {}),
    "AveragePool same": ([node("AveragePool", kernel_shape=[3, 3], **ROUND)], {}),
    "GlobalAveragePool": ([node("GlobalAveragePool")], {}),
    "GlobalAveragePool Conv": ([POOLED, node("Conv", "t,w")], POINTS),
    "GlobalMaxPool": ([node("GlobalMaxPool")], {}),
    "GlobalMaxPool twice": (
        [node("GlobalMaxPool", "x", "t"), node("GlobalMaxPool", "t")],
        {},
    ),
    "ReduceMax keepdims": ([node("ReduceMax", axes=[-1, -2])], {}),
    "ReduceMax": (
        [node("ReduceMax", "x", "t", axes=[2, 3], keepdims=0), node("Relu", "t")],
        {},
    ),
    "ReduceMean keepdims": ([node("ReduceMean", axes=[-1, -2])], {}),
    "Sum": ([RELU, node("Sum", "t,x,t")], {}),
    "Mul": ([node("Mul", "k,x")], {"k": np.float32(0.3)}),
    "Concat": ([RELU, node("Concat", "t,x", axis=1)], {}),
    "Flatten MatMul Add": (
        [FLATTEN, node("MatMul", "t,m", "u"), node("Add", "c,u")],
        FLAT,
    ),
    "Flatten Add Gemm": ([FLATTEN, node("Add", "t,s", "u"), node("Gemm", "u,m")], FLAT),
    "Flatten BN Gemm": (
        [FLATTEN, node("BatchNormalization", "t,s,s,s,v", "u"), node("Gemm", "u,m")],
        FLAT,
    ),
    "Reshape 0": (
        [node("Reshape", "x,s", "t"), node("Gemm", "t,m")],
        {**FLAT, "s": ints(0, -1)},
    ),
    "Squeeze": ([POOLED, node("Squeeze", "t,a", "u"), node("Relu", "u")], POINTS),
    "Dropout": ([node("Dropout", "x", "t"), node("Identity", "t")], {}),
    "Softmax": ([MEANS, node("Softmax", "t")], {}),
    "Transpose Flatten": (
        [TRANSPOSE, node("Flatten", "t", "u"), node("Gemm", "u,m")],
        FLAT,
    ),
    "Conv uneven": ([node("Conv", "x,w", pads=[0, 2, 1, 0], strides=[2, 1])], CONV),
    "Conv + Add": (
        [node("Conv", "x,w", "t"), node("Add", "t,b")],
        {"w": CONV["w"], "b": numbers(1, 4, 1, 1)},
    ),
    "depthwise twice": (
        [node("Conv", "x,w", group=3, strides=[2, 2])],
        {"w": numbers(6, 1, 2, 3)},
    ),
    "BatchNormalization": ([node("BatchNormalization", "x,scale,shift,mean,var")], BN),
    "MaxPool ceil pad": (
        [
            RELU,
            node(
                "MaxPool",
                "t",
                kernel_shape=[3, 4],
                strides=[3, 3],
                **ROUND,
                ceil_mode=1,
            ),
        ],
        {},
    ),
    "AveragePool counted": (
        [node("AveragePool", **STRIDED, **ROUND, count_include_pad=1)],
        {},
    ),
    "Add": ([RELU, node("Add", "t,x")], {}),
    "normalised": (
        [node("Sub", "x,mean", "t"), node("Div", "t,std")],
        {"mean": numbers(1, 3, 1, 1), "std": numbers(3, 1, 1) + 3},
    ),
    "Flatten Gemm": (
        [FLATTEN, node("Gemm", "t,n,c", transB=1, alpha=0.5, beta=2.0)],
        {"n": FLAT["m"].T.copy(), "c": FLAT["c"]},
    ),
    "Flatten Concat Gemm": (
        [FLATTEN, *BRANCH, node("Concat", "h,t", "u", axis=-1), node("Gemm", "u,m")],
        {"m": numbers(219, 5)},
    ),
    "Shape Slice Concat": (
        [*SHAPES, node("Reshape", "x,s", "f"), node("Gemm", "f,m")],
        {"m": FLAT["m"], "i": ints(0), "j": ints(1), "k": ints(216)},
    ),
    "Unsqueeze": ([MEANS, node("Unsqueeze", "t,a", "u"), node("Conv", "u,w")], POINTS),
    "Pad": ([node("Pad", "x,p")], {"p": ints(0, 0, 1, 2, 0, 0, 0, 3)}),
}


@pytest.mark.parametrize(("nodes", "constants"), MODELS.values(), ids=MODELS)
def test_an_operator_computes_what_onnxruntime_does(tmp_path, nodes, constants):
    compare(written(tmp_path / "net.onnx", nodes, **constants), (3, 9, 8))


NOT_KERAS = ["transposed", "transposed dilated", "transposed grouped"]
FAST = ["transposed as same", "depthwise twice", "BatchNormalization", "Unsqueeze"]


@pytest.mark.parametrize(
    "name",
    [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in MODELS],
)
def test_keras_computes_the_same_of_the_network_in_its_own_format(tmp_path, name):
    from snnb.model_files.keras import NEWER, keras

    if name in NOT_KERAS:
        pytest.skip("Keras has no such layer")
    if name == "grouped" and not NEWER:
        pytest.skip("TensorFlow 2.2 has no grouped convolutions")
    nodes, constants = MODELS[name]
    network = read_onnx(written(tmp_path / "net.onnx", nodes, **constants), len)
    write_keras_h5(network, tmp_path / "net.h5", "net")
    x = RANDOM.uniform(-1, 1, (3, 9, 8, 3)).astype(np.float32)
    expected = keras.models.load_model(str(tmp_path / "net.h5"), compile=False).predict(
        x
    )
    np.testing.assert_allclose(outputs(network, x), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", [*NOT_KERAS, "grouped"])
def test_layers_that_keras_does_not_load_are_read_again(tmp_path, name):
    nodes, constants = MODELS[name]
    network = read_onnx(written(tmp_path / "net.onnx", nodes, **constants), len)
    write_keras_h5(network, tmp_path / "net.h5", "net")
    x = RANDOM.uniform(-1, 1, (3, 9, 8, 3)).astype(np.float32)
    found = outputs(read_trained(tmp_path / "net.h5"), x)
    np.testing.assert_array_equal(found, outputs(network, x))


def test_a_model_with_channels_last_moves_them_itself(tmp_path):
    """As tf2onnx writes those of TensorFlow."""
    nodes = [
        node("Mul", "x,k", "n"),
        node("Transpose", "n", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t,w", "c"),
        node("Transpose", "c", "u", perm=[0, 2, 3, 1]),
        node("Reshape", "u,s", "f"),
        node("MatMul", "f,m"),
    ]
    constants = {
        "k": np.float32(2),
        "w": CONV["w"],
        "s": ints(-1, 7 * 6 * 4),
        "m": numbers(7 * 6 * 4, 5),
    }
    compare(
        written(tmp_path / "net.onnx", nodes, shape=(9, 8, 3), **constants), (9, 8, 3)
    )


def test_operators_may_have_the_name_of_onnxs_domain(tmp_path):
    operator = node("Conv", "x,w,b", domain="ai.onnx")
    compare(written(tmp_path / "net.onnx", [operator], **CONV), (3, 9, 8))


@pytest.mark.parametrize("opset", [9, 11, 13, 15, 18, 19, 20, 21])
def test_what_changed_between_the_opsets(tmp_path, opset):
    axes = {"axes": [2, 3]} if opset < 18 else {}
    clip = (
        node("Clip", "x", "p", min=0.0, max=0.4)
        if opset < 11
        else node("Clip", "x,low,high", "p")
    )
    pad = (
        node("Pad", "p", "q", pads=[0, 0, 1, 0, 0, 0, 0, 1])
        if opset < 11
        else node("Pad", "p,pads", "q")
    )
    means = node("ReduceMean", "q" if opset < 18 else "q,axes", "r", keepdims=1, **axes)
    squeeze = (
        node("Squeeze", "r", "s", axes=[2, 3])
        if opset < 13
        else node("Squeeze", "r,axes", "s")
    )
    nodes = [clip, pad, means, squeeze, node("Softmax", "s")]
    constants = {**BOUNDS, "pads": ints(0, 0, 1, 0, 0, 0, 0, 1), "axes": ints(2, 3)}
    compare(written(tmp_path / "net.onnx", nodes, opset=opset, **constants), (3, 9, 8))


REFUSED = {
    "Sigmoid": (
        [node("Sigmoid")],
        {},
        r"operator Sigmoid \(the_Sigmoid_y, opset 13\): not read; build .* Conv,",
    ),
    "several": (
        [node("Sigmoid", "x", "t"), node("Erf", "t")],
        {},
        r"operator Erf \(the_Erf_y, .*\), and Sigmoid",
    ),
    "a domain": (
        [onnx.helper.make_node("Relu", ["x"], ["y"], domain="mine")],
        {},
        "operator mine.Relu",
    ),
    "groups": (
        [node("Conv", "x,w", group=3)],
        {"w": numbers(3, 3, 3, 3)},
        "does not fit 3 channels in 3 groups",
    ),
    "transposed groups": (
        [node("ConvTranspose", "x,w", group=2)],
        {"w": numbers(3, 3, 3, 3)},
        "does not fit 3 channels in 2 groups",
    ),
    "transposed output_shape": (
        [node("ConvTranspose", "x,w", output_shape=[40, 41])],
        {"w": numbers(3, 3, 3, 3)},
        "its output_shape is .40, 41., but its windows end at",
    ),
    "transposed output_padding": (
        [node("ConvTranspose", "x,w", output_padding=[2, 1])],
        {"w": numbers(3, 3, 3, 3)},
        "does not fit strides",
    ),
    "strides and holes": (
        [node("Conv", "x,w", strides=[2, 2], dilations=[2, 2])],
        CONV,
        "it has strides and dilations, which are not supported together",
    ),
    "a bias too long": (
        [node("Conv", "x,w,b")],
        {"w": CONV["w"], "b": numbers(5)},
        r"its bias has the shape \(5,\)",
    ),
    "no group": (
        [node("Conv", "x,w", group=0)],
        CONV,
        r"net.onnx: operator Conv \(.*\): its group is 0, not a number from 1 on",
    ),
    "no transposed group": (
        [node("ConvTranspose", "x,w", group=0)],
        {"w": numbers(3, 4, 3, 3)},
        r"net.onnx: operator ConvTranspose \(.*\): its group is 0, not a number",
    ),
    "an unknown auto_pad": (
        [node("Conv", "x,w", auto_pad="BOGUS")],
        CONV,
        "its auto_pad is 'BOGUS', not one of NOTSET, SAME_UPPER, SAME_LOWER, VALID",
    ),
    "an unknown transposed auto_pad": (
        [node("ConvTranspose", "x,w", auto_pad="BOGUS")],
        {"w": numbers(3, 4, 3, 3)},
        "its auto_pad is 'BOGUS'",
    ),
    "two paddings": (
        [node("Conv", "x,w", auto_pad="SAME_UPPER", **ROUND)],
        CONV,
        "it has pads and auto_pad SAME_UPPER: omit one of them",
    ),
    "an attribute of another operator": (
        [node("Conv", "x,w", output_padding=[1, 1])],
        CONV,
        "Unrecognized attribute: output_padding for operator Conv",
    ),
    "an attribute of a later opset": (
        [node("Reshape", "x,s", allowzero=1)],
        {"s": ints(-1, 216)},
        "Unrecognized attribute: allowzero for operator Reshape",
    ),
    "too many inputs": (
        [node("Relu", "x,w")],
        CONV,
        "has input size 2 not in range",
    ),
    "a kernel too large": (
        [node("Conv", "x,w")],
        {"w": numbers(4, 3, 9, 9)},
        r"operator Conv \(the_Conv_y, opset 13\): it has an empty output: the images are too small",
    ),
    "negative pads": ([node("Conv", "x,w", pads=[-1, 0, 0, 0])], CONV, "its pads are"),
    "max of padding": ([node("MaxPool", **STRIDED, **ROUND)], {}, "may be negative"),
    "ceil_mode": (
        [
            RELU,
            node(
                "MaxPool",
                "t",
                kernel_shape=[2, 2],
                strides=[3, 3],
                **ROUND,
                ceil_mode=1,
            ),
        ],
        {},
        "by its ceil_mode, the last window begins in the padding",
    ),
    "average of padding": (
        [node("AveragePool", kernel_shape=[2, 2], pads=[2, 0, 0, 0])],
        {},
        r"its padding .* has windows without a pixel: pad less than the windows",
    ),
    "counted in ceil_mode": (
        [node("AveragePool", **STRIDED, ceil_mode=1, count_include_pad=1)],
        {},
        "it counts its padding, and its ceil_mode adds to it",
    ),
    "padded with one": (
        [node("Pad", "x,p,k")],
        {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "k": np.float32(1)},
        "only padding of height and width with zeros is supported",
    ),
    "clipped below": (
        [node("Clip", "x,k")],
        {"k": np.float32(-1)},
        r"it clips to \[-1, inf\]",
    ),
    "maximum of channels": (
        [node("ReduceMax", axes=[1])],
        {},
        r"it takes the maximum over the axes \[1\]; only the maximum over height and width is supported",
    ),
    "a product": ([node("Mul", "x,x")], {}, "it multiplies two values"),
    "side by side": (
        [node("Concat", "x,x", axis=2)],
        {},
        "concatenates images along height or width",
    ),
    "a cut": ([node("Slice", "x,i,i")], {"i": ints(0)}, "it takes part of a value"),
    "the batch reshaped": (
        [node("Reshape", "x,s")],
        {"s": ints(3, -1, 72)},
        "changes the axis of the batch",
    ),
    "training": (
        [node("BatchNormalization", "x,scale,shift,mean,var", training_mode=1)],
        {**BN, "opset": 15},
        "export after model.eval",
    ),
    "softmax inside": (
        [node("LogSoftmax", "x", "t"), node("Relu", "t")],
        {},
        "no spiking form of a logarithm",
    ),
    "flattened end": ([node("Flatten")], {}, "it ends in a flattened image"),
}


AVERAGES = {
    "strided": {**STRIDED, **ROUND},
    "stride 1": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    "ceil": {**STRIDED, "ceil_mode": 1},
    "ceil pad": {**STRIDED, **ROUND, "ceil_mode": 1},
    "ceil unequal": {"kernel_shape": [2, 4], "strides": [2, 3], "ceil_mode": 1},
    "uneven": {"kernel_shape": [3, 4], "pads": [2, 0, 1, 3], "strides": [1, 2]},
    "read on one side": {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1] * 4},
    "unread": {"kernel_shape": [3, 2], "strides": [3, 2], "pads": [0, 0, 2, 1]},
    "SAME_LOWER": {**STRIDED, "auto_pad": "SAME_LOWER"},
    "SAME_UPPER": {**STRIDED, "auto_pad": "SAME_UPPER"},
}


@pytest.mark.parametrize("opset", [10, 19])
@pytest.mark.parametrize("attributes", AVERAGES.values(), ids=AVERAGES)
def test_an_average_excludes_its_padding(tmp_path, attributes, opset):
    pooling = node("AveragePool", **attributes)
    compare(written(tmp_path / "net.onnx", [pooling], opset=opset), (3, 9, 8))


def test_an_average_has_the_padding_of_keras_where_it_is_the_same(tmp_path):
    paddings = {}
    for name, attributes in AVERAGES.items():
        pooling = node("AveragePool", **attributes)
        network = read_onnx(written(tmp_path / "net.onnx", [pooling]), len)
        assert len(network.layers) == 2
        paddings[name] = network.output.layer.padding
    names = {name: kind for name, kind in paddings.items() if isinstance(kind, str)}
    assert names == {
        "stride 1": "same",
        "unread": "valid",
        "SAME_UPPER": "same",
    }
    assert paddings["strided"] == ((1, 1), (1, 0))


def test_torch_pads_before_an_average_in_ceil_mode(tmp_path):
    """As torch.onnx writes AvgPool2d(3, 2, 1, ceil_mode=True), which counts padding."""
    nodes = [
        node("Pad", "x,p", "t"),
        node("AveragePool", "t", **STRIDED, ceil_mode=1, pads=[0] * 4),
    ]
    pads = ints(0, 0, 1, 1, 0, 0, 1, 1)
    path = written(tmp_path / "net.onnx", nodes, p=pads)
    compare(path, (3, 9, 8))
    x = RANDOM.uniform(-1, 1, (2, 9, 8, 3)).astype(np.float32)
    found = Analogue(read_onnx(path, len)).outputs(x).reshape(2, -1)
    expected = outputs_of_file(path, x, softmax=False).reshape(2, 3, -1)
    expected = expected.transpose(0, 2, 1).reshape(2, -1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"), REFUSED.values(), ids=REFUSED
)
def test_what_is_not_read_is_named(tmp_path, nodes, constants, message):
    path = written(tmp_path / "net.onnx", nodes, **constants)
    assert not re.search("docs/|TensorFlow", assert_refused(path, message))


def attributes_of(proto):
    return onnx.defs.get_schema(proto.op_type, 13, "").attributes


OTHER_ATTRIBUTES = {"axis": 1, "alpha": 0.5, "pads": [1, 1, 1, 1], "mode": "constant"}


def add_an_unknown_attribute(draw, proto):
    names = sorted(set(OTHER_ATTRIBUTES) - set(attributes_of(proto)))
    name = draw.choice([*names, "unknown"])
    value = OTHER_ATTRIBUTES.get(name, 1)
    proto.attribute.append(onnx.helper.make_attribute(name, value))


def change_the_type_of_an_attribute(draw, proto):
    name = draw.choice(sorted(attributes_of(proto)))
    kept = [attribute for attribute in proto.attribute if attribute.name != name]
    del proto.attribute[:]
    number = onnx.helper.make_attribute(name, [1.5, 2.5])
    proto.attribute.extend([*kept, number])


def repeat_an_attribute(draw, proto):
    proto.attribute.append(draw.choice(list(proto.attribute)))


def add_inputs(draw, proto):
    most_inputs = onnx.defs.get_schema(proto.op_type, 13, "").max_input
    read = list(proto.input)
    proto.input.extend(read[:1] * (most_inputs + draw.randint(1, 3) - len(read)))


def remove_the_inputs(draw, proto):
    del proto.input[:]


def choose_another_padding(draw, proto):
    kept = [
        attribute
        for attribute in proto.attribute
        if attribute.name not in ("auto_pad", "pads")
    ]
    del proto.attribute[:]
    mode = draw.choice(["BOGUS", "same_upper", "SAME", "0", "NOTSET,VALID"])
    proto.attribute.extend([*kept, onnx.helper.make_attribute("auto_pad", mode)])


def pad_twice(draw, proto):
    choose_another_padding(draw, proto)
    proto.attribute[-1].s = draw.choice([b"SAME_UPPER", b"SAME_LOWER", b"VALID"])
    pads = [draw.randint(0, 2) for _ in range(4)]
    proto.attribute.append(onnx.helper.make_attribute("pads", pads))


FAULTS = {
    add_an_unknown_attribute: lambda proto: True,
    change_the_type_of_an_attribute: attributes_of,
    repeat_an_attribute: lambda proto: proto.attribute,
    add_inputs: lambda proto: proto.op_type not in ("Concat", "Sum"),
    remove_the_inputs: lambda proto: proto.op_type != "Constant",
    choose_another_padding: lambda proto: "auto_pad" in attributes_of(proto),
    pad_twice: lambda proto: proto.op_type in ("Conv", "ConvTranspose"),
}


@pytest.mark.parametrize("seed", range(50))
def test_a_model_that_onnxruntime_refuses_is_refused(tmp_path, seed):
    draw = random.Random(seed)
    fault = draw.choice(list(FAULTS))
    models = [
        (nodes, constants)
        for nodes, constants in MODELS.values()
        if any(map(FAULTS[fault], nodes))
    ]
    nodes, constants = draw.choice(models)
    nodes = [onnx.NodeProto.FromString(one.SerializeToString()) for one in nodes]
    proto = draw.choice([one for one in nodes if FAULTS[fault](one)])
    fault(draw, proto)
    path = written(tmp_path / "net.onnx", nodes, **constants)
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with measure_resources():
        assert_refused(path, f"net.onnx: .*operator {proto.op_type}")


@pytest.mark.parametrize("weight", [1e39, np.inf, np.nan])
def test_weights_that_float32_does_not_hold_are_refused(tmp_path, weight):
    kernel = CONV["w"].astype(np.float64)
    kernel[0, 0, 0, 0] = weight
    path = written(
        tmp_path / "net.onnx", [node("Conv", "x,w", "c"), node("Relu", "c")], w=kernel
    )
    assert_refused(
        path,
        "its kernel holds numbers that float32 does not hold, or NaN; change this part",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opset": 8}, "is of opset 8, and 9 to"),
        ({"shape": (3, "height", "width")}, "takes images of any size .*dynamic_axes"),
        ({"shape": (784,)}, "takes inputs with 2 axes"),
        ({"inputs": ("x", "x2")}, "has 2 inputs and 1 outputs"),
    ],
)
def test_what_is_wrong_with_the_model_as_a_whole(tmp_path, changes, message):
    assert_refused(written(tmp_path / "net.onnx", [node("Relu")], **changes), message)


def test_numbers_that_are_not_all_there(tmp_path):
    path = written(tmp_path / "net.onnx", [node("Conv", "x,w")], w=CONV["w"])
    model = onnx.load(str(path))
    [weights] = model.graph.initializer
    for first, kind in (
        (5, 1),
        (4, 99),
    ):  # more numbers than there are, and of an unknown type
        weights.dims[0], weights.data_type = first, kind
        path.write_bytes(model.SerializeToString())
        assert_refused(path, ": w is damaged")


def test_only_the_layers_that_the_output_depends_on_are_read(tmp_path):
    nodes = [
        node("Conv", "x,w", "c"),
        node("Shape", "c", "u"),
        node("Gather", "u,i", "n"),
    ]
    nodes += [
        node("Concat", "n,k", "s", axis=0),
        RELU,
        node("Reshape", "t,s", "f"),
        node("Gemm", "f,m"),
    ]
    constants = {"w": CONV["w"], "i": ints(0), "k": ints(-1), "m": FLAT["m"]}
    path = written(tmp_path / "net.onnx", nodes, **constants)
    assert [layer.kind for layer in read_onnx(path, len).layers] == [
        "InputLayer",
        "Activation",
        "Flatten",
        "Dense",
    ]
    compare(path, (3, 9, 8))


def test_a_bug_in_the_reader_of_an_operator_is_an_internal_error(
    tmp_path, monkeypatch, capsys
):
    def broken(call):
        raise IndexError("string index out of range")

    path = written(tmp_path / "net.onnx", [node("Relu", "x", "y")], (3, 8, 8))
    monkeypatch.setitem(OPERATORS, "Relu", broken)
    command = [
        "parse",
        "--run-dir",
        str(tmp_path / "run"),
        "--dataset",
        "digits",
        "--model",
        str(path),
        "--quiet",
    ]
    assert main(command) == 1
    line = capsys.readouterr().err
    assert "internal error: IndexError: string index out of range" in line
    assert "change this part of the model" not in line


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (node("Concat", "x,x", axis=9), "its axis is 9, and its input has 4 axes"),
        (node("Conv", "x,w", strides="ab"), "Mismatched attribute type in .*strides"),
        (node("Clip", "x,empty"), "a constant of shape"),
        (
            node("MaxPool", "x", kernel_shape=2),
            "Mismatched attribute type in .*kernel_shape",
        ),
    ],
)
def test_faults_of_a_model_remain_faults_of_the_model(tmp_path, wrong, message):
    constants = {"w": CONV["w"], "empty": np.zeros(0, np.float32)}
    assert_refused(written(tmp_path / "net.onnx", [wrong], **constants), message)


def test_the_windows_of_a_pooling_are_limited_by_memory(tmp_path):
    side = 10**9
    pooling = node(
        "AveragePool", kernel_shape=[side, side], strides=[1, 1], auto_pad="SAME_UPPER"
    )
    path = written(tmp_path / "net.onnx", [pooling])
    with pytest.raises(
        ResourceError, match=r"net\.onnx: the 9,000,000,000 taps of 9 windows take 360"
    ):
        read_onnx(path, len)


def test_repeated_concatenations_are_limited_by_memory(tmp_path, monkeypatch):
    steps = [node("Flatten", "x", "v0")]
    steps += [
        node("Concat", ",".join([f"v{k}"] * 20), f"v{k + 1}", axis=1) for k in range(4)
    ]
    path = written(
        tmp_path / "net.onnx",
        [*steps, node("Gemm", "v4,w")],
        (2, 2, 2),
        w=numbers(1_280_000, 1),
    )
    assert read_onnx(path, len).output.shape == (1,)
    monkeypatch.setattr("snnb.core.machine.memory", lambda: Memory(10**12, 1_000_000))
    with pytest.raises(
        ResourceError,
        match=r"net\.onnx: the 1,280,000 values that the_Concat_v4 concatenates",
    ):
        read_onnx(path, len)
