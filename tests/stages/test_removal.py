"""Results taken out of a run or replaced: what depends on them, links, kills in between, and files of others."""

import errno
import io
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from snnb import Run
from snnb.core.errors import InputError, UsageError
from snnb.results.remove import carry_out, plan_removal
from snnb.results.verify import verify_run
from snnb.rundir import manifest
from snnb.rundir.journal import Journal, inodes_of, write_journal
from snnb.rundir.manifest import seal_of, sealed
from snnb.stages.open_run import open_run
from tests.rundir.test_directory import deaths, failures


def stamp_of(run):
    return max(run.records_of("simulate"))


def is_whole(run):
    """Whether the run verifies, and each directory of many results has its record."""
    opened_run = open_run(run.path)
    found_findings = verify_run(opened_run)
    there_texts = {
        f"{kind}/{entry.name}"
        for kind in ("simulations", "graphs", "maps")
        for entry in run.path.glob(f"{kind}/*")
    }
    hidden = list(run.path.glob("*/.*-2*"))
    recorded_directories = {
        directory for directory in opened_run.records() if "/" in directory
    }
    return (
        found_findings.problems,
        found_findings.notes,
        hidden,
        there_texts ^ recorded_directories,
    ) == (
        [],
        [],
        [],
        set(),
    )


@pytest.fixture
def run_copy(run):
    """The run with a second simulation, a copy of the first under another stamp, of which there is no graph."""
    stamp, other_stamp = stamp_of(run), "20200101T000000Z"
    shutil.copytree(
        run.path / "simulations" / stamp, run.path / "simulations" / other_stamp
    )
    data = yaml.safe_load((run.path / "manifest.yaml").read_text())
    text = yaml.safe_dump(data["stages"]["simulations"][stamp]).replace(
        f"simulations/{stamp}", f"simulations/{other_stamp}"
    )
    data["stages"]["simulations"][other_stamp] = yaml.safe_load(text)
    (run.path / "manifest.yaml").write_text(sealed(yaml.safe_dump(data)))
    return open_run(run.path), other_stamp


def test_a_simulation_is_removed_and_the_run_verifies(run_copy, snnb):
    run, other_stamp = run_copy
    document = json.loads(
        snnb("remove", run.path, other_stamp, "--yes", "--json").stdout
    )
    assert document["removed"] == [f"simulations/{other_stamp}"]
    assert document["size_bytes"] == sum(
        file.size_bytes for file in run.records()[f"simulations/{other_stamp}"].outputs
    )
    assert not (run.path / "simulations" / other_stamp).exists()
    assert list(open_run(run.path).records_of("simulate")) == [stamp_of(run)]
    assert is_whole(run)


def test_what_was_made_of_it_is_named_and_removed_only_when_asked_for(run):
    stamp = stamp_of(run)
    Run(path=run.path).map(hardware="spinemap_5x5", method="sequential")
    (mapping,) = open_run(run.path).records_of("map")
    with pytest.raises(
        UsageError,
        match=f"graphs/{stamp}, maps/{mapping} were made from it; give --with-dependents",
    ):
        plan_removal(open_run(run.path), [stamp])
    with pytest.raises(
        UsageError, match=f"graphs/{stamp}: maps/{mapping} was made from it"
    ):
        plan_removal(open_run(run.path), [f"graphs/{stamp}"])
    removal_plan = plan_removal(open_run(run.path), [f"graphs/{stamp}", mapping])
    assert removal_plan.removed == [f"graphs/{stamp}", f"maps/{mapping}"]
    removal = Run(path=run.path).remove(stamp, with_dependents=True)
    assert removal.removed == [
        f"simulations/{stamp}",
        f"graphs/{stamp}",
        f"maps/{mapping}",
    ]
    assert is_whole(run)
    assert not any(
        (run.path / name).exists() for name in ("simulations", "graphs", "maps")
    )


def test_an_export_of_a_graph_stays_and_is_named(run, snnb):
    stamp = stamp_of(run)
    path = Run(path=run.path).export("csv").path
    result = snnb("remove", run.path, f"graphs/{stamp}", "--yes")
    assert (
        f"{path.relative_to(run.path)} is kept, although its graph is removed"
        in result.stderr
    )
    assert path.exists()
    assert is_whole(run)


@pytest.mark.parametrize("answer", ["y", ""])
def test_at_a_terminal_it_asks(run_copy, snnb, monkeypatch, answer):
    run, other_stamp = run_copy
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    result = snnb("remove", run.path, other_stamp)
    assert f"remove simulations/{other_stamp}" in result.stderr
    assert (other_stamp in open_run(run.path).records_of("simulate")) == (answer != "y")
    assert ("nothing removed" in result.stdout) == (answer != "y")
    assert is_whole(run)


def test_a_file_that_is_not_the_runs_own_is_not_removed(run_copy, snnb):
    run, other_stamp = run_copy
    (run.path / "simulations" / other_stamp / "notes.txt").write_text("mine")
    result = snnb("remove", run.path, other_stamp, "--yes", code=3)
    assert "notes.txt was not written by `snnb`" in result.stderr
    assert (run.path / "simulations" / other_stamp / "notes.txt").read_text() == "mine"
    assert other_stamp in open_run(run.path).records_of("simulate")


def test_a_damaged_or_missing_simulation_can_be_removed(run_copy, snnb):
    run, other_stamp = run_copy
    (run.path / "simulations" / other_stamp / "log.txt").write_text("damaged")
    snnb("remove", run.path, other_stamp, "--yes")
    assert is_whole(run)
    stamp = stamp_of(open_run(run.path))
    shutil.rmtree(run.path / "graphs")
    snnb("remove", run.path, f"graphs/{stamp}", "--yes")
    assert is_whole(run)


def test_killed_at_any_file_operation_a_removal_has_happened_or_has_not(
    run_copy, tmp_path
):
    run, other_stamp = run_copy
    before, outcomes = shutil.copytree(run.path, tmp_path / "before"), set()

    def remove(_):
        with run.locked():
            run.remove([f"simulations/{other_stamp}"])

    for _ in deaths(remove):
        with open_run(run.path).locked():
            outcomes.add((run.path / "simulations" / other_stamp).exists())
        assert is_whole(run)
        if not (run.path / "simulations" / other_stamp).exists():
            shutil.rmtree(run.path)
            shutil.copytree(before, run.path)
    assert outcomes == {True, False}


def test_what_was_made_while_the_question_was_open_is_not_left_without_its_origin(
    run_copy,
):
    run, _ = run_copy
    stamp = stamp_of(run)
    removal_plan = plan_removal(run, [stamp], with_dependents=True)
    Run(path=run.path).map(hardware="spinemap_5x5", method="sequential")
    (mapping,) = open_run(run.path).records_of("map")
    with pytest.raises(
        UsageError, match=f"maps/{mapping} was made from it; give --with-dependents"
    ):
        carry_out(run, removal_plan)
    assert is_whole(run)
    assert (run.path / "maps" / mapping).is_dir()


@pytest.mark.parametrize("directory", ["train", "simulations"])
def test_nothing_is_written_through_a_link_in_the_place_of_a_directory(
    run, tmp_path, directory
):
    victim = Path(shutil.move(str(run.path / directory), str(tmp_path / "victim")))
    (run.path / directory).symlink_to(victim)
    (victim / ".incomplete-20260101T000000Z").mkdir()  # of another run
    before = sorted(victim.rglob("*"))
    assert verify_run(open_run(run.path)).problems == []
    face = Run(path=run.path)
    with pytest.raises(
        InputError, match=f"{directory} is a link, which is not followed"
    ):
        face.train(force=True, epochs=1) if directory == "train" else face.simulate(
            samples=2, duration=2
        )
    with pytest.raises(InputError, match="is a link"), run.locked():
        run.remove([next(name for name in run.records() if name.startswith(directory))])
    assert sorted(victim.rglob("*")) == before


@pytest.mark.parametrize("kind", ["file", "link", "deep"])
def test_what_no_stage_has_made_is_not_removed(run, kind):
    added_path = run.path / "train" / ("notes/a.txt" if kind == "deep" else "notes.txt")
    added_path.parent.mkdir(exist_ok=True)
    if kind == "link":
        added_path.symlink_to("/")
    else:
        added_path.write_text("mine")
    with pytest.raises(InputError, match=r"notes.* was not written by `snnb`"):
        Run(path=run.path).train(force=True, epochs=1)
    assert added_path.is_symlink() or added_path.read_text() == "mine"


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("kind", ["directory", "copy", "link"])
@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_leftover_beside_a_recorded_stage_takes_nothing_with_it(
    run, kind, is_committed, is_damaged
):
    """A kill between the commit and the clean-up leaves the old directory; later a picture may be edited.

    A copy of the run has directories with other inodes, and a link is not the run's own.
    """
    aside, place = run.path / ".replaced-train", run.path / "train"
    if kind == "link":
        aside.symlink_to("/etc")
    else:
        shutil.copytree(place, aside)
    inodes = inodes_of([aside, place]) if kind == "directory" else []
    if is_damaged:
        (run.path / "train" / "training_plot.png").write_bytes(b"edited")
    model = (run.path / "train" / "mini_network.h5").read_bytes()
    seal = seal_of(run.path / "manifest.yaml").decode()
    change = Journal(
        seal="another" if is_committed else seal,
        replaced={"train": True},
        inodes=inodes,
    )
    write_journal(run.path, change)
    with open_run(run.path).locked():
        pass
    assert (run.path / "train" / "mini_network.h5").read_bytes() == model
    assert os.path.lexists(aside) == (kind != "directory")
    was_restored = kind == "directory" and not is_committed
    assert len(verify_run(open_run(run.path)).problems) == (
        is_damaged and not was_restored
    )


def test_on_a_full_disk_a_removal_frees_space_before_it_writes(run_copy, monkeypatch):
    """The manifest can be written only when the data are gone."""
    run, other_stamp = run_copy
    directory = run.path / "simulations" / other_stamp

    def save_if_there_is_space(content, path):
        if directory.exists() or (run.path / ".hashes.json").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        save(content, path)

    save = manifest.save_manifest
    monkeypatch.setattr(manifest, "save_manifest", save_if_there_is_space)
    removal_plan = plan_removal(run, [other_stamp])
    carry_out(run, removal_plan)
    assert is_whole(run)
    assert not directory.exists()


def test_after_any_failed_operation_a_removal_has_happened_or_has_not(
    run_copy, tmp_path
):
    run, other_stamp = run_copy
    before = shutil.copytree(run.path, tmp_path / "before")
    outcomes = set()

    def remove_locked():
        again = open_run(run.path)
        with again.locked():
            again.remove([f"simulations/{other_stamp}"])

    for message in failures(remove_locked, run.path, tmp_path / "message"):
        with open_run(run.path).locked():
            is_removed = not (run.path / "simulations" / other_stamp).exists()
        assert is_whole(run)
        assert is_removed == (
            message is None
            or "the next command on this run completes the removal" in message
        )
        outcomes.add((is_removed, message is None))
        shutil.rmtree(run.path)
        shutil.copytree(before, run.path)
    assert outcomes == {(False, False), (True, False), (True, True)}
