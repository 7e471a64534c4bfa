"""Journals and leftovers of a run from somebody else: nothing is deleted or moved because of them."""

import shutil

import pytest

from snnb import Run
from snnb.results.verify import verify_run
from snnb.rundir.journal import Journal, write_journal
from snnb.rundir.manifest import seal_of
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import RECORDED

NOTES = "20260101T000000Z"  # a stamp
READING = {
    "verify": ("verify",),
    "status": ("status",),
    "compare": ("compare",),
    "report": ("report", "--output", "REPORT"),
    "export": ("export", "--format", "csv", "--output", "EXPORT"),
}


@pytest.fixture
def run(tmp_path):
    """The recorded run, with directories of notes where leftovers and results are, and beside it."""
    path = tmp_path / "run"
    shutil.copytree(RECORDED, path)
    for place in (
        path / ".replaced-train",
        path / ".incomplete-train",
        path / "simulations" / NOTES,
        path / "simulations" / f".incomplete-{NOTES}",
        path / "exports" / "weights" / ".net.csv.abcdefgh.partial",
        path / ".report.html.abcdefgh.partial",
        path / "notes",
        tmp_path / "outside",
    ):
        place.mkdir(parents=True)
        (place / "notes.txt").write_text("mine")
        if place.suffix == ".partial":
            target = place.name.split(".abcdefgh")[0][1:]
            (place / ".owner").write_text(
                f"snnb writes {target} in this directory, inode 1\n"
            )
    return path


def names_in(path):
    """All files and directories with their times, but for what a lock or a cache changes."""
    names = {}
    for place in path.parent.rglob("*"):
        if place.name not in (".lock", ".hashes.json", ".journal.json"):
            names[str(place)] = place.read_bytes() if place.is_file() else None
    return names


def forged_journals(path):
    """Journals of recorded results, of notes, and of paths outside, as before and after a commit."""
    seal = seal_of(path / "manifest.yaml").decode()
    (stamp,) = (place.name for place in path.glob("graphs/*"))
    results = ["dataset", "train", "parse", f"simulations/{stamp}", f"graphs/{stamp}"]
    notes = [f"simulations/{NOTES}", "notes"]
    outside = ["../outside", str(path.parent / "outside"), "..", ".", ""]
    names = [*results, *notes, *outside]
    for had_result in (True, False):
        replaced = dict.fromkeys(names, had_result)
        yield Journal(seal=seal, replaced=replaced)
        yield Journal(seal="another", replaced=replaced)
    yield Journal(seal=seal, removed=names)
    # The numbers are those of another machine
    yield Journal(seal=seal, removed=names, replaced=replaced, inodes=[1, 2, 3])


@pytest.mark.parametrize("command", READING)
def test_a_command_that_reads_removes_and_moves_nothing(run, tmp_path, snnb, command):
    report, export = tmp_path / "page.html", tmp_path / "net.csv"
    name, *options = READING[command]
    paths = {"REPORT": str(report), "EXPORT": str(export)}
    words = [name, str(run), *(paths.get(word, word) for word in options)]
    before = names_in(run)
    for journal in forged_journals(run):
        write_journal(run, journal)
        content = (run / ".journal.json").read_bytes()
        result = snnb(*words)
        assert "a command was interrupted" in result.stderr
        assert (run / ".journal.json").read_bytes() == content
        for path in tmp_path.glob("*.*"):
            path.unlink()
        assert names_in(run) == before


def test_a_report_in_the_run_removes_nothing_but_the_report_before(run, snnb):
    before = names_in(run)
    for _ in range(2):
        snnb("report", str(run))
    assert {**names_in(run), **before} == names_in(run)
    assert set(names_in(run)) - set(before) == {str(run / "report.html")}


def test_a_command_that_writes_deletes_nothing_that_snnb_has_not_made(run):
    before = names_in(run)
    for journal in forged_journals(run):
        write_journal(run, journal)
        with open_run(run).locked():
            pass
        assert not (run / ".journal.json").exists()
        assert names_in(run) == before
    assert verify_run(open_run(run)).problems == []


def test_what_a_journal_names_is_moved_back_only_with_the_recorded_files(run):
    """The former directory of a copied run has other inodes, but it has the recorded files."""
    shutil.rmtree(run / ".replaced-train")
    (run / "train").rename(run / ".replaced-train")
    notes = run / ".replaced-train" / "notes.txt"
    seal = seal_of(run / "manifest.yaml").decode()
    for has_notes in (True, False):
        if has_notes:
            notes.write_text("mine")
        else:
            notes.unlink()
        write_journal(run, Journal(seal=seal, replaced={"train": True}))
        said = []
        with open_run(run).locked(say=said.append):
            pass
        assert (run / "train").exists() != has_notes
        assert any("train is kept" in line for line in said)  # .incomplete-train
    assert verify_run(open_run(run)).problems == []


def test_a_leftover_that_is_kept_is_named_by_the_stage_that_needs_its_place(run):
    write_journal(run, Journal(seal="another", replaced={"train": True}))
    said = []
    with open_run(run).locked(say=said.append):
        pass
    assert [line.split(" is kept")[0] for line in said] == [
        str(run / ".replaced-train"),
        str(run / ".incomplete-train"),
    ]
    with pytest.raises(Exception, match=r"incomplete-train was not written by `snnb`"):
        Run(path=run).train(force=True, epochs=1)
