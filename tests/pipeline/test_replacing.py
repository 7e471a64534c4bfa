"""What a stage replaces: its own files, also behind a link to another disk, and nothing that others put there."""

import os
import shutil

import numpy as np
import pytest

from snnb import Run
from snnb.core.errors import InputError, UsageError
from snnb.pipeline.open_run import open_run
from snnb.results.verify import repairs, verify_run


@pytest.fixture
def on_another_disk(run, tmp_path):
    """The run with dataset/ as a link to a directory elsewhere."""
    place = tmp_path / "big" / "arrays"
    place.parent.mkdir()
    (run.path / "dataset").rename(place)
    (run.path / "dataset").symlink_to(place)
    return place


def test_a_directory_that_is_a_link_stays_one_and_its_target_is_replaced(run, on_another_disk):
    first = (on_another_disk / "x_train.npy").stat().st_ino
    Run(path=run.path).prepare(force=True)
    assert (run.path / "dataset").is_symlink()
    assert (on_another_disk / "x_train.npy").stat().st_ino != first
    assert sorted(entry.name for entry in on_another_disk.parent.iterdir()) == ["arrays"]
    assert verify_run(open_run(run.path)).problems == []


def test_killed_behind_a_link_the_next_start_puts_it_right(run, on_another_disk):
    on_another_disk.rename(on_another_disk.with_name(".replaced-arrays"))
    on_another_disk.mkdir()
    (on_another_disk / "x_train.npy").write_text("new, not recorded")
    opened = open_run(run.path)
    opened.settle(print)
    assert verify_run(opened).problems == []
    assert sorted(entry.name for entry in on_another_disk.parent.iterdir()) == ["arrays"]


def test_a_link_whose_disk_is_not_there_is_named(run, tmp_path):
    (run.path / "dataset").rename(tmp_path / "away")
    (run.path / "dataset").symlink_to(tmp_path / "not mounted" / "arrays")
    with pytest.raises(InputError, match="not mounted does not exist; mount it"):
        Run(path=run.path).prepare(force=True)


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


def test_a_run_directory_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match=r"holds thesis\.tex but no manifest\.yaml"):
        Run("mini_network", tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_damaged_results_are_named_with_what_makes_them_again(run):
    stamp = next(iter(run.records_of("simulate")))
    sums = run.path / "simulations" / stamp / "spike_rate_sums.npz"
    sums.write_bytes(sums.read_bytes()[:-1])
    (run.path / "train" / "training_history.csv").unlink()
    found = verify_run(open_run(run.path))
    assert len(found.problems) == 2
    assert repairs(run, found.damaged) == [
        f"`snnb train {run.path}` makes it again",
        f"`snnb remove {run.path} simulations/{stamp}`, then run `snnb simulate` again",
    ]


@pytest.mark.parametrize("kind", ["empty", "file", "link"])
@pytest.mark.parametrize("damaged", [True, False])
def test_a_leftover_beside_a_recorded_stage_takes_nothing_with_it(run, kind, damaged):
    """A kill between the manifest's write and the clean-up leaves the empty one; later a picture may be edited."""
    aside = run.path / ".replaced-train"
    {"empty": aside.mkdir, "file": aside.touch, "link": lambda: aside.symlink_to("/etc")}[kind]()
    if damaged:
        (run.path / "train" / "training_plot.png").write_bytes(b"edited")
    model = (run.path / "train" / "mini_network.h5").read_bytes()
    open_run(run.path).settle(print)
    assert (run.path / "train" / "mini_network.h5").read_bytes() == model
    assert not os.path.lexists(aside)
    assert len(verify_run(open_run(run.path)).problems) == damaged


def test_a_link_to_somebodys_folder_is_not_emptied_whatever_names_the_manifest_lists(run, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    for file in run.record_of("train").outputs:
        (victim / file.path.split("/")[-1]).write_text("mine")
    shutil.rmtree(run.path / "train")
    (run.path / "train").symlink_to(victim)
    with pytest.raises(InputError, match="lies behind the link"):
        Run(path=run.path).train(epochs=1)
    assert {path.read_text() for path in victim.iterdir()} == {"mine"}


def test_a_graph_is_not_made_of_a_simulation_that_was_altered(run):
    stamp = next(iter(run.records_of("simulate")))
    sums = run.path / "simulations" / stamp / "spike_rate_sums.npz"
    with np.load(sums) as stored:
        arrays = {name: 2 * stored[name] for name in stored.files}
    np.savez(sums, **arrays)
    before = (run.path / "manifest.yaml").read_bytes()
    with pytest.raises(InputError, match=f"`snnb remove .* simulations/{stamp}`"):
        Run(path=run.path).graph(simulation=stamp)
    assert (run.path / "manifest.yaml").read_bytes() == before
