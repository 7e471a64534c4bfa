"""A file of a graph that is incomplete or altered is refused in one line."""

import hashlib
import shutil

import h5py
import psutil
import pytest

from snnb.core.errors import InputError
from snnb.graph.synapse_graph import SynapseGraph
from tests.graph.listed_graphs import random_graph


@pytest.fixture
def copy(graph_path, tmp_path):
    return shutil.copy(graph_path, tmp_path / "net_graph.h5")


def refused(path, message):
    with pytest.raises(InputError, match=message) as error:
        SynapseGraph.open(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_one_bit_altered_anywhere(copy, part):
    data = bytearray(copy.read_bytes())
    data[512 + int(part * (len(data) - 512))] ^= 1
    copy.write_bytes(data)
    refused(copy, "truncated or altered")


@pytest.mark.parametrize("keep", [0, 512, 3000, 1 << 30])
def test_truncated_or_too_long(copy, keep):
    copy.write_bytes((copy.read_bytes() + b"\0")[:keep])
    refused(copy, "truncated or altered" if keep else "not a snnb synapse graph")


def test_another_version_is_not_guessed_at(copy):
    with copy.open("r+b") as file:
        file.write(b"snnb synapse graph 5\n")
    refused(copy, "graph format '5', this snnb reads 1")


def test_another_hdf5_file(parsed):
    refused(parsed, "not a snnb synapse graph")


def test_missing(tmp_path):
    refused(tmp_path / "none.h5", "no such graph")


def test_an_open_graph_has_few_file_descriptors(tmp_path):
    """Of which a process may have 1024 on many systems."""
    before = psutil.Process().num_fds()
    graph, synapses = random_graph(tmp_path / "net_graph.h5", 1, sizes=(3,) * 9)
    assert len(graph.projections) > 50
    assert psutil.Process().num_fds() - before <= 2  # the file and its map
    edges = [edge for projection in graph.projections for edge in zip(*projection.edges_of(0, 3)[:3])]
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
