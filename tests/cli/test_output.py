"""What progress says in a log file."""

import logging
from types import SimpleNamespace

import pytest

from snnb.cli import output
from snnb.core import progress
from snnb.core.progress import compilation


def shown_of(steps, monkeypatch, capsys, time_left=True):
    """The lines for (seconds, samples done) of 100."""
    clock = [100.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    show = output.progress_lines("simulate", time_left)
    for seconds, done in steps:
        clock[0] = 100.0 + seconds
        show(done, 100, "accuracy so far 0.9000")
    return capsys.readouterr().err.splitlines()


STEADY = [(0, 0), (5, 10), (10, 20), (15, 30), (20, 40)]


def test_a_line_a_while_tells_pace_and_time_left(monkeypatch, capsys):
    first, second = shown_of(STEADY, monkeypatch, capsys)
    assert first == "simulate: 20 of 100, 2.0/s, 40 s left, accuracy so far 0.9000"
    assert second == "simulate: 40 of 100, 2.0/s, 30 s left, accuracy so far 0.9000"
    assert shown_of(STEADY, monkeypatch, capsys, time_left=False)[1] == second.replace(", 30 s left", "")


def test_compilation_is_said_once_a_command(capsys):
    for stages in (("simulate", "graph", "report"), ("map", "report")):
        output.configure(False, False, False)  # as a command does
        for stage in stages:
            with output.current.bar(stage):
                for note in ("compiling (once per machine)", "", "compiling", ""):
                    compilation.show(note)
        assert capsys.readouterr().err == f"{stages[0]}: compiling (once per machine)\n"


@pytest.mark.parametrize(("verbose", "shown"), [(False, ["library.part: trouble"]), (True, ["library.part: hello"])])
def test_a_library_that_sets_its_own_level_says_no_more_for_that(capsys, verbose, shown):
    output.configure(False, verbose, False)
    library = logging.getLogger("library")
    library.setLevel(logging.INFO)
    logging.getLogger("library.part").info("hello")
    if not verbose:
        logging.getLogger("library.part").warning("trouble")
    output.configure(False, False, False)
    assert capsys.readouterr().err.splitlines() == shown
