"""SIGKILL, SIGINT and SIGTERM in the middle of a stage: the run is as it was before the command.

tests/rundir/test_directory.py kills a stage at each file operation.
"""

import os
import signal
import subprocess
import time
from functools import partial

import pytest

from snnb import Run
from snnb.cli import app
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import SNNB

OPTIONS = {
    "train": ["--epochs", "200"],
    "simulate": ["--duration", "1000000", "--engine", "event"],
}
SETTLED = (".lock", ".hashes.json", ".checkpoint", ".config")


def start(run, stage):
    """Start a stage and wait until it has begun to write, `train` until its first epoch is complete."""
    written = ".checkpoint/state.npz" if stage == "train" else ".incomplete-*"
    command = [
        *SNNB,
        stage,
        "--run-dir",
        str(run.path),
        "--force",
        "--no-upstream",
        *OPTIONS[stage],
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(run.path.rglob(written)):
        time.sleep(0.005)
    return process


@pytest.mark.parametrize(
    ("stage", "signal_sent", "code", "promise"),
    [
        ("train", signal.SIGKILL, -signal.SIGKILL, None),
        pytest.param(
            "train",
            signal.SIGINT,
            130,
            "continues after the last epoch",
            marks=pytest.mark.slow,
        ),
        ("simulate", signal.SIGTERM, 143, "begins `simulate` again"),
    ],
)
def test_an_interruption_ends_the_command_and_the_next_one_cleans_up(
    run, stage, signal_sent, code, promise
):
    process = start(run, stage)
    process.send_signal(signal_sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors  # 0: it was over before
    if promise is not None:
        message = f"snnb: interrupted; the run is in its state before `{stage}`; the same command {promise}"
        assert (
            message in errors.splitlines()
        )  # TensorFlow 2.20 may log a line after it, whatever its log level
    assert "Traceback" not in errors
    after = open_run(run.path)
    assert after.records() == run.records()
    assert verify_run(after).problems == []
    with after.locked(wait=False):
        hidden = [
            path for path in run.path.rglob(".*") if ".checkpoint" not in path.parts
        ]
        assert [path.name for path in hidden if path.name not in SETTLED] == []
    assert verify_run(after).problems == []


@pytest.mark.parametrize(
    ("command", "moment", "message"),
    [
        ("parse", "before", "interrupted; the run is unchanged"),
        ("parse", "after", "interrupted; `parse` is complete"),
        (
            "remove",
            "before",
            "interrupted; the next command on the run completes the removal",
        ),
        ("remove", "after", "interrupted; `remove` is complete"),
    ],
)
def test_an_interruption_at_the_commit_says_the_true_state(
    run, tmp_path, monkeypatch, command, moment, message
):
    """The signal arrives when the manifest is flushed: before or after it is renamed."""
    monkeypatch.setattr("snnb.cli.output.current_stage", None)  # as in a new process
    monkeypatch.setattr("snnb.rundir.directory.last_change", None)
    path = run.path / "manifest.yaml"
    old = path.read_bytes()
    stamp = max(run.records_of("simulate"))
    child = os.fork()
    if child == 0:
        shown_file = os.open(str(tmp_path / "shown"), os.O_WRONLY | os.O_CREAT)
        signal.signal(signal.SIGINT, partial(app._end, shown_file))
        flush = os.fsync

        def interrupt(descriptor):
            flushed_path = os.readlink(f"/proc/self/fd/{descriptor}")
            is_renamed = path.read_bytes() != old
            if (moment == "after" and is_renamed) or (
                moment == "before" and "manifest.yaml" in flushed_path
            ):
                os.kill(os.getpid(), signal.SIGINT)
            flush(descriptor)

        os.fsync = interrupt
        face = Run(path=run.path)
        face.parse(force=True) if command == "parse" else face.remove(
            stamp, with_dependents=True
        )
        os._exit(9)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 130
    assert (tmp_path / "shown").read_text() == f"snnb: {message}\n"
    after = open_run(run.path)
    with after.locked():
        pass
    assert verify_run(after).problems == []
    is_new = moment == "after" or command == "remove"
    assert (path.read_bytes() != old) == is_new
