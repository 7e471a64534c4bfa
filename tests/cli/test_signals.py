"""SIGINT and SIGTERM end the process at once while it computes in compiled code, and its children with it."""

import contextlib
import signal
import subprocess
import sys
import time

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
NUMBA = """
from snnb.core.compiled import compiled

@compiled
def endless(n):
    while n > 0:
        n = n % 7 + 1
    return n

def work():
    print("ready", flush=True)
    endless(3)
"""
MT_KAHYPAR = """
import tempfile
from pathlib import Path
import numpy as np
from snnb.mapping import kahypar

def work():
    random, folder = np.random.default_rng(0), Path(tempfile.mkdtemp())
    graph = kahypar.Hypergraph(
        np.ones(50_000, np.int64), np.arange(0, 800_001, 4), random.integers(0, 50_000, 800_000).astype(np.int32),
        np.ones(200_000, np.int64), 100)
    np.savez(folder / kahypar.GRAPH, **graph._asdict())
    child = kahypar._start(folder, 0, (1000, 0))
    print("ready", flush=True)
    child.wait()
"""


@pytest.mark.parametrize(
    ("work", "package", "sent"),
    [
        (NUMBA, "numba", signal.SIGINT),
        pytest.param(MT_KAHYPAR, "mtkahypar", signal.SIGTERM, marks=pytest.mark.slow),
    ],
    ids=["numba", "mt-kahypar"],
)
def test_a_signal_ends_the_process_and_its_children(work, package, sent):
    pytest.importorskip(package)
    command = [sys.executable, "-c", PROGRAM.format(work=work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.communicate()
    time.sleep(1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert bool(children) == (package == "mtkahypar")
    begin = time.monotonic()
    process.send_signal(sent)
    code = process.wait(timeout=30)
    seconds = time.monotonic() - begin
    _, errors = process.communicate(timeout=30)  # also of its children
    assert seconds < 5
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent]
    assert [line for line in errors.splitlines() if "compiling" not in line] == [
        "snnb: interrupted; the run is as it was before `train`; the same command continues after the last epoch"
    ]
    _, alive = psutil.wait_procs(children, timeout=10)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    assert alive == []
