"""The command line where there is no TensorFlow: what works on a recorded run, and what the other stages answer."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snnb.graph.synapse_graph import SynapseGraph

RECORDED = Path(__file__).parents[1] / "fixtures" / "mini_network"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Path(shutil.copytree(RECORDED, tmp_path_factory.mktemp("recorded") / "run"))


def snnb(*arguments):
    """Run the command with TensorFlow and the toolbox hidden, if they are installed."""
    absent = "tensorflow=None, tf_keras=None, snntoolbox=None"
    hidden = f"import sys; sys.modules.update({absent}); from snnb.cli.app import app; app()"
    command = [sys.executable, "-c", hidden, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "RUN"),
        ("verify", "RUN"),
        ("models",),
        ("doctor",),
        ("graph", "--run-dir", "RUN", "--force"),
        ("export", "RUN", "--format", "npz"),
        ("export", "RUN", "--format", "sonata"),
        ("crosscheck", "--run-dir", "RUN", "--with", "scipy"),
        ("map", "--run-dir", "RUN", "--hardware", "spinemap_5x5", "--method", "sequential"),
        ("report", "RUN"),
        ("compare", "RUN"),
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_what_works(run, arguments):
    done = snnb(*(str(run) if word == "RUN" else word for word in arguments))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_graph_made_here_is_the_recorded_one(run):
    assert snnb("graph", "--run-dir", run, "--force").returncode == 0
    weights = []
    for folder in (run, RECORDED):
        (path,) = (folder / "graphs").glob("2*/mini_network_graph.h5")
        with SynapseGraph.open(path) as graph:
            weights.append((graph.attributes["parsed_sha256"], graph.to_scipy("edge")))
    assert weights[0][0] == weights[1][0]
    assert (weights[0][1] != weights[1][1]).nnz == 0
    status = json.loads(snnb("status", run, "--json").stdout)
    assert all(stage["up_to_date"] for stage in status["stages"] if not stage["stage"].startswith("maps"))


@pytest.mark.parametrize("stage", ["train", "parse", "simulate"])
def test_a_stage_that_needs_tensorflow_says_which_python_and_extra(run, stage):
    done = snnb(stage, "--run-dir", run, "--force")
    assert done.returncode == 3
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(f"snnb: {stage} needs ")
    assert f"pip install '.[{'cpu' if sys.version_info[:2] == (3, 8) else 'tensorflow'}]'" in line
    assert "Traceback" not in done.stderr
