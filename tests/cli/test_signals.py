"""SIGINT and SIGTERM end the process, and its children, while it imports modules or waits for a child."""

import contextlib
import signal
import subprocess
import sys

import psutil
import pytest

PROGRAM = """
import sys
import snnb.cli.main
from snnb.cli import output

def main():
    with output.current.bar("train"):
        work()

{work}

snnb.cli.main.main = main
from snnb.cli.app import app
app()
"""
MT_KAHYPAR = """
import tempfile, time
from pathlib import Path
import numpy as np
import psutil
from snnb.mapping.partition import mtkahypar, mtkahypar_process

def work():
    random, folder = np.random.default_rng(0), Path(tempfile.mkdtemp())
    graph = mtkahypar_process.Hypergraph(
        np.ones(50_000, np.int64), np.arange(0, 800_001, 4), random.integers(0, 50_000, 800_000).astype(np.int32),
        np.ones(200_000, np.int64), 100)
    for name in mtkahypar_process.ARRAYS:
        getattr(graph, name).tofile(folder / name)
    child = mtkahypar._start_process(folder, graph.capacity, ["1000,0,10", "1000,1,10"])
    while len(psutil.Process(child.pid).children()) < 2:
        time.sleep(0.01)
    print("ready", flush=True)
    child.wait()
"""
IMPORTS = """
import sys, time

class Endless:
    def find_spec(name, *_):
        if name == "pydantic":
            print("ready", flush=True)
            time.sleep(3600)

sys.meta_path.insert(0, Endless)
from snnb.cli.app import app
app()
"""
TENSORFLOW = """
import sys
from pathlib import Path
from snnb.cli.app import app

package = Path(sys.argv[0]).parent / "tensorflow"
package.mkdir()
(package / "__init__.py").write_text("import time; print('ready', flush=True); time.sleep(3600)")
sys.argv[1] = "doctor"
app()
"""


def started(program, folder):
    """A process that has printed "ready"."""
    path = folder / "program.py"  # of compiled functions the source is read
    path.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(path), "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


@pytest.mark.parametrize("program", [IMPORTS, TENSORFLOW], ids=["pydantic", "tensorflow"])
def test_a_signal_while_modules_are_imported_ends_the_process(tmp_path, program):
    process = started(program, tmp_path)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, "snnb: interrupted; the run is unchanged\n")


@pytest.mark.slow
def test_a_signal_ends_the_process_and_its_children(tmp_path):
    pytest.importorskip("mtkahypar")
    process = started(PROGRAM.format(work=MT_KAHYPAR), tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # also of its children
    assert process.returncode == 130
    assert errors.splitlines() == [
        "snnb: interrupted; the run is in its state before `train`; the same command continues after the last epoch"
    ]
    _, alive = psutil.wait_procs(children, timeout=60)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    assert alive == []
