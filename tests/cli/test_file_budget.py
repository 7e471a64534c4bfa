"""Small files that describe much: refused with file and number, with little memory and time, by whatever name."""

import io
import json
import re
import shlex
import signal
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnb.cli.main import main
from snnb.model_files.read_model import read_model
from tests.nir_interpreter import write

MOST_BYTES = (
    800_000_000  # of memory: 256 MiB of arrays, and what is made of the last ones
)
MOST_SECONDS = 60


@contextmanager
def measure_resources():
    """Fail if the block takes `MOST_SECONDS`, or raises the process's memory by `MOST_BYTES`."""

    def status(name):
        return 1024 * int(
            re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text()).group(
                1
            )
        )

    def raise_timeout(*_):
        raise TimeoutError(f"it takes more than {MOST_SECONDS} s")

    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before, handler = status("VmRSS"), signal.signal(signal.SIGALRM, raise_timeout)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
    assert status("VmHWM") - before < MOST_BYTES


def layer(kind, name, *read, **config):
    nodes = [[[source, 0, 0, {}] for source in read]]
    return {
        "class_name": kind,
        "config": {"name": name, **config},
        "name": name,
        "inbound_nodes": nodes,
    }


def model(name, layers, last, first_name="in"):
    ends = {"input_layers": [[first_name, 0, 0]], "output_layers": [[last, 0, 0]]}
    return {
        "class_name": "Model",
        "config": {"name": name, "layers": layers, **ends},
        "name": name,
    }


def start(shape):
    return {
        **layer("InputLayer", "in", batch_input_shape=[None, *shape]),
        "inbound_nodes": [],
    }


def dense_chain(number):
    """Return a model of Dense layers of 3,900 units."""
    layers = [start([1, 1, 3900]), layer("Flatten", "flat", "in")]
    names = ["flat", *(f"d{k}" for k in range(number))]
    for read, name in zip(names, names[1:]):
        layers.append(
            layer("Dense", name, read, units=3900, activation="relu", use_bias=False)
        )
    return model("net", layers, names[-1])


def linked_keras(path):
    """Write kernels that are hard links to one array without values: .keras."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        kernel = file.create_dataset(
            "layers/dense/vars/0", (3900, 3900), "f4", chunks=(100, 3900)
        )
        for number in range(1, 199):
            file[f"layers/dense_{number}/vars/0"] = kernel
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(dense_chain(199)))
        archive.writestr("model.weights.h5", weights.getvalue())


def linked_h5(path):
    """Write kernels that are hard links to one array without values: .h5."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(dense_chain(199)).encode()
        kernel = file.create_dataset("kernel", (3900, 3900), "f4", chunks=(100, 3900))
        for number in range(199):
            group = file.create_group(f"model_weights/d{number}")
            group["kernel"] = kernel
            group.attrs["weight_names"] = [b"kernel"]


def small_h5(path, description, weights):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(description).encode()
        file.create_group("model_weights")
        for name, array in weights.items():
            group = file["model_weights"].create_group(name)
            group["kernel"] = array
            group.attrs["weight_names"] = [b"kernel"]


DENSE = {"units": 10, "activation": "softmax", "use_bias": False}


def nested_h5(path):
    """Write nested models, each of which calls its inner model twice."""
    inner = model(
        "m0",
        [start([8, 8, 1]), layer("Activation", "relu", "in", activation="relu")],
        "relu",
    )
    for depth in range(1, 25):
        twice = {
            **inner,
            "inbound_nodes": [[["in", 0, 0, {}]], [[inner["name"], 1, 0, {}]]],
        }
        inner = model(f"m{depth}", [start([8, 8, 1]), twice], inner["name"])
        inner["config"]["output_layers"] = [[twice["name"], 2, 0]]
    inner["inbound_nodes"] = [[["in", 0, 0, {}]]]
    layers = [
        start([8, 8, 1]),
        inner,
        layer("Flatten", "flat", inner["name"]),
        layer("Dense", "dense", "flat", **DENSE),
    ]
    layers[2]["inbound_nodes"][0][0][1] = 1
    small_h5(path, model("net", layers, "dense"), {"dense": np.ones((64, 10), "f4")})


def reversed_h5(path):
    """Write 6,000 activations in reverse order."""
    names = ["in", *(f"r{k}" for k in range(6000))]
    relus = [
        layer("Activation", name, read, activation="relu")
        for read, name in zip(names, names[1:])
    ]
    ends = [
        layer("Flatten", "flat", names[-1]),
        layer("Dense", "dense", "flat", **DENSE),
    ]
    layers = [start([8, 8, 1]), *(relus + ends)[::-1]]
    small_h5(path, model("net", layers, "dense"), {"dense": np.ones((64, 10), "f4")})


def chunk_h5(path):
    """Write an array of 64 × 10 in one chunk of 3.8 GB of zeros."""
    layers = [
        start([8, 8, 1]),
        layer("Flatten", "flat", "in"),
        layer("Dense", "dense", "flat", **DENSE),
    ]
    small_h5(path, model("net", layers, "dense"), {})
    chunk, block = (30_000, 32_000), 1_000_000
    packer = zlib.compressobj(9)
    packed_content = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    head, repeated_bytes = packed_content[:2], packed_content[2:]
    blocks = 4 * chunk[0] * chunk[1] // block
    checksum = struct.pack(
        ">I", (blocks * block % 65521 << 16) + 1
    )  # Adler-32 of zeros
    with h5py.File(path, "a") as file:
        group = file["model_weights"].create_group("dense")
        group.attrs["weight_names"] = [b"kernel"]
        options = {"maxshape": (None, None), "chunks": chunk, "compression": "gzip"}
        kernel = group.create_dataset("kernel", (64, 10), "f4", **options)
        kernel.id.write_direct_chunk(
            (0, 0), head + repeated_bytes * blocks + b"\x03\x00" + checksum
        )


NEURON = {"type": "IF", "r": 1.0, "v_threshold": 1.0}


def ends(*shape):
    return {
        name.lower(): {"type": name, "shape": list(shape)}
        for name in ("Input", "Output")
    }


def linked_nir(path):
    """Write 300 nodes that are hard links to one matrix without values."""
    names = [*(f"linear{k}" for k in range(300)), "neuron"]
    nodes = {**ends(2100), "neuron": NEURON}
    write(path, nodes, list(zip(["input", *names], [*names, "output"])))
    with h5py.File(path, "a") as file:
        file["matrix/type"] = "Linear"
        file.create_dataset("matrix/weight", (2100, 2100), "f4", chunks=(2100, 2100))
        for name in names[:-1]:
            file[f"node/nodes/{name}"] = file["matrix"]


def repeated_text(group, name, shape):
    """Write references to one text of 60 kB."""
    kind = h5py.special_dtype(vlen=str)
    dataset = group.create_dataset("text", (1,), kind)
    dataset[0] = "x" * 60_000
    group.file.flush()
    with Path(group.file.filename).open("rb") as file:
        file.seek(dataset.id.get_offset())
        reference = file.read(16)
    if name in group:
        del group[name]
    stored_dataset = group.create_dataset(
        name, shape, kind, chunks=shape, compression="gzip"
    )
    stored_dataset.id.write_direct_chunk(
        (0,) * len(shape), zlib.compress(reference * int(np.prod(shape)), 9)
    )


def texts_nir(path):
    write(path, {**ends(8), "if": NEURON}, [("input", "if"), ("if", "output")])
    with h5py.File(path, "a") as file:
        repeated_text(file["node"], "edges", (60_000, 2))


def parameter_nir(path):
    write(path, {**ends(8), "if": NEURON}, [("input", "if"), ("if", "output")])
    with h5py.File(path, "a") as file:
        repeated_text(file["node/nodes/if"], "r", (120_000,))


def nested_nir(path):
    """Write 30 nested graphs, each of which lists the next twice."""
    write(path, {**ends(8), "a": NEURON}, [("input", "a"), ("a", "output")])
    with h5py.File(path, "a") as file:
        inner = file["node"]
        for depth in range(30):
            outer = file.create_group(f"g{depth}")
            outer["type"] = "NIRGraph"
            for name in ("a", "b"):
                outer[f"nodes/{name}"] = inner
            for name in ("input", "output"):
                outer[f"nodes/{name}"] = file[f"node/nodes/{name}"]
            pairs = [("input", "a"), ("a", "b"), ("b", "output")]
            outer.create_dataset(
                "edges",
                data=np.array(pairs, object),
                dtype=h5py.special_dtype(vlen=str),
            )
            inner = outer
        del file["node"]
        file["node"] = inner


def diamonds_nir(path):
    """Write 40 diamonds of linear nodes in sequence, with 2^40 paths."""
    scale = {"type": "Scale", "scale": np.ones(8)}
    names = [f"{part}{k}" for k in range(40) for part in ("a", "b", "c")]
    edges, last = [], "input"
    for a, b, c in zip(names[::3], names[1::3], names[2::3]):
        edges += [(last, a), (last, b), (a, c), (b, c)]
        last = c
    edges += [(last, "if"), ("if", "output")]
    write(path, {**ends(8), **dict.fromkeys(names, scale), "if": NEURON}, edges)


def onnx_file(path, nodes, constants, shape=(1, 1, 8, 8), external=()):
    """Write nodes `(kind, inputs, attributes)`, whose outputs are v0, v1, …"""
    from onnx import TensorProto, helper, numpy_helper

    last = f"v{len(nodes) - 1}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, end_shape)
        for name, end_shape in (("x", shape), (last, None))
    ]
    made_nodes = [
        helper.make_node(kind, read.split(), [f"v{k}"], **attributes)
        for k, (kind, read, attributes) in enumerate(nodes)
    ]
    weights = [
        numpy_helper.from_array(values, name) for name, values in constants.items()
    ]
    graph = helper.make_graph(
        made_nodes, "graph", ends[:1], ends[1:], [*weights, *external]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    path.write_bytes(model.SerializeToString())


FLAT = [("Flatten", "x", {}), ("Gemm", "v0 dense", {})]
MATRIX = {"dense": np.ones((64, 10), "f4")}


def with_constants(path, nodes, constants):
    """Write a network that adds the mean of computed constants; their nodes are v2, v3, …"""
    nodes = [*FLAT, *nodes, ("ReduceMean", f"v{len(nodes) + 1}", {"keepdims": 0})]
    onnx_file(
        path, [*nodes, ("Add", f"v1 v{len(nodes) - 1}", {})], {**MATRIX, **constants}
    )


def outer_onnx(path):
    sides = {"a": np.ones((30_000, 1), "f4"), "b": np.ones((1, 30_000), "f4")}
    with_constants(path, [("Mul", "a b", {})], sides)


def doubled_onnx(path):
    names = ["k", *(f"v{k}" for k in range(2, 31))]
    with_constants(
        path,
        [("Concat", f"{name} {name}", {"axis": 0}) for name in names[:-1]],
        {"k": np.ones(1, "f4")},
    )


def padded_onnx(path):
    with_constants(
        path,
        [("Pad", "k pads", {})],
        {"k": np.ones(1, "f4"), "pads": np.array([0, 10**9])},
    )


def external_onnx(path):
    """Write 4,000 initializers that name the same 1.2 MB of another file."""
    from onnx import TensorProto

    (path.parent / "weights.bin").write_bytes(bytes(1_200_000))
    external = []
    for number in range(4000):
        tensor = TensorProto(
            name=f"k{number}", data_type=TensorProto.FLOAT, dims=[300_000]
        )
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
        external.append(tensor)
    onnx_file(path, FLAT, MATRIX, external=external)


def convolutions_onnx(path):
    """Write 4,000 convolutions with one kernel of 262 kB."""
    nodes = [("Conv", f"v{k - 1}" if k else "x", {}) for k in range(4000)]
    nodes = [(kind, f"{read} kernel", attributes) for kind, read, attributes in nodes]
    flat = [("Flatten", "v3999", {}), ("Gemm", "v4000 dense", {})]
    constants = {
        "kernel": np.zeros((256, 256, 1, 1), "f4"),
        "dense": np.ones((256, 10), "f4"),
    }
    onnx_file(path, nodes + flat, constants, (1, 256, 1, 1))


def scaled_onnx(path):
    """Write 4,000 sums with a constant over a million channels."""
    nodes = [("Add", f"v{k - 1} one" if k else "x one", {}) for k in range(4000)]
    constants = {"one": np.ones((1, 1), "f4"), "dense": np.ones((1, 10), "f4")}
    onnx_file(
        path,
        [*nodes, ("ReduceMean", "v3999", {"axes": [1]})],
        constants,
        (1, 10**6, 1, 1),
    )


def added_onnx(path):
    """Write 60 sums of a value with itself."""
    nodes = [("Conv", "x kernel", {}), *(("Add", f"v{k} v{k}", {}) for k in range(60))]
    ends = [("Flatten", "v60", {}), ("Gemm", "v61 dense", {})]
    onnx_file(path, nodes + ends, {"kernel": np.ones((1, 1, 1, 1), "f4"), **MATRIX})


def joined_onnx(path):
    """Write 13 concatenations of a value with itself before an activation."""
    nodes = [
        ("Conv", "x kernel", {}),
        *(("Concat", f"v{k} v{k}", {"axis": 1}) for k in range(13)),
    ]
    ends = [
        ("Relu", "v13", {}),
        ("GlobalAveragePool", "v14", {}),
        ("Flatten", "v15", {}),
        ("Gemm", "v16 dense", {}),
    ]
    constants = {
        "kernel": np.ones((1, 1, 1, 1), "f4"),
        "dense": np.ones((2**13, 10), "f4"),
    }
    onnx_file(path, nodes + ends, constants)


def negative_onnx(path):
    from onnx import TensorProto

    tensor = TensorProto(
        name="k", data_type=TensorProto.FLOAT, dims=[-1, 10], raw_data=bytes(4 * 640)
    )
    onnx_file(path, [FLAT[0], ("Gemm", "v0 k", {})], {}, external=[tensor])


def linked_sonata(path):
    """Write 300 populations of edges that are hard links to one of 7 million."""
    path.mkdir()
    with h5py.File(path / "nodes.h5", "w") as file:
        file["nodes/v1/node_type_id"] = np.zeros(2, int)
    with h5py.File(path / "edges.h5", "w") as file:
        for end in ("source", "target"):
            ids = file.create_dataset(
                f"edges/e0/{end}_node_id",
                (7_000_000,),
                "i1",
                chunks=(1 << 20,),
                compression=9,
            )
            ids.attrs["node_population"] = "v1"
        for number in range(1, 300):
            file[f"edges/e{number}"] = file["edges/e0"]


def manifest_sonata(path):
    path.write_text(json.dumps({"network": "x.json", "manifest": [1]}))


def sexagesimal_chip(path):
    path.write_text(
        f"name: chip\nmesh: [1, 1]\nneurons_per_core: {':'.join(['1'] * 5000)}\n"
    )


CONVERTED = ("added.onnx", "joined.onnx")  # are read; the conversion names the layers
PARSE = "parse --run-dir new --dataset digits --model"
NIR = "parse --run-dir new --dataset digits --time-step 1 --model"
GRAPH = "graph --run-dir new --from"
# Function that writes the file, command, exit code, and number or words in the message
ROWS = {
    "linked.keras": (linked_keras, PARSE, 3, "15,210,000 weights"),
    "linked.h5": (linked_h5, PARSE, 3, "15,210,000 weights"),
    "nested.h5": (nested_h5, PARSE, 3, "layers"),
    "chunk.h5": (chunk_h5, PARSE, 3, "3,840,000,000 bytes"),
    "linked.nir": (linked_nir, NIR, 3, "4,410,000 values"),
    "texts.nir": (texts_nir, NIR, 3, "bytes of text"),
    "parameter.nir": (parameter_nir, NIR, 3, "r that is not a number"),
    "nested.nir": (nested_nir, NIR, 3, "nodes"),
    "diamonds.nir": (diamonds_nir, NIR, 3, "paths"),
    "outer.onnx": (outer_onnx, PARSE, 3, "900,000,000 values"),
    "doubled.onnx": (doubled_onnx, PARSE, 3, "values"),
    "padded.onnx": (padded_onnx, PARSE, 3, "1,000,000,001 values"),
    "external.onnx": (external_onnx, PARSE, 3, "1,200,000 bytes of k"),
    "convolutions.onnx": (convolutions_onnx, PARSE, 3, "65,536 weights"),
    "scaled.onnx": (scaled_onnx, PARSE, 3, "1,000,000 channels"),
    "added.onnx": (added_onnx, PARSE, 3, "adds 1,024 terms"),
    "joined.onnx": (joined_onnx, PARSE, 3, "joins 1,024 values"),
    "negative.onnx": (negative_onnx, PARSE, 3, "(-1, 10)"),
    "linked": (linked_sonata, GRAPH, 3, "7,000,000 edges"),
    "manifest.json": (manifest_sonata, GRAPH, 3, "manifest"),
    "chip.yaml": (sexagesimal_chip, "map imported --hardware", 3, "9,999 characters"),
}


def test_layers_in_reverse_order_are_read_in_their_order(tmp_path):
    reversed_h5(tmp_path / "reversed.h5")
    with measure_resources():
        network = read_model(tmp_path / "reversed.h5", pytest.fail)
    names = [layer.name for layer in network.layers]
    assert names == ["in", *(f"r{k}" for k in range(6000)), "flat", "dense"]


@pytest.mark.parametrize("name", ROWS)
def test_a_small_file_that_describes_much_is_refused(
    tmp_path, monkeypatch, capsys, name
):
    make, command, code, number = ROWS[name]
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    if command.startswith("map"):
        (tmp_path / "few.csv").write_text("source,target\n0,1\n1,2\n")
        assert main(shlex.split("graph --run-dir imported --quiet --from few.csv")) == 0
        capsys.readouterr()
    size = sum(
        file.stat().st_size for file in tmp_path.rglob(f"{name}*") if file.is_file()
    )
    assert size < 4_000_000
    with measure_resources():
        assert main([*shlex.split(command), name, "--quiet"]) == code
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert name in line or name in CONVERTED
    assert number in line
