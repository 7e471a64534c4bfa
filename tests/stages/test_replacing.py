"""What a stage replaces: its own files, nothing that others put there, and nothing behind a link."""

import os
import shutil
from pathlib import Path

import pytest

from snnb import Run
from snnb.core.errors import InputError
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run


@pytest.mark.parametrize("directory", ["train", "simulations"])
def test_nothing_is_written_through_a_link_in_the_place_of_a_directory(run, tmp_path, directory):
    victim = Path(shutil.move(str(run.path / directory), str(tmp_path / "victim")))
    (run.path / directory).symlink_to(victim)
    (victim / ".incomplete-20260101T000000Z").mkdir()  # of another run
    before = sorted(victim.rglob("*"))
    assert verify_run(open_run(run.path)).problems == []
    face = Run(path=run.path)
    with pytest.raises(InputError, match=f"{directory} is a link, which is not followed"):
        face.train(force=True, epochs=1) if directory == "train" else face.simulate(samples=2, duration=2)
    with pytest.raises(InputError, match="is a link"), run.locked():
        run.remove([next(name for name in run.records() if name.startswith(directory))])
    assert sorted(victim.rglob("*")) == before


@pytest.mark.parametrize("kind", ["file", "link", "deep"])
def test_what_no_stage_has_made_is_not_removed(run, kind):
    added = run.path / "train" / ("notes/a.txt" if kind == "deep" else "notes.txt")
    added.parent.mkdir(exist_ok=True)
    if kind == "link":
        added.symlink_to("/")
    else:
        added.write_text("mine")
    with pytest.raises(InputError, match=r"notes.* was not written by `snnb`"):
        Run(path=run.path).train(force=True, epochs=1)
    assert added.is_symlink() or added.read_text() == "mine"


def test_a_hidden_directory_of_another_name_is_left_alone(run):
    (run.path / ".replaced-foo").mkdir()
    (run.path / ".replaced-foo" / "mine").write_text("mine")
    with run.locked():
        pass
    assert (run.path / ".replaced-foo" / "mine").read_text() == "mine"


@pytest.mark.parametrize(("kind", "damaged"), [("empty", True), ("empty", False), ("link", True)])
def test_a_leftover_beside_a_recorded_stage_takes_nothing_with_it(run, kind, damaged):
    """A kill between the manifest's write and the clean-up leaves the empty one; later a picture may be edited."""
    aside = run.path / ".replaced-train"
    aside.mkdir() if kind == "empty" else aside.symlink_to("/etc")
    if damaged:
        (run.path / "train" / "training_plot.png").write_bytes(b"edited")
    model = (run.path / "train" / "mini_network.h5").read_bytes()
    open_run(run.path).settle(print)
    assert (run.path / "train" / "mini_network.h5").read_bytes() == model
    assert not os.path.lexists(aside)
    assert len(verify_run(open_run(run.path)).problems) == damaged
