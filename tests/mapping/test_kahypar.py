"""Mt-KaHyPar in separate processes: results, failures, the end of the parent process."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from snnb.mapping.partition.mtkahypar import partitions
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.settings import SearchSettings

SETTINGS = SearchSettings()
# Two triangles joined by an edge: the best bisection cuts only that edge.
TRIANGLES = Hypergraph(
    node_weight=np.ones(6, np.int64),
    start=np.arange(0, 15, 2),
    pin=np.array([0, 1, 1, 2, 2, 0, 3, 4, 4, 5, 5, 3, 2, 3], np.int32),
    weight=np.array([5, 5, 5, 5, 5, 5, 1]),
    capacity=3,
)
# A process that ends while two jobs of minutes run
PARENT = """
import os, threading, time
import numpy as np
import psutil
from snnb.mapping.partition.mtkahypar import partitions
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.settings import SearchSettings

def partition():
    hypergraph = Hypergraph(
        node_weight=np.ones(50_000, np.int64),
        start=np.arange(0, 800_001, 4),
        pin=np.random.default_rng(0).integers(0, 50_000, 800_000).astype(np.int32),
        weight=np.ones(200_000, np.int64),
        capacity=100,
    )
    list(partitions(hypergraph, [(1000, 0), (1000, 1)], SearchSettings(), print))

threading.Thread(target=partition, daemon=True).start()
# The process of the library, and a process for each of two jobs
while len(psutil.Process().children(recursive=True)) < 3:
    time.sleep(0.01)
print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
os._exit(130)
"""


def test_the_best_bisection_of_two_triangles_for_each_seed():
    warnings = []
    found_partitions = list(
        partitions(
            TRIANGLES, [(2, seed) for seed in range(3)], SETTINGS, warnings.append
        )
    )
    assert ([blocks for blocks, _ in found_partitions], warnings) == ([2, 2, 2], [])
    for _, block in found_partitions:
        assert block[0] == block[1] == block[2] != block[3] == block[4] == block[5]


@pytest.mark.parametrize("capacity", [10**9, 5 * 10**9, 2**53])
def test_the_capacity_of_a_block_may_exceed_32_bits(capacity):
    warnings = []
    for blocks in (2, 3, 5):  # the library adds up the capacities of all blocks
        ((number, block),) = partitions(
            TRIANGLES._replace(capacity=capacity),
            [(blocks, 0)],
            SETTINGS,
            warnings.append,
        )
        assert (number, block.size, block.max() < blocks) == (blocks, 6, True)
    assert warnings == []


def test_a_v_cycle_improves_a_partition():
    first_core = np.array([0, 0, 1, 1, 1, 0])
    ((_, block),) = partitions(TRIANGLES, [(2, 0)], SETTINGS, print, first_core)
    assert block[0] == block[1] == block[2] != block[3] == block[4] == block[5]


def test_a_large_hypergraph_has_settings_of_its_own():
    """A chain of heavy triples, each joined to the next by a light edge: the best bisection cuts one of these."""
    triples = SETTINGS.max_nodes_of_quality // 3 + 1
    nodes = np.arange(3 * triples, dtype=np.int32)
    chain = Hypergraph(
        node_weight=np.ones(nodes.size, np.int64),
        start=np.concatenate(
            [3 * np.arange(triples), 3 * triples + 2 * np.arange(triples)]
        ),
        pin=np.concatenate(
            [nodes, np.stack([nodes[2:-1:3], nodes[3::3]], axis=1).ravel()]
        ),
        weight=np.repeat([5, 1], [triples, triples - 1]),
        capacity=3 * (triples // 2 + 10),
    )
    warnings = []
    ((_, block),) = partitions(chain, [(2, 0)], SETTINGS, warnings.append)
    assert (np.count_nonzero(np.diff(block)), warnings) == (1, [])
    assert np.bincount(block).max() <= chain.capacity


def test_a_job_does_not_depend_on_those_before_it():
    """In one process without forks, each of these jobs has another result in the other order."""
    random = np.random.default_rng(0)
    hypergraph = Hypergraph(
        node_weight=np.ones(300, np.int64),
        start=np.arange(0, 1201, 4),
        pin=np.concatenate(
            [random.choice(300, 4, replace=False) for _ in range(300)]
        ).astype(np.int32),
        weight=random.integers(1, 100, 300),
        capacity=60,
    )
    jobs = [(blocks, seed) for blocks in (5, 6) for seed in range(3)]
    forwards = [
        block.tolist() for _, block in partitions(hypergraph, jobs, SETTINGS, print)
    ]
    backwards = [
        block.tolist()
        for _, block in partitions(hypergraph, jobs[::-1], SETTINGS, print)
    ]
    assert forwards == backwards[::-1]
    assert len({tuple(block) for block in forwards}) == len(jobs)


def test_a_process_that_fails_is_a_warning():
    warnings = []
    broken = TRIANGLES._replace(pin=TRIANGLES.pin + 100)  # nodes that do not exist
    assert list(partitions(broken, [(2, 0), (3, 0)], SETTINGS, warnings.append)) == []
    beginnings = [
        f"Mt-KaHyPar ended without a partition into {blocks} cores (exit code "
        for blocks in (2, 3)
    ]
    assert [
        found_warning[: len(begin)]
        for found_warning, begin in zip(warnings, beginnings)
    ] == beginnings
    assert len(warnings) == 2
    assert not any("memory" in warning for warning in warnings)


def test_the_end_of_the_process_is_a_warning_for_each_job(tmp_path, monkeypatch):
    (tmp_path / "mtkahypar.py").write_text("raise MemoryError('no memory')")
    monkeypatch.syspath_prepend(str(tmp_path))
    warnings = []
    assert (
        list(partitions(TRIANGLES, [(2, 0), (3, 0)], SETTINGS, warnings.append)) == []
    )
    expected_text = "(exit code 1, MemoryError: no memory); possibly out of memory"
    assert [warning.endswith(expected_text) for warning in warnings] == [True, True]


def test_processes_end_when_their_parent_has_ended():
    done = subprocess.run(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    process_ids = [int(word) for word in done.stdout.split()]
    assert len(process_ids) == 3
    deadline = time.monotonic() + 10
    while any(map(is_running, process_ids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    survivors = list(filter(is_running, process_ids))
    for process_id in survivors:
        os.kill(process_id, signal.SIGKILL)
    assert survivors == []


def is_running(process_id):
    """Whether a process exists and has not ended."""
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
