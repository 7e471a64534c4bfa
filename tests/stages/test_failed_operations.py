"""Each file operation of a command fails in turn: what the command was changing has happened or has not."""

import shutil

import pytest

from snnb import Run
from snnb.io.files import remove_partial
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run
from tests.rundir.test_directory import failures
from tests.stages.test_removal import stamp_of

ACTIONS = {
    "parse": lambda run: run.parse(force=True, percentile=99),
    "simulate": lambda run: run.simulate(samples=2, duration=2),
    "graph": lambda run: run.graph(force=True),
    "map": lambda run: run.map(hardware="spinemap_5x5", method="sequential"),
    "remove": lambda run: run.remove(stamp_of(open_run(run.path)), with_dependents=True),
}
QUICK = ("parse", "remove")
STANDS = ("complete and recorded nevertheless", "the next command on this run completes the removal")


def state(path):
    """Return the recorded results with their hashes."""
    return {
        directory: [file.sha256 for file in record.outputs] for directory, record in open_run(path).records().items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", ACTIONS)
def test_after_any_failed_operation_the_command_has_happened_or_has_not(run, tmp_path, command):
    before = shutil.copytree(run.path, tmp_path / "before")
    old = (before / "manifest.yaml").read_bytes()
    outcomes = set()
    since = None if command in QUICK else "os.rename"  # of the complete directory to its place
    for message in failures(lambda: ACTIONS[command](Run(path=run.path)), run.path, tmp_path / "message", since):
        opened = open_run(run.path)
        with opened.locked():
            pass
        assert verify_run(opened).problems == []
        hidden = [path.name for path in run.path.rglob(".*") if path.name not in (".lock", ".hashes.json", ".config")]
        assert hidden == []
        is_new = (run.path / "manifest.yaml").read_bytes() != old
        assert is_new == (message is None or any(text in message for text in STANDS))
        outcomes.add((is_new, message is None))
        shutil.rmtree(run.path)
        shutil.copytree(before, run.path)
    assert outcomes == {(False, False), (True, False), (True, True)}


@pytest.mark.slow
def test_after_any_failed_operation_an_export_is_the_old_or_the_new(run, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    target = folder / "net.csv"
    face = Run(path=run.path)

    def files():
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    face.export("csv", output=target, rate_unit="hz")
    new = files()
    face.export("csv", output=target, force=True)
    old = files()
    outcomes = set()
    action = lambda: face.export("csv", output=target, force=True, rate_unit="hz")  # noqa: E731
    for message in failures(action, folder, tmp_path / "message"):
        remove_partial(folder)
        outcomes.add((files() == new, message is None))
        assert files() in (old, new)
        assert (files() == new) == (message is None or "is complete nevertheless" in message)
        face.export("csv", output=target, force=True)
        assert files() == old
    assert outcomes == {(False, False), (True, False)}
