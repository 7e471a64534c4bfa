"""Data of an HDF5 file in another file: refused by every reader before the other file is read."""

import shutil
import zipfile
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnb.cli.main import main
from snnb.conversion.toolbox_config import copy_for_toolbox
from snnb.core.errors import InputError
from snnb.crosscheck import exported
from snnb.datasets import shd
from snnb.formats.import_graph import import_graph
from snnb.graph.synapse_graph import FORMAT, SynapseGraph, seal
from snnb.io.hdf5 import reading
from snnb.model_files.nir_file import read_nir_graph
from snnb.model_files.read_model import read_model, read_trained
from snnb.network.event_samples import EventSamples, Steps, write_samples
from snnb.network.read_network import read_network, write_spiking
from tests.nir_interpreter import write

WEIGHTS = "model.weights.h5"
EMPTY = {"populations": []}  # description of an export
FIXTURES = Path(__file__).parents[1] / "fixtures"
TRAINED = FIXTURES / "model_files" / "plain_keras24.h5"
ARCHIVE = FIXTURES / "model_files" / "plain_keras305.keras"
PARSED = FIXTURES / "mini_network" / "parse" / "mini_network_parsed.h5"
GRAPH = next((FIXTURES / "mini_network" / "graphs").glob("*/*_graph.h5"))


def _external(file, name, canary):
    values = file[name][()]
    canary.write_bytes(values.tobytes())
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_external(str(canary).encode(), 0, values.nbytes)
    kind, space = file[name].id.get_type(), h5py.h5s.create_simple(values.shape)
    attributes = dict(file[name].attrs)
    del file[name]
    h5py.h5d.create(file.id, name.encode(), kind, space, creation)
    file[name].attrs.update(attributes)


def _store_outside(file, name, canary):
    with h5py.File(canary, "w") as canary_file:
        file.copy(name, canary_file, "values")
    shape = file[name].shape
    kind = file[name].dtype
    attributes = dict(file[name].attrs)
    del file[name]
    return shape, kind, attributes


def _virtual(file, name, canary):
    shape, kind, attributes = _store_outside(file, name, canary)
    layout = h5py.VirtualLayout(shape, kind)
    layout[...] = h5py.VirtualSource(str(canary), "values", shape)
    file.create_virtual_dataset(name, layout).attrs.update(attributes)


def _link_outside(file, name, canary):
    _store_outside(file, name, canary)
    file[name] = h5py.ExternalLink(str(canary), "values")


REFERENCES = {
    "external storage": _external,
    "virtual dataset": _virtual,
    "external link": _link_outside,
}


def _copy_file(source):
    return lambda folder: Path(shutil.copy(str(source), str(folder)))


def _weights(folder):
    keras = import_module("snnb.model_files.keras").keras
    keras.Sequential([keras.layers.Dense(2, name="dense", input_shape=(3,))]).save(
        str(folder / "net.h5")
    )
    return folder / "net.h5"


def _nir(folder):
    neuron = {"type": "IF", "r": np.ones(8), "v_threshold": np.ones(8)}
    ends = {
        end: {"type": kind, "shape": [8]}
        for end, kind in (("input", "Input"), ("output", "Output"))
    }
    return write(
        folder / "net.nir", {**ends, "if": neuron}, [("input", "if"), ("if", "output")]
    )


def _samples(folder):
    ones = np.ones(4, int)
    write_samples(
        folder / "x.h5", [Steps(ones, np.arange(4), ones, 2)], (1, 1, 4), "u1"
    )
    return folder / "x.h5"


def _spoken(folder):
    with h5py.File(folder / "shd_test.h5", "w") as file:
        file["extra/keys"], file["labels"] = [b"a"] * 20, np.array([19, 0])
        for name in ("times", "units"):
            kind = h5py.special_dtype(vlen=np.dtype("f4"))
            file.create_dataset(f"spikes/{name}", (2,), kind)[:] = [
                np.ones(3, "f4")
            ] * 2
    return folder / "shd_test.h5"


def _sonata(name):
    def make(folder):
        with h5py.File(folder / "nodes.h5", "w") as file:
            file["nodes/snn/node_type_id"], file["nodes/snn/0/bias"] = (
                np.zeros(3, "i8"),
                np.ones(3),
            )
        with h5py.File(folder / "edges.h5", "w") as file:
            for end in ("source", "target"):
                file[f"edges/e/{end}_node_id"] = np.arange(3)
                file[f"edges/e/{end}_node_id"].attrs["node_population"] = "snn"
            file["edges/e/0/syn_weight"], file["edges/e/edge_type_id"] = (
                np.ones(3),
                np.zeros(3, int),
            )
        with h5py.File(folder / "spikes.h5", "w") as file:
            file["spikes/snn/node_ids"] = np.array([0, 1, 1])
        return folder / name

    return make


def _import(path, **options):
    import_graph(path, path.parent / "imported_graph.h5", **options)


def _read_weights(path):
    keras = import_module("snnb.model_files.keras").keras
    model = keras.Sequential([keras.layers.Dense(2, name="dense", input_shape=(3,))])
    import_module("snnb.training.keras_model").load_weights(model, path)


# By reader: the function that makes a file in a folder, the one that reads it, and a dataset that it reads, by default
# the first array of two dimensions
READERS = {
    "trained .h5": (_copy_file(TRAINED), lambda path: read_model(path, len), None),
    "trained .keras": (_copy_file(ARCHIVE), lambda path: read_model(path, len), None),
    "initial weights": (_weights, _read_weights, None),
    "model of a run": (_copy_file(PARSED), read_trained, None),
    "NIR": (_nir, read_nir_graph, "node/nodes/if/r"),
    "parsed network": (_copy_file(PARSED), read_network, None),
    "parsed network, changed": (
        _copy_file(PARSED),
        lambda path: write_spiking(read_network(PARSED), path),
        None,
    ),
    "parsed network, copied": (
        _copy_file(PARSED),
        lambda path: copy_for_toolbox(path, path.with_name("x.h5"), 1),
        None,
    ),
    "graph": (_copy_file(GRAPH), SynapseGraph.open, None),
    "graph from elsewhere": (_copy_file(GRAPH), _import, None),
    "event samples": (_samples, EventSamples, "bounds"),
    "event data": (_spoken, lambda path: shd.load(path.parent), "labels"),
    "SONATA nodes": (
        _sonata("nodes.h5"),
        lambda path: _import(path.parent),
        "nodes/snn/node_type_id",
    ),
    "SONATA edges": (
        _sonata("edges.h5"),
        lambda path: _import(path.parent),
        "edges/e/target_node_id",
    ),
    "SONATA spikes": (
        _sonata("spikes.h5"),
        lambda path: _import(path.parent, rates=path),
        "spikes/snn/node_ids",
    ),
    "crosscheck, nodes": (
        _sonata("nodes.h5"),
        lambda path: exported.read_export(path.parent, EMPTY),
        "nodes/snn/0/bias",
    ),
    "crosscheck, edges": (
        _sonata("edges.h5"),
        lambda path: exported.read_projections(path, EMPTY, {}),
        "edges/e/edge_type_id",
    ),
}


def _if_array(name, item):
    return name if isinstance(item, h5py.Dataset) and item.ndim > 1 else None


def refer(path, dataset, reference, canary):
    """Move a dataset of a file, or of the weights in an archive, into the file `canary`; return its name."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        inner = path.with_name(WEIGHTS)
        inner.write_bytes(members[WEIGHTS])
        name = refer(inner, dataset, reference, canary)
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in {**members, WEIGHTS: inner.read_bytes()}.items():
                archive.writestr(member, content)
        return name
    is_graph = path.read_bytes().startswith(FORMAT.encode())
    with h5py.File(path, "r+") as file:
        name = dataset or file.visititems(_if_array)
        REFERENCES[reference](file, name, canary)
    if is_graph:
        seal(path)
    return name


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("reader", READERS)
def test_data_in_another_file_are_refused(reader, reference, tmp_path):
    make, read, dataset = READERS[reader]
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    canary = tmp_path / "canary"
    name = refer(path, dataset, reference, canary)
    with pytest.raises(InputError, match=r" (is stored in|refers to) ") as error_info:
        read(path)
    line = str(error_info.value)
    assert line.count("\n") == 0
    assert str(canary) in line
    assert f" {name} " in line


def test_links_in_a_file(tmp_path):
    """Soft links, also ones that lead nowhere, and cycles of hard links are read; a link out of the file is not."""
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        file["a/b/values"] = [1, 2]
        file["a/b/back"] = file["a"]
        file["soft"] = h5py.SoftLink("/a/b")
        file["nowhere"] = h5py.SoftLink("/c")
    with reading(path) as file:
        assert file["soft/back/b/values"][()].tolist() == [1, 2]
    with h5py.File(path, "r+") as file:
        file["a/b/group"] = h5py.ExternalLink("other.h5", "/")
    with pytest.raises(
        InputError, match=r"some\.h5: the link a/b/group refers to other\.h5"
    ), reading(path):
        pass


def test_a_model_with_another_file_s_bytes_makes_no_run(tmp_path, capsys):
    path = _copy_file(TRAINED)(tmp_path)
    name = refer(path, None, "external storage", tmp_path / "canary")
    words = [
        "--model",
        str(path),
        "--dataset",
        "digits",
        "--run-dir",
        str(tmp_path / "run"),
        "--quiet",
    ]
    assert main(["parse", *words]) == 3
    assert (
        f"the dataset {name} is stored in {tmp_path / 'canary'}"
        in capsys.readouterr().err
    )
    content = (tmp_path / "canary").read_bytes()
    assert not [
        file
        for file in tmp_path.rglob("run/**/*")
        if file.is_file() and content in file.read_bytes()
    ]
