"""SIGINT and SIGKILL in the middle of an export: nothing incomplete under its name."""

import hashlib
import json
import signal
import subprocess
import sys
import time

import pytest

from snnb.graph.build import build_graph
from snnb.io.atomic import target_of
from snnb.io.keras import keras
from tests.end_to_end.conftest import SNNB


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A graph of 20 million synapses, of which each export takes seconds."""
    folder = tmp_path_factory.mktemp("large")
    source = keras.layers.Input((64, 64, 8), name="input")
    model = keras.Model(source, keras.layers.Conv2D(24, 5, padding="same", name="00Conv2D_64x64x24")(source))
    model.save(str(folder / "net_parsed.h5"), include_optimizer=False)
    with build_graph(folder / "net_parsed.h5", folder / "net_graph.h5") as graph:
        assert graph.number_of_edges() > 18_000_000
    return folder / "net_graph.h5"


@pytest.fixture
def start(run, large, tmp_path):
    """Start an export of the large graph, and wait until it has begun to write."""
    stamp = next(iter(run.records_of("graph")))
    path = run.path / "graphs" / stamp / "mini_network_graph.h5"
    written = (run.path / "manifest.yaml").read_text()
    for of in (lambda found: hashlib.sha256(found.read_bytes()).hexdigest(), lambda found: f"{found.stat().st_size}\n"):
        assert written.count(of(path)) >= 1
        written = written.replace(of(path), of(large))
    (run.path / "manifest.yaml").write_text(written)
    path.write_bytes(large.read_bytes())
    folder = tmp_path / "out"
    folder.mkdir()

    def started(*options):
        command = [*SNNB, "export", str(run.path), "--format", "csv", "--output", str(folder / "net"), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not any(path.is_file() for path in folder.rglob(".net.*.partial/**/net*")):
            time.sleep(0.005)
        assert process.poll() is None, process.communicate()
        return process, folder

    return started


def test_an_interruption_leaves_what_was_to_be_replaced(start, tmp_path):
    (tmp_path / "out" / "net").write_text("old")
    process, folder = start("--force")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("snnb: interrupted")
    assert (folder / "net").read_text() == "old"


def test_what_a_killed_export_left_is_cleared_away_by_the_next(run, start, snnb):
    process, folder = start()
    process.kill()
    process.communicate()
    assert [target_of(path.name) for path in folder.iterdir()] == ["net"]
    manifest = (run.path / "manifest.yaml").read_bytes()
    assert snnb("export", run.path, "--format", "npz", "--output", folder / "net").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["net"]
    assert (run.path / "manifest.yaml").read_bytes() == manifest


KILLED_AT_A_RENAME = """
import os, sys
from pathlib import Path
left, rename = int(sys.argv.pop(1)), Path.replace
def replace(self, target):
    global left
    if ".net." in str(self.parent):
        if left == 0:
            os._exit(137)
        left -= 1
    return rename(self, target)
Path.replace = replace
from snnb.cli.app import app
app()
"""


@pytest.mark.slow
@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_killed_between_its_renames_it_leaves_no_old_description_of_a_new_file(run, tmp_path, renames):
    def export(format, *options, code=SNNB[-1], before=()):
        words = ["export", str(run.path), "--format", format, "--output", str(tmp_path / "net"), *options]
        return subprocess.run([sys.executable, "-c", code, *before, *words], capture_output=True).returncode

    assert export("csv") == 0
    old = (tmp_path / "net").read_bytes()
    code = export("csv", "--rate-unit", "hz", "--force", code=KILLED_AT_A_RENAME, before=[str(renames)])
    assert code == (137 if renames < 3 else 0)
    described, new = tmp_path / "net.json", (tmp_path / "net").read_bytes() != old
    if described.exists():
        assert ("per second" in json.loads(described.read_text())["rate_unit"]) == new
    assert described.exists() == (renames >= 2)
    assert export("csv", "--force") == 0
    assert (tmp_path / "net").read_bytes() == old
    assert {path.name for path in tmp_path.glob("*net*")} == {"net", "net.json", "net.nodes.csv"}
