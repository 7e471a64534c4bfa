"""Mt-KaHyPar in separate processes: results, failures, the end of the parent process."""

import subprocess
import sys

import numpy as np

from snnb.mapping.kahypar import Hypergraph
from snnb.mapping.search import partitions

# Two triangles joined by an edge: the best bisection cuts only that edge.
TRIANGLES = Hypergraph(
    node_weight=np.ones(6, np.int64),
    start=np.arange(0, 15, 2),
    pin=np.array([0, 1, 1, 2, 2, 0, 3, 4, 4, 5, 5, 3, 2, 3], np.int32),
    weight=np.array([5, 5, 5, 5, 5, 5, 1]),
    capacity=3,
)
CHILD = """
import os, sys, time
from snnb.mapping.kahypar import _end_with_parent
assert not {"numba", "scipy", "pydantic"} & set(sys.modules), "a process for each job takes a second to start"
_end_with_parent(os.getppid())
print("ready", flush=True)
time.sleep(600)
"""
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
os._exit(130)
"""


def test_the_best_bisection_of_two_triangles_for_each_seed():
    warnings = []
    found = list(partitions(TRIANGLES, [(2, seed) for seed in range(3)], warnings.append))
    assert ([blocks for blocks, _ in found], warnings) == ([2, 2, 2], [])
    for _, block in found:
        assert block[0] == block[1] == block[2] != block[3] == block[4] == block[5]


def test_a_process_that_fails_is_a_warning():
    warnings = []
    broken = TRIANGLES._replace(pin=TRIANGLES.pin + 100)  # nodes that do not exist
    assert list(partitions(broken, [(2, 0)], warnings.append)) == []
    assert len(warnings) == 1
    assert warnings[0].startswith("Mt-KaHyPar ended without a partition into 2 cores (exit code ")


def test_a_process_ends_when_its_parent_has_ended():
    """Both write to one pipe, whose end is read when the last of them has ended."""
    done = subprocess.run([sys.executable, "-c", PARENT, CHILD], stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, b"")
