"""A graph's file that was altered and sealed again is refused in a line, or read as the graph that it then is."""

import json
import random
import select
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from snnb.graph import store
from snnb.graph.build import build_graph
from tests.graph.networks import counts_of, save, save_counts, set_random_weights, varied

PATIENCE = 300  # seconds for one file: a copy of the process computes for up to 20 on one that HDF5 reads in circles


class Worker:
    """A process that uses graphs one by one, started again when one of them has crashed it."""

    def __init__(self):
        self.process = None

    def use(self, path):
        patience = PATIENCE
        if self.process is None:
            patience = 10 * PATIENCE  # it imports, and compiles where nobody has
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.graph.altered"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.process.kill()
        code, self.process = self.process.wait(), None
        return {"raised": f"ended with {code}" if ready else "did not come to an end"}


@pytest.fixture(scope="module")
def worker():
    started = Worker()
    yield started
    if started.process is not None:
        started.process.kill()
        started.process.wait()


@pytest.fixture(scope="module")
def varied_path(tmp_path_factory):
    network = varied()
    set_random_weights(network)
    folder = tmp_path_factory.mktemp("varied")
    counts = save_counts(folder / "spike_rate_sums.npz", counts_of(network))
    build_graph(save(network, folder / "net_parsed.h5"), folder / "net_graph.h5", counts=counts).close()
    return folder / "net_graph.h5"


def set_attribute(value):
    return lambda item, name: item.attrs.__setitem__(name, value)


def change_attribute(change):
    return lambda item, name: item.attrs.__setitem__(name, change(item.attrs[name]))


ATTRIBUTES = {
    "deleted": lambda item, name: item.attrs.__delitem__(name),
    "text": set_attribute("many"),
    "long text": set_attribute("x" * 60_000),
    "text with control characters": set_attribute("a\x1b[2Jb\n"),
    "no text": set_attribute(np.bytes_(b"\xff\xfe")),
    "deep JSON": set_attribute("[" * 30_000),
    "JSON that is no mapping": set_attribute("[1]"),
    "a whole number": set_attribute(7),
    "-1": set_attribute(-1),
    "a huge number": set_attribute(2**62),
    "a number that is not whole": set_attribute(1.5),
    "NaN": set_attribute(np.nan),
    "nothing": set_attribute(h5py.Empty(np.dtype("f4"))),
    "an empty row": set_attribute(np.empty(0, np.int64)),
    "a row of numbers": set_attribute(np.array([3, -1, 2**62])),
    "a table": set_attribute(np.ones((3, 3), np.int64)),
    "another type": change_attribute(lambda value: np.asarray(value).astype("S20")),
    "negative": change_attribute(lambda value: -value if isinstance(value, (np.ndarray, np.number)) else not value),
    "swapped": change_attribute(lambda value: value[::-1] if isinstance(value, (str, np.ndarray)) else value + 1),
    "doubled": change_attribute(lambda value: value + value),
}


def replace(change):
    def apply(group, name):
        old = group[name]
        values, packed = change(old[()]), old.chunks is not None
        del group[name]
        group.create_dataset(name, data=values, compression="gzip" if packed else None)

    return apply


def put(value, where=0):
    def change(values):
        values.reshape(-1)[where] = value
        return values

    return replace(change)


ARRAYS = {
    "deleted": lambda group, name: group.__delitem__(name),
    "a group": lambda group, name: (group.__delitem__(name), group.create_group(name)),
    "an element less": replace(lambda values: values[..., :-1]),
    "a row less": replace(lambda values: values[:-1]),
    "a row more": replace(lambda values: np.concatenate([values, values[:1]])),
    "flat": replace(lambda values: values.ravel()),
    "no axis": replace(lambda values: values.reshape(-1)[0]),
    "empty": replace(lambda values: values[:0]),
    "text": replace(lambda values: values.astype("S8")),
    "float64": replace(lambda values: values.astype("<f8")),
    "int16": replace(lambda values: values.astype("<i2")),
    "big-endian": replace(lambda values: values.astype(values.dtype.newbyteorder(">"))),
    "turned": replace(lambda values: values[::-1]),
    "-1": put(-1),
    "-2": put(-2, -1),
    "huge": put(2**31 - 1),
    "huge at the end": put(2**31 - 1, -1),
    "NaN": replace(lambda values: np.full(values.shape, np.nan, np.float32)),
    "one value everywhere": replace(lambda values: np.full_like(values, values.reshape(-1)[-1])),
    "chunks": lambda group, name: group.move(name, "x") or group.create_dataset(name, data=group["x"][()], chunks=True),
    "external": lambda group, name: external(group, name),
    "a link to another file": lambda group, name: link(group, name),
}


def external(group, name):
    shape, dtype = group[name].shape, group[name].dtype
    del group[name]
    group.create_dataset(name, shape, dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def link(group, name):
    del group[name]
    group[name] = h5py.ExternalLink("/etc/hostname", "/")


def places(path):
    """Return where each attribute (parent and name) and each array, by kind, stands in a graph's file."""
    found = {}
    with h5py.File(str(path), "r") as file:

        def visit(item, node):
            parent = item.split("/")[0]
            for name in node.attrs:
                found.setdefault((parent, name, "attribute"), []).append(item)
            if isinstance(node, h5py.Dataset):
                found.setdefault((parent, item.rsplit("/", 1)[-1], "array"), []).append(item)

        visit("", file)
        file.visititems(visit)
    return found


def alterations(path, everywhere):
    """Yield a name and what it does to an open file: to each attribute and each array, in one group or `everywhere`."""
    for (_, name, kind), items in places(path).items():
        for number, (what, change) in enumerate((ATTRIBUTES if kind == "attribute" else ARRAYS).items()):
            for item in items if everywhere else [items[number % len(items)]]:
                if kind == "attribute":
                    yield f"{item} {name}: {what}", lambda f, c=change, i=item, n=name: c(f[i or "/"], n)
                else:
                    yield f"{item}: {what}", lambda f, c=change, i=item, n=name: c(f[i].parent, n)
    for item in ("populations", "connections", "populations/0000", "connections/0001"):
        yield f"{item}: deleted", lambda f, i=item: f.__delitem__(i)


def faults(worker, original, altered):
    """Return what is wrong with the answers over these files: crashes, other errors, other sizes."""
    expected = worker.use(original)["sizes"]
    found = []
    for what, path in altered:
        answer = worker.use(path)
        refused = answer.get("refused")
        if refused is not None:
            if str(path) not in refused or len(refused) > 600 or not refused.isprintable():
                found.append(f"{what}: {refused}")
        elif answer.get("sizes") != expected and not ("sizes" in answer and "/ids: " in what):
            found.append(f"{what}: {answer}")  # padding in the place of neurons is another graph, and a whole one
    return found


def altered(original, folder, everywhere):
    """Write each altered graph, sealed again, at the same path."""
    path = folder / "net_graph.h5"
    for what, change in alterations(original, everywhere):
        shutil.copy(original, path)
        try:
            with h5py.File(str(path), "r+") as file:
                change(file)
        except (TypeError, ValueError, OSError, RuntimeError, OverflowError):
            continue  # what h5py does not write: a text of which there is no negative, too long an attribute
        store.seal(path, store.VERSION)
        yield what, path


def test_each_attribute_and_array_altered_in_every_way(graph_path, tmp_path, worker):
    assert faults(worker, graph_path, altered(graph_path, tmp_path, False)) == []


@pytest.mark.slow
@pytest.mark.parametrize("which", ["graph_path", "varied_path"])
def test_all_attributes_and_arrays_altered_in_every_way(request, tmp_path, worker, which):
    original = request.getfixturevalue(which)
    assert faults(worker, original, altered(original, tmp_path, True)) == []


def with_bytes_altered(original, folder, count):
    """Write graphs in which one to eight bytes are others, sealed again."""
    whole = original.read_bytes()
    for seed in range(count):
        chosen, data = random.Random(seed), bytearray(whole)
        for _ in range(chosen.choice([1, 1, 2, 8])):
            where = chosen.randrange(store.USER_BLOCK, len(data))
            data[where] = chosen.choice([0, 255, data[where] ^ (1 << chosen.randrange(8)), chosen.randrange(256)])
        path = folder / "net_graph.h5"
        path.write_bytes(bytes(data))
        store.seal(path, store.VERSION)
        yield f"seed {seed}", path


def test_some_bytes_altered(graph_path, tmp_path, worker):
    assert faults(worker, graph_path, with_bytes_altered(graph_path, tmp_path, 40)) == []


@pytest.mark.slow
@pytest.mark.parametrize("which", ["graph_path", "varied_path"])
def test_many_bytes_altered(request, tmp_path, worker, which):
    """HDF5 itself crashes on a few of these."""
    original = request.getfixturevalue(which)
    assert faults(worker, original, with_bytes_altered(original, tmp_path, 400)) == []
