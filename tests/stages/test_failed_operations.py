"""Each file operation of a command fails in turn: what the command was changing has happened or has not."""

import multiprocessing
import os
import shutil

import pytest

from snnb import Run
from snnb.core.progress import say_nothing
from snnb.io.atomic import remove_partial
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run
from tests.rundir.test_directory import fail_at
from tests.stages.test_removal import stamp_of

ACTIONS = {
    "parse": lambda run, _: run.parse(force=True, percentile=99),
    "simulate": lambda run, _: run.simulate(samples=2, duration=2),
    "graph": lambda run, _: run.graph(force=True),
    "map": lambda run, _: run.map(hardware="spinemap_5x5", method="sequential"),
    "remove": lambda run, _: run.remove(
        stamp_of(open_run(run.path)), with_dependents=True
    ),
    "export": lambda run, folder: run.export(
        "csv", output=folder / "net.csv", force=True, rate_unit="hz"
    ),
}
# Operations before the complete directory is renamed to its place are those of
# tests/rundir/test_directory.py, and take long.
SINCE = {
    "parse": "os.rename",
    "simulate": "os.rename",
    "graph": "os.rename",
    "map": "os.rename",
}
STANDS = (
    "complete and recorded nevertheless",
    "the next command on this run completes the removal",
)
# A process that is forked from one with threads of compiled loops could wait for them.
PROCESSES = multiprocessing.get_context("forkserver")


def carry_out(number, command, path, folder, report):
    """Run a command whose operation of this number in `folder` fails; end with the exit code of `fail_at`."""
    code = 3
    try:
        code = fail_at(
            number,
            lambda: ACTIONS[command](Run(path=path), folder),
            folder,
            report,
            SINCE.get(command),
        )
    finally:
        os._exit(code)


def failures(command, path, folder, report):
    """Let each operation fail in turn; yield the message of the error, or None if the command succeeds."""
    for number in range(1, 500):
        process = PROCESSES.Process(
            target=carry_out, args=(number, command, path, folder, report)
        )
        process.start()
        process.join(120)
        assert process.exitcode in (0, 1, 2), f"operation {number}"
        if process.exitcode == 2:
            return
        yield report.read_text() if process.exitcode == 1 else None
    raise AssertionError("the command has more file operations")


def results_of(path):
    """The results in the manifest of a run, without the options of the run, which are written first."""
    return (
        (path / "manifest.yaml")
        .read_text()
        .partition("\nstages:")[2]
        .rpartition("#")[0]
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", [name for name in ACTIONS if name != "export"])
def test_after_any_failed_operation_the_command_has_happened_or_has_not(
    run, tmp_path, command
):
    before = shutil.copytree(run.path, tmp_path / "before")
    old = results_of(before)
    outcomes = set()
    for message in failures(command, run.path, run.path, tmp_path / "message"):
        opened_run = open_run(run.path)
        with opened_run.locked():
            pass
        assert verify_run(opened_run).problems == []
        hidden = [
            path.name
            for path in run.path.rglob(".*")
            if path.name not in (".lock", ".hashes.json", ".config")
        ]
        assert hidden == []
        is_new = results_of(run.path) != old
        assert is_new == (message is None or any(text in message for text in STANDS))
        outcomes.add((is_new, message is None))
        shutil.rmtree(run.path)
        shutil.copytree(before, run.path)
    assert outcomes == {(False, False), (True, False), (True, True)}


@pytest.mark.slow
def test_after_any_failed_operation_an_export_is_the_old_or_the_new(run, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    face = Run(path=run.path)

    def files():
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    face.export("csv", output=folder / "net.csv", rate_unit="hz")
    new = files()
    face.export("csv", output=folder / "net.csv", force=True)
    old = files()
    outcomes = set()
    for message in failures("export", run.path, folder, tmp_path / "message"):
        remove_partial(folder, say_nothing)
        outcomes.add((files() == new, message is None))
        assert files() in (old, new)
        assert (files() == new) == (
            message is None or "is complete nevertheless" in message
        )
        face.export("csv", output=folder / "net.csv", force=True)
        assert files() == old
    assert outcomes >= {(False, False), (True, False)}
