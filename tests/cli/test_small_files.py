"""Small files that declare much: they are refused in one line with the number, before anything of its size is made."""

import io
import json
import shlex
import struct
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from snnb import Run
from snnb.cli.main import main
from snnb.core.machine import Memory
from snnb.graph.synapse_graph import SynapseGraph, seal
from tests.nir_interpreter import write

HUGE = 10**11
CHUNKS = {"chunks": (1 << 20,), "compression": "gzip"}


def npy(shape, kind="<i8"):
    """Return the header of an npy file without its data."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()


def npz(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def keras_model(units):
    layers = [
        {"class_name": "Flatten", "config": {"name": "flat", "batch_input_shape": [None, 8, 8, 1]}},
        {"class_name": "Dense", "config": {"name": "dense", "units": units, "activation": "softmax"}},
    ]
    return json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": layers}})


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
        row=saved(np.zeros(1, int)),
        col=saved(np.zeros(1, int)),
        data=saved(np.ones(1)),
        format=saved(np.array(b"coo")),
        shape=saved(np.array([10**12] * 2)),
    ),
    "few.csv": b"source,target\n0,1\n1,2\n",
    "long.csv": b"source,target\n" + b"0" * 200_000,
    "pictures.npz": npz(
        **{f"x_{part}": npy((10**10, 8, 8, 1), "|u1") for part in ("train", "test")},
        **{f"y_{part}": npy((10**10,), "|u1") for part in ("train", "test")},
    ),
    "recordings/test/0/a.npz": npz(**dict.fromkeys("txyp", npy((HUGE,)))),
    "net.py": b"def net(input_shape, num_classes):\n    return None\n",
    "deep.yaml": b"[" * 100_000,
    "blocks.yaml": b"- " * 100_000,
    "deep/manifest.yaml": b"{" * 100_000,
}
# Command line, exit code, file and number that are named
ROWS = [
    ("graph --run-dir new --from nodes.snn", 3, "nodes.snn", "4,294,967,295 neurons"),
    ("graph --run-dir new --from nodes.hgr", 3, "nodes.hgr", "99,999,999,999 neurons"),
    ("graph --run-dir new --from groups.yaml", 3, "groups.yaml", "10,000,000,000 neurons"),
    ("graph --run-dir new --from many.yaml", 3, "many.yaml", "neurons"),
    ("graph --run-dir new --from deep_net.yaml", 3, "deep_net.yaml", "YAML"),
    ("graph --run-dir new --from dense.yaml", 3, "dense.yaml: a -> a", "400,000,000"),
    ("graph --run-dir new --from declared.npz", 3, "declared.npz", "1,000,000,000,000 values"),
    ("graph --run-dir new --from matrix.npz", 3, "matrix.npz", "2,000,000,000,000 neurons"),
    ("graph --run-dir new --from long.csv", 3, "long.csv", "100,000 characters"),
    ("graph --run-dir new --from sonata", 6, "nodes.h5", "100,000,000,000 nodes of v1"),
    ("graph --run-dir new --from types", 3, "nodes.h5", "100,000,000 values of /nodes/v1/node_type_id"),
    ("graph --run-dir new --from few.csv --rates spikes.h5", 3, "spikes.h5", "100,000,000,000 values"),
    ("graph --run-dir new --from x_graph.h5", 6, "x_graph.h5", "100,000,000,000 neurons"),
    ("parse --run-dir new --dataset digits --time-step 1 --model shape.nir", 6, "shape.nir", "100,000,000,000"),
    (
        "parse --run-dir new --dataset digits --time-step 1 --model stored.nir",
        3,
        "stored.nir",
        "100,000,000,000 values",
    ),
    ("parse --run-dir new --dataset digits --model units.h5", 3, "units.h5", "1,920,000,000 weights"),
    ("parse --run-dir new --dataset digits --model units.keras", 3, "units.keras", "1,920,000,000 weights"),
    ("prepare --run-dir new --model net.py:net --dataset arrays:pictures.npz", 3, "pictures.npz", "640,000,000,000"),
    ("prepare --run-dir new --model small.nir --dataset events:recordings", 3, "a.npz", "100,000,000,000 values"),
    ("status deep", 3, "manifest.yaml", "YAML"),
    ("verify deep", 3, "manifest.yaml", "YAML"),
    ("map imported --hardware deep.yaml", 3, "deep.yaml", "YAML"),
    ("map imported --hardware blocks.yaml", 3, "blocks.yaml", "YAML"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name, size in (("sonata", HUGE), ("types", 10**8)):
        (folder / name).mkdir()
        with h5py.File(folder / name / "nodes.h5", "w") as file:
            file.create_dataset("nodes/v1/node_type_id", (size,), "i1", **CHUNKS)
        with h5py.File(folder / name / "edges.h5", "w") as file:
            for end in ("source", "target"):
                file[f"edges/v1/{end}_node_id"] = np.array([0])
                file[f"edges/v1/{end}_node_id"].attrs["node_population"] = "v1"
    with h5py.File(folder / "spikes.h5", "w") as file:
        file.create_dataset("spikes/neurons/node_ids", (HUGE,), "i8", **CHUNKS)
    with h5py.File(folder / "x_graph.h5", "w", userblock_size=512) as file:
        group = file.create_group("populations/0000")
        group.attrs.update(name="a", layer="neurons", first_id=0, shape=np.array([HUGE]))
        file["projections"] = np.zeros((0, 2), int)
        file.attrs["inputs"] = 0
    seal(folder / "x_graph.h5", 3)
    edges = [("input", "if"), ("if", "output")]
    for name, shape in (("small", [2, 8, 8]), ("shape", [HUGE]), ("stored", [8])):
        ends = {end: {"type": kind, "shape": shape} for end, kind in (("input", "Input"), ("output", "Output"))}
        write(folder / f"{name}.nir", {**ends, "if": {"type": "IF", "r": 1.0, "v_threshold": 1.0}}, edges)
    with h5py.File(folder / "stored.nir", "a") as file:
        del file["node/nodes/if/r"]
        file.create_dataset("node/nodes/if/r", (HUGE,), "f4", **CHUNKS)
    with h5py.File(folder / "units.h5", "w") as file:
        file.attrs["model_config"] = keras_model(30_000_000)
        file.create_group("model_weights")
    with zipfile.ZipFile(folder / "units.keras", "w") as archive:
        archive.writestr("config.json", keras_model(30_000_000))
        archive.writestr("model.weights.h5", b"")
    Run.from_graph(folder / "few.csv", folder / "imported")
    return folder


@pytest.mark.parametrize(("words", "code", "file", "number"), ROWS, ids=[row[0][:70] for row in ROWS])
def test_a_small_file_that_declares_much_is_refused(folder, monkeypatch, capsys, words, code, file, number):
    monkeypatch.chdir(folder)
    measured = words.startswith("graph")
    if measured:
        tracemalloc.start()
    try:
        assert main([*shlex.split(words), "--quiet"]) == code, capsys.readouterr().err
        if measured:
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
    monkeypatch.setattr("snnb.core.machine.memory", lambda: Memory(10**12, 40_000_000))
    assert main(["graph", "--run-dir", "new", "--from", "lone.hgr", "--quiet"]) == 6
    assert "lone.hgr: the 900,000 neurons take 0.1 GB of memory, and 0.0 GB are available" in capsys.readouterr().err
