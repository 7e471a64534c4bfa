import os
import stat
from pathlib import Path

import pytest

from snnb.core.errors import UsageError
from snnb.io.files import atomic_path, remove_partial, write_text_atomically


def test_a_file_appears_when_it_is_complete_and_what_a_killed_process_left_is_removed(tmp_path):
    target, left = tmp_path / "out.txt", tmp_path / ".out.txt.abcdefgh.partial"
    left.mkdir()
    (left / "half").touch()
    with atomic_path(target, force=False) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_no_link_is_followed_to_write(tmp_path):
    """Neither one under the name that is written first, nor one that stands in the target's place."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".out.txt.abcdefgh.partial").symlink_to(victim)
    (tmp_path / "out.txt").symlink_to(victim)
    with atomic_path(tmp_path / "out.txt", force=True) as temporary:
        temporary.write_text("new")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "out.txt").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.txt", "victim"]


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
        moves.append(destination)
        if Path(destination) == target and len(moves) <= 2:
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
    with atomic_path(target, force=True) as first, atomic_path(target, force=True) as second:
        make(first, kind, "first")
        make(second, kind, "second")
        remove_partial(tmp_path)
        with atomic_path(target, force=True) as third:
            make(third, kind, "third")
        assert content(target, kind) == "third"
    assert content(target, kind) == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (first, second), refused = (tmp_path / "one", tmp_path / "two"), pytest.raises(UsageError, match="two exists")
    with refused, atomic_path(second, force=False) as temporary:
        make(temporary, kind, "late")
        first.write_text("mine")
        first.rename(second)
    assert second.read_text() == "mine"


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
        remove_partial(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {temporary.parent.name, ".mine.abcdefgh.part"}
    assert (tmp_path / "live").read_text() == "half"


def test_killed_between_its_renames_the_directory_that_it_replaces_is_restored(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    child = os.fork()
    if child == 0:
        rename = Path.replace
        Path.replace = lambda self, place: (rename(self, place), os._exit(137))  # after the first
        with atomic_path(target, force=True) as temporary:
            temporary.mkdir()
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 137
    assert not target.exists()
    with pytest.raises(UsageError, match="out exists"), atomic_path(target, force=False):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]
