import contextlib
import os

import pytest

from snnb.core.errors import UpstreamError
from snnb.rundir.directory import RunDirectory
from snnb.rundir.journal import Journal, write_journal


@pytest.fixture
def held_elsewhere(run):
    """Hold the run in another process until the test writes to the pipe."""
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with run.locked():
            os.write(ready[1], b"x")
            os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    yield child, done[1]
    os.write(done[1], b"x")
    os.waitpid(child, 0)


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("folder", ["empty", "without results"])
def test_a_folder_without_results_is_taken_after_its_lock_is_free_unless_no_wait(
    run, held_elsewhere, folder, wait
):
    child, release = held_elsewhere
    info = run.manifest.run.model_copy(update={"model": "other"})
    if folder == "empty":
        (run.path / "manifest.yaml").unlink()
    said = []

    def say(message):
        said.append(message)
        os.write(release, b"x")

    outcome = (
        contextlib.nullcontext()
        if wait
        else pytest.raises(UpstreamError, match=f"in use by process {child}")
    )
    with outcome:
        RunDirectory.create(run.path, info, run.kinds, wait=wait, say=say)
    assert (run.path / "manifest.yaml").exists() == (wait or folder != "empty")
    if wait or folder != "empty":
        assert RunDirectory.open(run.path, run.kinds).model == (
            "other" if wait else "mini_network"
        )
    assert [
        f"waiting for {run.path}, in use by process {child}" in line for line in said
    ] == [True] * wait


@pytest.mark.parametrize("name", [".lock", ".hashes.json"])
def test_nothing_is_written_through_a_link(run, write, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(victim)
    expected_error = (
        pytest.raises(OSError, match="symbolic links")
        if name == ".lock"
        else contextlib.nullcontext()
    )
    with expected_error, run.locked():
        write(run, "first")
    assert victim.read_text() == "mine"


@pytest.mark.parametrize(
    "holder", ["null", '{"pid": 1, "host": "\\u001b[2J", "since": 1, "command": ""}']
)
def test_whatever_the_lock_file_says_the_second_process_is_told(
    run, held_elsewhere, holder
):
    (run.path / ".lock").write_text(holder)
    with pytest.raises(UpstreamError, match="in use by") as caught, run.locked(
        wait=False
    ):
        pass
    assert "\x1b" not in str(caught.value)


def test_reading_beside_a_running_stage_says_who_works_there(
    run, write, held_elsewhere
):
    child, _ = held_elsewhere
    (run.path / ".incomplete-dataset").mkdir()
    write_journal(run.path, Journal(seal="", replaced={"dataset": False}))
    said = []
    run.say_if_interrupted(said.append)
    assert f"in use by process {child}" in said[0]
    assert (run.path / ".incomplete-dataset").is_dir()
