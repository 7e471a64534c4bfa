"""Mt-KaHyPar in processes of its own: what it gives, what is said when it fails, and a script without a guard."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snnb.mapping.kahypar import Hypergraph, Job, partitions
from tests.mapping.networks import NETWORKS, make_graph

# two triangles, joined by an edge: the best halves cut that edge alone
TRIANGLES = Hypergraph(
    node_weight=np.ones(6, np.int64),
    start=np.arange(0, 15, 2),
    pin=np.array([0, 1, 1, 2, 2, 0, 3, 4, 4, 5, 5, 3, 2, 3], np.int32),
    weight=np.array([5, 5, 5, 5, 5, 5, 1]),
    capacity=3,
)
SCRIPT = """
from pathlib import Path
from snnb.mapping.hardware import read_hardware
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.partition import partition
from snnb.graph import SynapseGraph

with open({marks!r}, "a") as marks:
    marks.write("run\\n")
hardware = read_hardware("loihi")[0].model_copy(update={{"neurons_per_core": 40}})
found = partition(PlacedNetwork.of(SynapseGraph.open(Path({graph!r}))), hardware)
print(sorted(one.method for one in found.tried), found.warnings)
"""


def no_warning(message):
    pytest.fail(message)


def test_the_best_halves_of_two_triangles_in_the_order_of_the_jobs():
    found = list(partitions(TRIANGLES, [Job(2, seed) for seed in range(3)], no_warning))
    assert [job for job, _ in found] == [Job(2, 0), Job(2, 1), Job(2, 2)]
    for _, block in found:
        assert block[0] == block[1] == block[2] != block[3] == block[4] == block[5]


def test_a_process_that_fails_is_told_and_the_others_go_on():
    warned = []
    broken = TRIANGLES._replace(pin=TRIANGLES.pin + 100)  # of nodes that are not there
    assert list(partitions(broken, [Job(2, 0)], warned.append)) == []
    assert len(warned) == 1
    assert warned[0].startswith("Mt-KaHyPar ended without a partition into 2 cores (exit code ")


def test_a_script_without_a_guard_runs_once(tmp_path):
    make_graph(NETWORKS["chained"](), tmp_path).close()
    script, marks = tmp_path / "script.py", tmp_path / "marks"
    script.write_text(SCRIPT.format(marks=str(marks), graph=str(tmp_path / "net_graph.h5")))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert marks.read_text() == "run\n"
    assert done.stdout == "['groups', 'hypergraph', 'sequential'] ()\n"
    assert done.stderr == ""
