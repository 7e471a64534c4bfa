"""Kill -9 and Ctrl-C in the middle of each stage: the run is as it was before, and the next start goes on."""

import signal
import subprocess
import sys
import time

import pytest

from snnb.pipeline.open_run import open_run
from snnb.rundir.verification import verify_run

OPTIONS = {
    "prepare": [],
    "train": ["--epochs", "200"],
    "parse": [],
    "simulate": ["--duration", "20000"],
    "graph": [],
    "map": ["--hardware", "spinemap_5x5"],
}
SETTLED = (".lock", ".lock-holder", ".hashes.json", ".checkpoint", ".config")


def start(run, stage):
    """Start a stage and wait until it has begun to write."""
    command = [
        sys.executable,
        "-c",
        "from snnb.cli.app import app; app()",
        stage,
        "--run-dir",
        str(run.path),
        "--force",
    ]
    process = subprocess.Popen(
        [*command, "--no-upstream", *OPTIONS[stage]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(run.path.rglob(".incomplete-*")):
        time.sleep(0.005)
    return process


def leftovers(run):
    return [p for p in run.path.rglob(".*") if p.name not in SETTLED and ".checkpoint" not in p.parts]


@pytest.mark.parametrize("stage", list(OPTIONS))
def test_killed_a_stage_leaves_the_run_as_it_was(run, stage):
    before = (run.path / "manifest.yaml").read_bytes()
    process = start(run, stage)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    assert (run.path / "manifest.yaml").read_bytes() == before
    after = open_run(run.path)
    assert verify_run(after).problems == []
    with after.locked():
        assert leftovers(after) == []
    assert verify_run(after).problems == []


@pytest.mark.parametrize(
    ("stage", "sent", "promise"),
    [
        ("train", signal.SIGINT, "continues after the last complete epoch"),
        ("simulate", signal.SIGTERM, "keeps the results of the stages before simulate and begins simulate again"),
    ],
)
def test_an_interruption_answers_at_once_and_leaves_nothing_half_written(run, stage, sent, promise):
    before = (run.path / "manifest.yaml").read_bytes()
    process = start(run, stage)
    time.sleep(4)  # past the imports, well inside the work
    begin = time.monotonic()
    process.send_signal(sent)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1].endswith(f"interrupted; half-written files are removed; the same command {promise}")
    assert "Traceback" not in errors
    assert (run.path / "manifest.yaml").read_bytes() == before
    assert leftovers(run) == []
    assert time.monotonic() - begin < 10  # a hang, not a measurement: that is in docs/interruptions.md
