"""Small files that declare much: they are refused in one line with the number, before anything of its size is made."""

import gzip
import io
import json
import shlex
import struct
import tracemalloc
import zipfile
import zlib
from importlib.util import find_spec

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from snnb import Run
from snnb.cli.main import main
from snnb.core.machine import Memory
from snnb.graph.synapse_graph import SynapseGraph, seal
from snnb.rundir.manifest import sealed
from tests.nir_interpreter import write

HUGE = 10**11
CHUNKS = {"chunks": (1 << 20,), "compression": "gzip"}


def npy(shape, kind="<i8"):
    """Return the header of an npy file without its data."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def npz(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def keras_model(*units):
    layers = [
        {
            "class_name": "Flatten",
            "config": {"name": "flat", "batch_input_shape": [None, 8, 8, 1]},
        }
    ]
    for number, size in enumerate(units):
        config = {"name": f"dense{number}", "units": size, "activation": "softmax"}
        layers.append({"class_name": "Dense", "config": config})
    return json.dumps(
        {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    )


def keras_weights(file, *units):
    """Add the kernels of Dense layers without their data."""
    for number, size in enumerate(units):
        file.create_dataset(
            f"model_weights/dense{number}/kernel", (64, size), "f4", chunks=(64, 1000)
        )


def onnx_model(nodes, attributes, constants, shape=(1, 1, 8, 8)):
    """Return a model of nodes given as text, `KIND INPUTS`, whose outputs are v0, v1, ...; the first has attributes."""
    from onnx import TensorProto, helper, numpy_helper

    words = [node.split() for node in nodes.split(", ")]
    last = f"v{len(words) - 1}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, end_shape)
        for name, end_shape in (("x", shape), (last, None))
    ]
    more = [attributes, *[{}] * len(words)]
    made_nodes = [
        helper.make_node(kind, read, [f"v{k}"], **more[k])
        for k, (kind, *read) in enumerate(words)
    ]
    weights = [
        numpy_helper.from_array(values, name) for name, values in constants.items()
    ]
    graph = helper.make_graph(made_nodes, "graph", ends[:1], ends[1:], weights)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)]
    ).SerializeToString()


def png(side):
    """Return a picture that ends after its first bytes."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data))
            + name
            + data
            + struct.pack(">I", zlib.crc32(name + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


ONE = np.ones((1, 1), np.float32)
TAP = np.ones((1, 1, 1, 1), np.float32)
DENSE = np.ones((64, 10), np.float32)
DEEP_HEADER = b"\x93NUMPY\x01\x00" + struct.pack("<H", 1000) + b"(" * 999 + b"\n"
CONVOLUTION = {"type": "conv2d", "weight": [1], "stride_height": 10**23}
CONVOLUTION.update(
    {f"{of}_{side}": 1 for of in ("input", "kernel") for side in ("height", "width")},
    input_channels=1,
)
FILES = {
    "nodes.snn": struct.pack("<II", 2**32 - 1, 0),
    "nodes.hgr": b"0 99999999999\n",
    "groups.yaml": b"network:\n  groups:\n  - {name: a, neurons: [0..9999999999: []]}\n",
    "many.yaml": b"network:\n  groups:\n"
    + b"".join(b"  - {name: %d, neurons: [0..899999]}\n" % k for k in range(1000)),
    "deep_net.yaml": b"network: " + b"[" * 100_000,
    "dense.yaml": b"network:\n  groups: [{name: a, neurons: [0..19999]}]\n"
    b"  edges: [a -> a: {type: dense, weight: [1]}]\n",
    "declared.npz": npz(source=npy((10**12,)), target=npy((10**12,))),
    "matrix.npz": npz(
        row=npy_bytes(np.zeros(1, int)),
        col=npy_bytes(np.zeros(1, int)),
        data=npy_bytes(np.ones(1)),
        format=npy_bytes(np.array(b"coo")),
        shape=npy_bytes(np.array([10**12] * 2)),
    ),
    "brackets.npz": npz(source=DEEP_HEADER, target=DEEP_HEADER),
    "width.npz": npz(
        source=npy((1,), "<U1000000000"), target=npy((1,), "<U1000000000")
    ),
    "strides.yaml": b"network:\n  groups: [{name: a, neurons: [0]}]\n  edges: [a -> a: %s]\n"
    % json.dumps(CONVOLUTION).encode(),
    "empty.csv.gz": gzip.compress(b"source,target\n" + b"\n" * 200_000),
    "field.csv": b"id,spikes\n0," + b"1" * 200_000,
    "sonata_paths/circuit_config.json": json.dumps(
        {
            "manifest": {f"${chr(65 + k)}": f"${chr(66 + k)}" * 10 for k in range(20)},
            "networks": {"nodes": [{"nodes_file": "$A"}], "edges": []},
        }
    ).encode(),
    "few.csv": b"source,target\n0,1\n1,2\n",
    "long.csv": b"source,target\n" + b"0" * 200_000,
    "pictures.npz": npz(
        **{f"x_{part}": npy((10**10, 8, 8, 1), "|u1") for part in ("train", "test")},
        **{f"y_{part}": npy((10**10,), "|u1") for part in ("train", "test")},
    ),
    "recordings/test/0/a.npz": npz(**dict.fromkeys("txyp", npy((HUGE,)))),
    "mnist/train-images-idx3-ubyte.gz": gzip.compress(
        struct.pack(">IIII", 0x803, 2**31 - 1, 28, 28)
    ),
    **dict.fromkeys(
        (
            "mnist/train-labels-idx1-ubyte",
            "mnist/t10k-images-idx3-ubyte",
            "mnist/t10k-labels-idx1-ubyte",
        ),
        b"",
    ),
    **{
        f"pictures/{part}/{name}/a.png": png(10_000)
        for part in ("train", "test")
        for name in "ab"
    },
    "net.py": b"def net(input_shape, num_classes):\n    return None\n",
    "merged.yaml": b"a0: &a0 {x: 1}\n"
    + b"".join(
        b"a%d: &a%d {<<: [%s]}\n" % (k, k, b", ".join([b"*a%d" % (k - 1)] * 10))
        for k in range(1, 20)
    ),
    "mesh.yaml": b"""name: mesh
mesh: [32768, 32768]
neurons_per_core: 1
axons_per_core: 9
energy_pj: {router: 1, link: 1, synapse: null}
latency_ns: {router: 1, link: 1}
source: none
""",
    "cores.txt": b"0\n1\n1073741823\n",
    "deep/manifest.yaml": sealed("{" * 100_000).encode(),
}
MODELS = {  # ONNX
    "padded.onnx": (
        "Conv x tap, GlobalAveragePool v0, Flatten v1, Gemm v2 one",
        {"pads": [10**5] * 4},
        {"tap": TAP, "one": ONE},
    ),
    "gathered.onnx": (
        "Gather one zeros, Gather v0 zeros, Flatten x, Gemm v2 v1",
        {"axis": 1},
        {"one": ONE, "zeros": np.zeros(10**6, int)},
    ),
    "channels.onnx": (
        "Add x one, GlobalAveragePool v0, Flatten v1, Gemm v2 dense",
        {},
        {"one": ONE, "dense": DENSE},
        (1, 10**10, 1, 1),
    ),
}
# Command line, exit code, file and number that are named
GRAPH, PREPARE = "graph --run-dir new --from", "prepare --run-dir new --model"
PARSE = "parse --run-dir new --dataset digits --model"
NIR = "parse --run-dir new --dataset digits --time-step 1 --model"
ROWS = [
    (f"{GRAPH} nodes.snn", 3, "nodes.snn", "4,294,967,295 neurons"),
    (f"{GRAPH} nodes.hgr", 3, "nodes.hgr", "99,999,999,999 neurons"),
    (f"{GRAPH} groups.yaml", 3, "groups.yaml", "10,000,000,000 neurons"),
    (f"{GRAPH} many.yaml", 3, "many.yaml", "neurons"),
    (f"{GRAPH} deep_net.yaml", 3, "deep_net.yaml", "YAML"),
    (f"{GRAPH} dense.yaml", 3, "dense.yaml: a -> a", "400,000,000"),
    (f"{GRAPH} declared.npz", 3, "declared.npz", "1,000,000,000,000 values"),
    (f"{GRAPH} matrix.npz", 3, "matrix.npz", "2,000,000,000,000 neurons"),
    (f"{GRAPH} long.csv", 3, "long.csv", "100,000 characters"),
    (f"{GRAPH} brackets.npz", 3, "brackets.npz", "header"),
    (f"{GRAPH} width.npz", 3, "width.npz", "<U"),
    (f"{GRAPH} strides.yaml", 3, "strides.yaml: a -> a", "2147483648"),
    (f"{GRAPH} empty.csv.gz", 3, "empty.csv.gz", "100,000 empty lines"),
    (
        f"{GRAPH} few.csv --rates field.csv",
        3,
        "field.csv",
        "line 2 has 100,000 characters",
    ),
    (f"{GRAPH} texts.parquet", 3, "texts.parquet", "1,000,000 bytes"),
    (f"{GRAPH} sonata_paths", 3, "circuit_config.json", "4,096 characters"),
    (
        f"{GRAPH} index",
        3,
        "edges.h5",
        "100,000,000,000 values of /edges/v1/0/syn_weight",
    ),
    (f"{GRAPH} delays_graph.h5", 3, "delays_graph.h5", "100,000,000,000 values"),
    (
        f"{GRAPH} projections_graph.h5",
        3,
        "projections_graph.h5",
        "200,000,000,000 values",
    ),
    (f"{GRAPH} names_graph.h5", 3, "names_graph.h5", "100,000,000,000 names"),
    (f"{GRAPH} sonata", 3, "nodes.h5", "100,000,000,000 nodes of v1"),
    (f"{GRAPH} types", 3, "nodes.h5", "100,000,000 nodes of v1"),
    (
        f"{GRAPH} few.csv --rates spikes.h5",
        3,
        "spikes.h5",
        "values of /spikes/neurons/node_ids",
    ),
    (f"{GRAPH} x_graph.h5", 6, "x_graph.h5", "100,000,000,000 neurons"),
    (f"{NIR} shape.nir", 6, "shape.nir", "100,000,000,000"),
    (f"{NIR} stored.nir", 3, "stored.nir", "100,000,000,000 values"),
    (f"{PARSE} units.h5", 3, "units.h5", "1,950,000,000 weights"),
    (f"{PARSE} units.keras", 3, "units.keras", "1,950,000,000 weights"),
    (f"{PARSE} list.keras", 3, "list.keras", "16,000,003 bytes of config.json"),
    (f"{NIR} pool.nir", 3, "pool.nir", "100000×100000"),
    (f"{NIR} dilated.nir", 6, "dilated.nir", "outputs of node window"),
    (f"{NIR} text.nir", 3, "text.nir", "1,000,000,"),
    (f"{PARSE} several.h5", 3, "several.h5", "40,000,200,000 weights"),
    (f"{PARSE} padded.onnx", 6, "padded.onnx", "40,003,200,064 outputs"),
    (f"{PARSE} gathered.onnx", 3, "gathered.onnx", "1,000,000,000,000 values"),
    (f"{PARSE} channels.onnx", 3, "channels.onnx", "10,000,000,000 channels"),
    (
        f"{PREPARE} lenet_mnist --dataset mnist --source mnist",
        3,
        "images-idx3-ubyte.gz",
        "1,683,627,179,248",
    ),
    (
        f"{PREPARE} lenet_mnist --dataset folder:pictures",
        3,
        "a.png",
        "100,000,000 pixels",
    ),
    (
        f"{PREPARE} small.nir --dataset shd --source shd",
        3,
        "shd_test.h5",
        "100,000,000,000 values",
    ),
    (
        f"{PREPARE} net.py:net --dataset arrays:pictures.npz",
        3,
        "pictures.npz",
        "640,000,000,000",
    ),
    (
        f"{PREPARE} small.nir --dataset events:recordings",
        3,
        "a.npz",
        "100,000,000,000 values",
    ),
    ("status deep", 3, "manifest.yaml", "YAML"),
    ("map imported --hardware merged.yaml", 3, "merged.yaml", "aliases"),
    (
        "map imported --hardware mesh.yaml --partition cores.txt",
        3,
        "cores.txt",
        "1,073,741,824 cores",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    files = {
        **FILES,
        **(
            {name: onnx_model(*model) for name, model in MODELS.items()}
            if find_spec("onnx")
            else {}
        ),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name, size in (("sonata", HUGE), ("types", 10**8), ("index", 1)):
        (folder / name).mkdir()
        with h5py.File(folder / name / "nodes.h5", "w") as file:
            file.create_dataset(
                "nodes/v1/node_type_id", (size,), "i1", **(CHUNKS if size > 1 else {})
            )
        with h5py.File(folder / name / "edges.h5", "w") as file:
            for end in ("source", "target"):
                file[f"edges/v1/{end}_node_id"] = np.array([0, 0])
                file[f"edges/v1/{end}_node_id"].attrs["node_population"] = "v1"
            if name == "index":
                file["edges/v1/edge_group_index"] = np.array([0, HUGE - 1])
                file.create_dataset("edges/v1/0/syn_weight", (HUGE,), "f4", **CHUNKS)
    with h5py.File(folder / "spikes.h5", "w") as file:
        file.create_dataset("spikes/neurons/node_ids", (HUGE,), "i8", **CHUNKS)
    texts = h5py.special_dtype(vlen=str)
    for name, column, shape, kind in (
        ("x", "", (), None),
        ("delays", "delays", (HUGE,), "i8"),
        ("projections", "projections", (HUGE, 2), "i8"),
        ("names", "populations/0000/names", (HUGE,), texts),
    ):
        with h5py.File(folder / f"{name}_graph.h5", "w", userblock_size=512) as file:
            group = file.create_group("populations/0000")
            group.attrs.update(
                name="a",
                layer="neurons",
                first_id=0,
                shape=np.array([3 if column else HUGE]),
            )
            file.attrs["inputs"] = 0
            if column != "projections":
                file["projections"] = np.zeros((0, 2), int)
            if column:
                file.create_dataset(
                    column,
                    shape,
                    kind,
                    chunks=(1 << 16, 2)[: len(shape)],
                    compression="gzip",
                )
        seal(folder / f"{name}_graph.h5")
    pairs = {
        "stride": np.array([1, 1]),
        "padding": np.array([0, 0]),
        "dilation": np.array([1, 1]),
    }
    kernel = {
        **pairs,
        "type": "Conv2d",
        "weight": np.ones((1, 2, 3, 3)),
        "bias": np.zeros(1),
        "groups": 1,
    }
    windows = {
        "pool": {**pairs, "type": "AvgPool2d", "kernel_size": np.array([10**5, 10**5])},
        "dilated": {
            **kernel,
            "dilation": np.array([2**40, 2**40]),
            "padding": np.array([2**41, 2**41]),
        },
    }
    neuron = {"type": "IF", "r": 1.0, "v_threshold": 1.0}
    shapes = {
        "small": [2, 8, 8],
        "shape": [HUGE],
        "stored": [8],
        "text": [8],
    }
    for name in (*shapes, "pool", "dilated"):
        shape = shapes.get(name, [2, 8, 8])
        ends = {
            end: {"type": kind, "shape": shape}
            for end, kind in (("input", "Input"), ("output", "Output"))
        }
        inner = (
            {"window": windows[name], "if": neuron}
            if name in windows
            else {"if": neuron}
        )
        path = ["input", *inner, "output"]
        write(folder / f"{name}.nir", {**ends, **inner}, list(zip(path, path[1:])))
    for name, column, shape, kind in (
        ("stored", "r", (HUGE,), "f4"),
        ("text", "type", (1,), "S1000000000"),
    ):
        with h5py.File(folder / f"{name}.nir", "a") as file:
            del file["node/nodes/if"][column]
            file["node/nodes/if"].create_dataset(
                column, shape, kind, chunks=(min(shape[0], 1 << 20),)
            )
    for name, units in (("units", [30_000_000]), ("several", [200_000, 200_000])):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.attrs["model_config"] = keras_model(*units)
            keras_weights(file, *units)
    (folder / "shd").mkdir()
    with h5py.File(folder / "shd" / "shd_test.h5", "w") as file:
        file["extra/keys"] = [b"a"] * 20
        file.create_dataset("labels", (HUGE,), "i8", **CHUNKS)
        for name in ("times", "units"):
            file.create_dataset(f"spikes/{name}", (HUGE,), "f4", **CHUNKS)
    text = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(np.zeros(100_000, np.int32)), ["x" * 1_000_000]
    )
    pyarrow.parquet.write_table(
        pyarrow.table({"source": text, "target": text}), str(folder / "texts.parquet")
    )
    units = io.BytesIO()
    with h5py.File(units, "w") as file:
        keras_weights(file, 30_000_000)
    for name, config, weights in (
        ("units", keras_model(30_000_000), units.getvalue()),
        ("list", f"[{'0,' * 8_000_000}0]", b""),
    ):
        with zipfile.ZipFile(
            folder / f"{name}.keras", "w", zipfile.ZIP_DEFLATED
        ) as archive:
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", weights)
    Run.from_graph(folder / "few.csv", folder / "imported")
    return folder


@pytest.mark.parametrize(
    ("words", "code", "file", "number"), ROWS, ids=[row[0][:70] for row in ROWS]
)
def test_a_small_file_that_declares_much_is_refused(
    folder, monkeypatch, capsys, words, code, file, number
):
    if file in MODELS:
        pytest.importorskip("onnx")
    monkeypatch.chdir(folder)
    has_graph = words.startswith("graph")
    if has_graph:
        tracemalloc.start()
    try:
        assert main([*shlex.split(words), "--quiet"]) == code, capsys.readouterr().err
        if has_graph:
            assert tracemalloc.get_traced_memory()[1] < 70_000_000
    finally:
        tracemalloc.stop()
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert file in line
    assert number in line


def test_neurons_without_synapses_are_read(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "lone.snn").write_bytes(struct.pack("<II", 100_000, 0))
    Run.from_graph(folder / "lone.snn", folder / "lone")
    with SynapseGraph.open(next((folder / "lone").rglob("*_graph.h5"))) as graph:
        assert (graph.number_of_nodes(), graph.number_of_edges()) == (100_000, 0)


def test_the_memory_that_is_available_is_the_limit(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "lone.hgr").write_bytes(b"0 900000\n")
    (folder / "rates.txt").write_bytes(gzip.compress(b"0\n" * 900_000))
    monkeypatch.setattr("snnb.core.machine.memory", lambda: Memory(10**12, 40_000_000))
    for words, subject in (
        ("lone.hgr", "lone.hgr: the 900,000 neurons"),
        ("few.csv --rates rates.txt", "rates.txt: its 900,000 lines"),
    ):
        assert (
            main(["graph", "--run-dir", "new", "--quiet", "--from", *words.split()])
            == 6
        )
        assert (
            f"{subject} take 0.1 GB of memory, and 0.0 GB are available"
            in capsys.readouterr().err
        )
