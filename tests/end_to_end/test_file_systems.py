"""Each stage on a full disk and on a read-only one, with real file systems mounted for the purpose."""

import errno
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from snnb.results.verify import verify_run
from snnb.rundir.journal import Journal, write_journal
from snnb.rundir.manifest import seal_of
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import RECORDED, SNNB

pytestmark = pytest.mark.privileged
STAGES = [
    "prepare",
    "train",
    "simulate",
    "graph",
    "map",
]  # arrays; Keras and a plot; HDF5, twice; plain text


@pytest.fixture
def disk(tmp_path):
    """A RAM disk with the recorded run and room for little else; `disk.resize(…)` changes its size."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64M", "tmpfs", str(place)], check=True
    )
    shutil.copytree(RECORDED, place / "run")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def options(stage):
    chip = (
        ["--hardware", "spinemap_5x5", "--method", "sequential"]
        if stage == "map"
        else []
    )
    return [*chip, "--force", "--no-upstream", "--quiet"]


def find_full(*words):
    """Run a command in a process, which ends with the exit code of a full disk and one line."""
    done = subprocess.run([*SNNB, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 6, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "the disk is full" in line


@pytest.mark.parametrize("stage", STAGES)
def test_on_a_full_disk_a_stage_changes_nothing_and_runs_when_there_is_room(
    disk, stage
):
    used = shutil.disk_usage(disk).used
    remount(disk, f"size={used // 1024 + 12}k")
    before = (disk / "run" / "manifest.yaml").read_bytes()
    command = (stage, "--run-dir", str(disk / "run"), *options(stage))
    find_full(*command)
    assert (disk / "run" / "manifest.yaml").read_bytes() == before
    assert verify_run(open_run(disk / "run")).problems == []
    remount(disk, "size=64M")
    subprocess.run([*SNNB, *command], check=True)
    assert verify_run(open_run(disk / "run")).problems == []


def test_on_a_full_disk_a_simulation_can_be_removed(disk):
    run = open_run(disk / "run")
    with run.locked():
        run.hashes.sha256("train/mini_network.h5")
        run.hashes.save()
    stamp = run.latest("simulate")
    used = shutil.disk_usage(disk).used
    remount(disk, f"size={used // 1024}k")
    assert shutil.disk_usage(disk).free == 0
    command = [
        *SNNB,
        "remove",
        str(run.path),
        stamp,
        "--with-dependents",
        "--yes",
        "--quiet",
    ]
    subprocess.run(command, check=True)
    after = open_run(run.path)
    assert verify_run(after).problems == []
    assert after.records_of("simulate") == after.records_of("graph") == {}
    assert shutil.disk_usage(disk).free > 0


@pytest.mark.parametrize("stage", STAGES)
def test_on_a_read_only_mount_a_stage_says_so_and_the_run_still_verifies(
    disk, snnb, stage
):
    remount(disk, "ro")
    result = snnb(stage, "--run-dir", disk / "run", *options(stage), code=3)
    assert result.stderr.count("\n") == 1
    assert "read-only" in result.stderr
    assert "copy the run" in result.stderr
    for command in ("status", "verify"):
        snnb(command, disk / "run")


def test_a_report_that_a_read_only_run_does_not_take_is_an_error_at_once(disk, snnb):
    (stamp,) = (path.name for path in (disk / "run/simulations").iterdir())
    snnb("remove", disk / "run", f"graphs/{stamp}", "--with-dependents", "--yes")
    remount(disk, "ro")
    result = snnb("report", disk / "run", code=3)
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert (
        f"{disk}/run is read-only; give the path of the report with --output"
        in result.stderr
    )


def test_results_are_written_elsewhere_from_a_read_only_run(disk, snnb, tmp_path):
    (stamp,) = (path.name for path in (disk / "run/simulations").iterdir())
    left_path = (
        disk / f"run/exports/{stamp}/.graph.csv.abcdefgh.partial"
    )  # by a killed export
    left_path.mkdir(parents=True)
    (left_path / ".owner").write_text("snnb writes graph.csv in this directory\n")
    remount(disk, "ro")
    page, exported_path = tmp_path / "page.html", tmp_path / "out.csv"
    for words in (
        ["report", "--output", page],
        ["export", "--format", "csv", "--output", exported_path],
    ):
        snnb(words[0], disk / "run", *words[1:])
    assert "passed" in snnb("crosscheck", disk / "run", "--with", "scipy").stdout
    assert 'id="network"' in page.read_text()
    assert len(exported_path.read_text().splitlines()) == 3_664 + 1
    remount(disk, "rw")
    snnb("remove", disk / "run", f"graphs/{stamp}", "--with-dependents", "--yes")
    remount(disk, "ro")
    result = snnb("report", disk / "run", "--output", page)
    assert (
        f"report: without its graph: the graph of simulation {stamp} is missing"
        in result.stderr
    )
    result = snnb(
        "export",
        disk / "run",
        "--format",
        "csv",
        "--output",
        exported_path,
        "--force",
        code=3,
    )
    assert result.stderr.count("\n") == 1
    assert (
        f"the graph of simulation {stamp} is missing and cannot be created: {disk}/run is read-only"
        in result.stderr
    )


def test_an_interrupted_run_on_a_read_only_mount_is_reported(disk, snnb):
    seal = seal_of(disk / "run" / "manifest.yaml").decode()
    write_journal(disk / "run", Journal(seal=seal, replaced={"dataset": True}))
    (disk / "run" / "dataset").rename(disk / "run" / ".replaced-dataset")
    remount(disk, "ro")
    checked_output = snnb("status", disk / "run")
    assert (
        "the next `snnb` command that writes here restores the run"
        in checked_output.stderr
    )
    remount(disk, "rw")
    snnb("prepare", "--run-dir", disk / "run", *options("prepare"))
    assert verify_run(open_run(disk / "run")).problems == []


@pytest.mark.parametrize(
    "format", ["csv", "npz", "parquet", "parts", "sonata"]
)  # text, arrays, Parquet, HDF5
def test_a_disk_that_becomes_full_during_an_export(disk, format):
    remount(disk, f"size={shutil.disk_usage(disk).used // 1024 + 8}k")
    find_full(
        "export", disk / "run", "--format", format, "--output", disk / "out", "--quiet"
    )
    assert [path.name for path in disk.iterdir()] == ["run"]


def test_a_disk_that_cannot_hold_the_sorted_edges_of_a_graph(disk, tmp_path):
    """Their files are mapped into memory: SIGBUS would end a process that writes to blocks that the disk lacks."""
    edges = np.arange(100_000)
    edge_list = np.stack([edges // 100, edges % 1000], axis=1)
    np.savetxt(
        tmp_path / "edges.csv",
        edge_list,
        "%d",
        ",",
        header="source,target",
        comments="",
    )
    room = (
        shutil.disk_usage(disk).used + 12 * len(edges) + 8 * len(edges) // 2
    )  # of the read edges, half of the sorted
    remount(disk, f"size={room // 1024}k")
    find_full(
        "graph", "--from", tmp_path / "edges.csv", "--run-dir", disk / "new", "--quiet"
    )
    code = "from snnb.core.machine import scratch_array; scratch_array((1 << 27,), bool)[:] = 1"
    environment = {**os.environ, "TMPDIR": str(disk)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert f"ResourceError: {disk} has no space for" in result.stderr


def test_a_model_that_the_disk_cannot_hold_leaves_the_process_intact(disk):
    """HDF5 1.10 crashes at the exit of a process in which a write failed."""
    remount(disk, f"size={shutil.disk_usage(disk).used // 1024 + 300}k")
    code = (
        "import sys; from pathlib import Path; from snnb.model_files.keras import keras; "
        "from snnb.training.keras_model import write_model; "
        "model = keras.Sequential([keras.layers.Dense(1000, input_shape=(1000,))]); model.compile('sgd', 'mse')\n"
        "try: write_model(model, Path(sys.argv[1]))\n"
        "except OSError as error: print(error.errno)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(disk / "model.h5")],
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout.strip()) == (0, str(errno.ENOSPC)), (
        result.stderr
    )
