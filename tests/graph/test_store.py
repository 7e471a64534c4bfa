"""A file of a graph that is incomplete or altered is refused in one line."""

import hashlib

import h5py
import psutil
import pytest

from snnb.core.errors import InputError
from snnb.graph.synapse_graph import SynapseGraph
from tests.graph.listed_graphs import random_graph

ALTERED = {  # by fault, the bytes of the file
    "the first bit": (lambda data: flip_bit(data, 512), "truncated or altered"),
    "the last bit": (
        lambda data: flip_bit(data, len(data) - 1),
        "truncated or altered",
    ),
    "empty": (lambda data: b"", "not a snnb synapse graph"),
    "a head only": (lambda data: data[:512], "truncated or altered"),
    "cut": (lambda data: data[:3000], "truncated or altered"),
    "too long": (lambda data: data + b"\0", "truncated or altered"),
    "another version": (
        lambda data: b"snnb synapse graph 5\n" + data[21:],
        "graph format '5', this snnb reads 1",
    ),
    "another HDF5 file": (lambda data: data[512:], "not a snnb synapse graph"),
}


def flip_bit(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def assert_refused(path, message):
    with pytest.raises(InputError, match=message) as error:
        SynapseGraph.open(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", ALTERED)
def test_an_altered_file(graph_path, tmp_path, fault):
    alter, message = ALTERED[fault]
    (tmp_path / "net_graph.h5").write_bytes(alter(graph_path.read_bytes()))
    assert_refused(tmp_path / "net_graph.h5", message)


def test_missing(tmp_path):
    assert_refused(tmp_path / "none.h5", "no such graph")


def test_an_open_graph_has_few_file_descriptors(tmp_path):
    """Of which a process may have 1024 on many systems."""
    before = psutil.Process().num_fds()
    graph, synapses = random_graph(tmp_path / "net_graph.h5", 1, sizes=(3,) * 9)
    assert len(graph.projections) > 50
    assert psutil.Process().num_fds() - before <= 2  # the file and its map
    edges = [
        edge
        for projection in graph.projections
        for edge in zip(*projection.edges_of(0, 3)[:3])
    ]
    assert {(s, t): w for s, t, w in edges} == synapses


def test_other_programs_can_check_and_read_it(graph_path):
    """As docs/graph-format.md says: SHA-256 of the bytes after the user block, which are plain HDF5."""
    data = graph_path.read_bytes()
    lines = data[:512].rstrip(b"\0").decode().splitlines()
    assert lines == [
        "snnb synapse graph 1",
        f"sha256 {hashlib.sha256(data[512:]).hexdigest()}",
        f"bytes {len(data) - 512}",
    ]
    with h5py.File(str(graph_path), "r") as file:
        assert file.attrs["num_timesteps"] == 25
        assert file["connections/0004/kernel"].shape == (1, 1, 40, 4)
