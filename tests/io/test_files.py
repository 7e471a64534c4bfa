import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from snnb.core.errors import UsageError
from snnb.core.progress import say_nothing
from snnb.io.atomic import atomic_path, remove_partial, write_text_atomically
from tests.rundir.test_directory import deaths, failures


def test_a_file_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "out.txt"
    with atomic_path(target, force=False) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_files_of_others_with_the_name_of_a_leftover_stay(tmp_path):
    """A leftover has the record of the process that made it."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".out.txt.partial").write_text("mine")
    (tmp_path / ".out.txt.aaaaaaaa.partial").write_text("mine")
    (tmp_path / ".out.txt.bbbbbbbb.partial").symlink_to(victim)
    for name, owner in (
        ("cccccccc", None),
        ("dddddddd", ""),
        ("eeeeeeee", "snnb writes out.txt in this directory, inode 1\n"),
    ):
        folder = tmp_path / f".out.txt.{name}.partial"
        folder.mkdir()
        (folder / "mine").write_text("mine")
        if owner is not None:
            (folder / ".owner").write_text(owner)
    (tmp_path / "out.txt").symlink_to(victim)
    before = sorted(tmp_path.rglob("*"))
    with atomic_path(tmp_path / "out.txt", force=True) as temporary:
        temporary.write_text("new")
    remove_partial(tmp_path, say_nothing)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "out.txt").is_symlink()
    assert sorted(tmp_path.rglob("*")) == before


def export(folder, text):
    """Write a file with a description, and without the table that an earlier one had."""
    target = folder / "out.txt"
    with atomic_path(
        target,
        force=True,
        companions=[folder / "out.json"],
        outdated=[folder / "out.csv"],
    ) as temporary:
        temporary.write_text(text)
        temporary.with_name("out.json").write_text(text)


def files_in(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


OLD, NEW = {"out.txt": "old", "out.csv": "old"}, {"out.txt": "new", "out.json": "new"}


def restore_old(folder):
    for path in folder.iterdir():
        path.unlink()
    for name, text in OLD.items():
        (folder / name).write_text(text)


def test_killed_at_any_file_operation_all_files_are_the_old_or_the_new_or_named(
    tmp_path,
):
    """Named are the former files, all of them between where they were and where they are kept."""
    folder, outcomes = tmp_path / "exports", []
    folder.mkdir()
    restore_old(folder)
    for _ in deaths(lambda _: export(folder, "new")):
        messages = []
        remove_partial(folder, messages.append)
        kept = list(folder.glob(".out.txt.*.partial/.former"))
        assert len(messages) == len(kept) <= 1
        if kept:
            assert str(kept[0]) in messages[0]
            assert not (folder / "out.txt").exists()
            former = files_in(kept[0])
            assert former["out.txt"] == "old"
            assert "out.csv" in former or (folder / "out.csv").exists()
            export(folder, "new")
            remove_partial(folder, messages.append)
            assert len(messages) == 1
            assert files_in(folder) == NEW
        else:
            assert files_in(folder) in (OLD, NEW)
        outcomes.append("named" if kept else files_in(folder) == NEW)
        shutil.rmtree(folder)
        folder.mkdir()
        restore_old(folder)
    assert len(outcomes) > 10
    assert set(outcomes) == {True, False, "named"}


def test_after_any_failed_operation_all_files_are_the_old_or_all_are_the_new(tmp_path):
    folder, outcomes = tmp_path / "exports", set()
    folder.mkdir()
    restore_old(folder)
    for message in failures(
        lambda: export(folder, "new"), folder, tmp_path / "message"
    ):
        remove_partial(folder, say_nothing)
        is_new = files_in(folder) == NEW
        assert is_new or files_in(folder) == OLD
        assert is_new == (
            message is None or "out.txt is complete nevertheless" in message
        )
        outcomes.add((is_new, message is None))
        restore_old(folder)
    assert outcomes == {(False, False), (True, False)}


@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_is_not_replaced(tmp_path, force):
    os.mkfifo(tmp_path / "out")
    error_info = pytest.raises(
        UsageError, match="is a pipe, socket or device, which is not replaced"
    )
    with error_info, atomic_path(tmp_path / "out", force=force):
        pass
    assert stat.S_ISFIFO((tmp_path / "out").stat().st_mode)


def test_an_error_names_the_target_and_not_the_hidden_file(tmp_path):
    target = tmp_path / "out.txt"
    with pytest.raises(OSError, match="File too large") as caught, atomic_path(
        target, force=False
    ):
        raise OSError(
            errno.EFBIG, "File too large"
        )  # as write(2) raises it, without a name
    assert caught.value.filename == str(target)
    with pytest.raises(OSError, match="No such file") as caught, atomic_path(
        target, force=False
    ) as temporary:
        temporary.read_text()
    assert caught.value.filename == str(target)
    with pytest.raises(OSError, match="No such file") as caught, atomic_path(
        target, force=False
    ):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")


def make(path, kind, text):
    if kind == "directory":
        path.mkdir()
    (path / "inside" if kind == "directory" else path).write_text(text)


def content(path, kind):
    return (path / "inside" if kind == "directory" else path).read_text()


@pytest.mark.parametrize("old", ["file", "directory", None])
@pytest.mark.parametrize("new", ["file", "directory"])
def test_an_error_at_any_moment_leaves_what_was_there(tmp_path, monkeypatch, old, new):
    """Also while the old is moved aside for the new, which for a directory takes two steps."""
    target = tmp_path / "out"
    if old is not None:
        make(target, old, "old")
    moves, move = [], Path.replace

    def replace(source, destination):
        if Path(destination) == target and not moves:
            moves.append(destination)
            raise KeyboardInterrupt
        move(source, destination)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt), atomic_path(target, force=True) as temporary:
        make(temporary, new, "new")
    assert moves
    if old is None:
        assert list(tmp_path.iterdir()) == []
    else:
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert content(target, old) == "old"


def test_text_is_written_over_a_link_and_not_through_it(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("manifest.yaml", ".manifest.yaml.partial"):
        (tmp_path / name).symlink_to(victim)
    write_text_atomically(tmp_path / "manifest.yaml", "new")
    assert victim.read_text() == "precious"
    assert (tmp_path / "manifest.yaml").read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_several_write_one_target_at_once_and_the_last_one_is_there(tmp_path, kind):
    target = tmp_path / "out"
    with atomic_path(target, force=True) as first_path, atomic_path(
        target, force=True
    ) as second_path:
        make(first_path, kind, "first")
        make(second_path, kind, "second")
        remove_partial(tmp_path, say_nothing)
        with atomic_path(target, force=True) as third_path:
            make(third_path, kind, "third")
        assert content(target, kind) == "third"
    assert content(target, kind) == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (first_path, second_path), error_info = (
        (tmp_path / "one", tmp_path / "two"),
        pytest.raises(UsageError, match="two exists"),
    )
    with error_info, atomic_path(second_path, force=False) as temporary:
        make(temporary, kind, "late")
        first_path.write_text("mine")
        first_path.rename(second_path)
    assert second_path.read_text() == "mine"


def test_what_a_killed_process_left_is_removed_and_not_what_another_writes(tmp_path):
    with atomic_path(tmp_path / "live", force=False) as temporary:
        temporary.write_text("half")
        child = os.fork()
        if child == 0:
            with atomic_path(tmp_path / "dead", force=False):
                os._exit(137)
        assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 137
        (tmp_path / ".mine.abcdefgh.part").touch()
        assert len(list(tmp_path.iterdir())) == 3
        remove_partial(tmp_path, say_nothing)
        assert {path.name for path in tmp_path.iterdir()} == {
            temporary.parent.name,
            ".mine.abcdefgh.part",
        }
    assert (tmp_path / "live").read_text() == "half"


def kill_after_the_first_rename(target):
    """Replace a directory in a child that is killed when the former one has left its place."""
    target.mkdir()
    (target / "old").touch()
    child = os.fork()
    if child == 0:
        rename = Path.replace
        Path.replace = lambda self, place: (rename(self, place), os._exit(137))
        with atomic_path(target, force=True) as temporary:
            temporary.mkdir()
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 137
    assert not target.exists()


def test_killed_between_its_renames_the_former_directory_is_kept_and_named(tmp_path):
    target = tmp_path / "out"
    kill_after_the_first_rename(target)
    messages = []
    with atomic_path(target, force=False, say=messages.append) as temporary:
        temporary.mkdir()
        (former,) = tmp_path.glob(".out.*.partial/.former/out")
        assert [path.name for path in former.iterdir()] == ["old"]
    (message,) = messages
    assert f"{target} is missing" in message
    assert str(former.parent) in message
    remove_partial(tmp_path, messages.append)
    assert len(messages) == 1
    assert list(tmp_path.rglob("*")) == [target]


def test_a_former_directory_can_be_moved_back_as_the_message_says(tmp_path):
    target = tmp_path / "out"
    kill_after_the_first_rename(target)
    (former,) = tmp_path.glob(".out.*.partial/.former/out")
    former.rename(target)
    messages = []
    remove_partial(tmp_path, messages.append)
    assert messages == []
    assert list(tmp_path.rglob("*")) == [target, target / "old"]


def test_a_directory_that_cannot_be_moved_back_is_kept(tmp_path, monkeypatch):
    """The disk fails after the first rename, for good."""
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    renames, rename = [], Path.replace

    def fail_after_the_first(source, place):
        if renames:
            raise OSError(errno.EIO, "Input/output error", str(place))
        renames.append(place)
        rename(source, place)

    monkeypatch.setattr(Path, "replace", fail_after_the_first)
    with pytest.raises(OSError, match="Input/output error"), atomic_path(
        target, force=True
    ) as temporary:
        temporary.mkdir()
    monkeypatch.undo()
    messages = []
    remove_partial(tmp_path, messages.append)
    (former,) = tmp_path.glob(".out.*.partial/.former/out")
    assert [path.name for path in former.iterdir()] == ["old"]
    assert str(former.parent) in messages[0]
