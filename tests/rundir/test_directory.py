import errno
import os
import sys
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from pathlib import Path

import pytest

from snnb.core.errors import InputError, SnnbError, UpstreamError, UsageError
from snnb.results.verify import verify_run
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.journal import Journal, write_journal
from snnb.rundir.lock import locked
from snnb.rundir.manifest import manifest_type
from snnb.stages.all import KINDS


def content(run):
    path = run.path / "dataset" / "x.npy"
    return path.read_text() if path.exists() else None


def hidden(run):
    return sorted(
        p.name for p in run.path.rglob(".*") if p.name not in (".lock", ".hashes.json")
    )


def test_a_stage_leaves_its_files_their_hashes_and_nothing_else(run, write):
    with run.locked():
        write(run, "first")
    again = RunDirectory.open(run.path, KINDS)
    record = again.record_of("prepare")
    assert [f.path for f in record.outputs] == ["dataset/deep/y.npy", "dataset/x.npy"]
    # sha256 of b"first" by coreutils: printf first | sha256sum
    assert (
        record.outputs[1].sha256
        == "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
    )
    assert record.outputs[1].size_bytes == 5
    assert hidden(run) == []


def fail_half_way(run, params):
    with run.stage("prepare", params, inputs=[]) as output:
        (output.directory / "x.npy").write_text("half")
        raise ZeroDivisionError


def test_a_stage_that_fails_changes_nothing(run, write, params):
    with run.locked():
        write(run, "first")
        before = (run.path / "manifest.yaml").read_bytes()
        with pytest.raises(ZeroDivisionError):
            fail_half_way(run, params)
    assert content(run) == "first"
    assert (run.path / "manifest.yaml").read_bytes() == before
    assert hidden(run) == []


OPERATIONS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")


def deaths(action):
    """Run `action(n)` in a child that dies without a word at its n-th file operation; yield each n until it lives."""
    for n in range(1, 500):
        child = os.fork()
        if child == 0:
            seen = []

            def hook(event, _, n=n, seen=seen):
                seen += [event] if event in OPERATIONS else []
                if len(seen) == n:
                    os._exit(9)

            sys.addaudithook(hook)
            action(n)
            os._exit(0)
        code = os.WEXITSTATUS(os.waitpid(child, 0)[1])
        yield n
        if code == 0:
            return
    raise AssertionError("the action has more file operations")


FAILING = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")


def changes(event, arguments, folder):
    """Whether an audited operation changes a folder, or reads what says whether a change is complete."""
    if event not in FAILING:
        return False
    paths = [
        os.fsdecode(path)
        for path in arguments[:2]
        if isinstance(path, (str, bytes, os.PathLike))
    ]
    if any(map(os.path.isabs, paths)) and not any(
        str(folder) in path for path in paths
    ):
        return False
    if event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return True
    return Path(paths[0]) == folder or Path(paths[0]).name in (
        "manifest.yaml",
        ".journal.json",
    )


def fail_at(number, action, folder, report, since):
    """Run an action whose operation of this number fails in `folder`; return the exit code of the child.

    0: the action has succeeded nevertheless. 1: it raised an error for the user, which is
    in the file `report`. 2: it has fewer operations. 3: another error.
    """
    count = 0
    has_begun = since is None

    def step():
        nonlocal count
        count += has_begun
        if has_begun and count == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def hook(event, arguments):
        nonlocal has_begun
        if changes(event, arguments, folder):
            has_begun = has_begun or event == since
            step()

    flush = os.fsync
    os.fsync = lambda descriptor: step() or flush(descriptor)
    sys.addaudithook(hook)
    try:
        action()
    except (OSError, SnnbError) as error:
        report.write_text(str(error))
        return 1
    return 2 if count < number else 0


def failures(action, folder, report, since=None):
    """Let each file operation and flush in `folder` fail in turn, in a child that runs `action`.

    Operations before the first one of the kind `since` succeed.
    Yield the message of the error that the action raises, or None if it succeeds. The child
    writes it to the file `report`. Another error than one for the user fails the test.
    """
    for number in range(1, 2000):
        child = os.fork()
        if child == 0:
            code = 3
            try:
                code = fail_at(number, action, folder, report, since)
            finally:
                os._exit(code)
        code = os.WEXITSTATUS(os.waitpid(child, 0)[1])
        assert code < 3, f"operation {number}"
        if code == 2:
            return
        yield report.read_text() if code == 1 else None
    raise AssertionError("the action has more file operations")


def test_after_any_failed_operation_a_stage_has_happened_or_has_not_and_says_so(
    run, write, tmp_path
):
    """The renamed manifest is the commit: what fails after it undoes nothing."""
    with run.locked():
        write(run, "old")
    number = 0

    def write_locked():
        again = RunDirectory.open(run.path, KINDS)
        with again.locked():
            write(again, f"new{number}")

    outcomes = set()
    for message in failures(write_locked, run.path, tmp_path / "message"):
        after = RunDirectory.open(run.path, KINDS)
        with after.locked():
            now = content(after)
        assert now in ("old", f"new{number}")
        is_new = now != "old"
        assert is_new == (
            message is None or "complete and recorded nevertheless" in message
        )
        assert verify_run(after).problems == []
        assert hidden(after) == []
        outcomes.add((is_new, message is None))
        with after.locked():
            write(after, "old")
        number += 1
    assert outcomes == {(False, False), (True, False), (True, True)}


@pytest.mark.parametrize("before", [pytest.param(None, marks=pytest.mark.slow), "old"])
def test_killed_at_any_file_operation_a_stage_has_happened_or_has_not(
    run, write, before
):
    if before is not None:
        with run.locked():
            write(run, before)

    def write_locked(number):
        with run.locked():
            write(run, f"new{number}")

    outcomes = set()
    for crash_at in deaths(write_locked):
        after = RunDirectory.open(run.path, KINDS)
        with after.locked():
            now = content(after)
        assert now in (before, f"new{crash_at}")
        assert (after.record_of("prepare") is None) == (now is None)
        assert verify_run(after).problems == []
        assert hidden(after) == []
        outcomes.add("old" if now == before else "new")
        before = now
    assert crash_at > 20
    assert outcomes == {"old", "new"}


def test_killed_at_any_file_operation_the_creation_of_a_run_is_made_good_by_the_next(
    tmp_path, run
):
    def create(number):
        return RunDirectory.create(tmp_path / f"new{number}", run.manifest.run, KINDS)

    for crash_at in deaths(create):
        again = create(crash_at)
        with again.locked():
            assert hidden(again) == []
    assert crash_at > 5


def test_a_hidden_directory_that_no_journal_names_is_left_alone(run, write):
    """A leftover is recognised by the record of the command that made it, not by its name."""
    with run.locked():
        write(run, "first")
    for name in (
        ".incomplete-dataset",
        ".replaced-dataset",
        ".notes.partial",
        ".g.csv.abcdefgh.partial",
    ):
        (run.path / name).mkdir()
        (run.path / name / "mine").write_text("mine")
    with run.locked(), pytest.raises(
        InputError, match="incomplete-dataset was not written by `snnb`"
    ):
        write(run, "second")
    assert len(list(run.path.glob(".*/mine"))) == 4
    assert content(run) == "first"


@pytest.mark.parametrize("kind", ["text", "link", "directory"])
def test_a_file_of_the_journals_name_is_not_lost(run, write, tmp_path, kind):
    path = run.path / ".journal.json"
    if kind == "text":
        path.write_text('{"mine": 1}')
    elif kind == "link":
        path.symlink_to(tmp_path / "mine")
        (tmp_path / "mine").write_text('{"seal": "')
    else:
        path.mkdir()
    with run.locked(), pytest.raises(
        InputError, match="json was not written by `snnb`"
    ):
        write(run, "first")
    assert os.path.lexists(path)
    assert kind != "text" or path.read_text() == '{"mine": 1}'


@pytest.mark.parametrize("content_left", ["", '{"se', '{"seal": "ab'])
def test_a_journal_that_was_cut_by_a_kill_is_removed(run, write, content_left):
    with run.locked():
        write(run, "first")
    (run.path / ".journal.json").write_text(content_left)
    with run.locked():
        pass
    assert hidden(run) == []
    assert content(run) == "first"


def test_a_journal_from_somebody_else_names_results_only(run, write, tmp_path):
    with run.locked():
        write(run, "first")
    (run.path / "mine").mkdir()
    (run.path / "simulations").symlink_to(tmp_path)
    (tmp_path / "20260101T000000Z").mkdir()
    seal = (run.path / "manifest.yaml").read_text().splitlines()[-1].rpartition(" ")[
        2
    ] + "\n"
    names = (
        "mine",
        "../run",
        "..",
        "",
        "/",
        "simulations/20260101T000000Z",
        "simulations/..",
    )
    journal = Journal(
        seal=seal, replaced=dict.fromkeys(names, False), removed=list(names)
    )
    write_journal(run.path, journal)
    with run.locked():
        pass
    assert (run.path / "mine").is_dir()
    assert (tmp_path / "20260101T000000Z").is_dir()
    assert content(run) == "first"
    assert not (run.path / ".journal.json").exists()


def test_a_journal_from_somebody_else_removes_no_single_result(run, write):
    """Only of a stage that can have several results, `remove` takes one out."""
    with run.locked():
        write(run, "first")
    write_journal(run.path, Journal(seal="", removed=["dataset"]))
    with run.locked():
        assert run.record_of("prepare") is not None
    assert content(run) == "first"


def test_two_processes_that_create_one_run_have_the_same(tmp_path, run):
    path, info = tmp_path / "new", run.manifest.run
    with ThreadPoolExecutor(1) as executor:
        path.mkdir()
        with locked(
            path, wait=False, say=print
        ):  # one that is about to write the manifest
            created_future = executor.submit(RunDirectory.create, path, info, KINDS)
            with pytest.raises(TimeoutError):
                created_future.result(timeout=0.05)
            first_info = info.model_copy(
                update={"created_utc": "2025-01-01T00:00:00+00:00"}
            )
            manifest.save_manifest(
                manifest_type(KINDS)(run=first_info), path / manifest.NAME
            )
        assert created_future.result(timeout=10).manifest.run == first_info


def test_a_directory_of_ours_that_the_manifest_does_not_name_is_not_overwritten(
    run, write
):
    (run.path / "dataset").mkdir()
    (run.path / "dataset" / "mine.txt").write_text("precious")
    with run.locked(), pytest.raises(InputError, match="move it away"):
        write(run, "first")
    assert (run.path / "dataset" / "mine.txt").read_text() == "precious"


def test_a_run_can_be_moved_and_read_where_it_cannot_be_written(run, write, tmp_path):
    with run.locked():
        write(run, "first")
    moved_path = run.path.rename(tmp_path / "elsewhere")
    before = sorted((p, p.stat().st_mtime_ns) for p in moved_path.rglob("*"))
    assert verify_run(RunDirectory.open(moved_path, KINDS)).problems == []
    assert sorted((p, p.stat().st_mtime_ns) for p in moved_path.rglob("*")) == before


def test_a_run_without_a_complete_stage_is_taken_by_another_data_set_and_one_with_a_stage_is_not(
    run, write
):
    other_info = run.manifest.run.model_copy(update={"dataset": "mnist"})
    with run.locked(), pytest.raises(UpstreamError, match="in use by process"):
        RunDirectory.create(
            run.path, other_info, KINDS, wait=False
        )  # another process may be in its first stage
    taken_run = RunDirectory.create(run.path, other_info, KINDS)
    assert (
        RunDirectory.open(run.path, KINDS).manifest.run.dataset
        == taken_run.manifest.run.dataset
        == "mnist"
    )
    with pytest.raises(UsageError, match="was assigned to another model"), run.locked():
        pass
    with taken_run.locked():
        write(taken_run, "first")
    with pytest.raises(UsageError, match="is a run of dataset mnist, not digits"):
        RunDirectory.create(run.path, run.manifest.run, KINDS)
