"""What progress says in a log file."""

import logging

import pytest

from snnb.cli import output


def test_a_line_a_while_tells_pace_and_time_left(monkeypatch, capsys):
    clock = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: clock[0])
    show = output.line_a_while("simulate", seconds=10)
    for clock[0], done in ((105.0, 10), (120.0, 40), (125.0, 55)):
        show(done, 100, "accuracy so far 0.9000")
    assert capsys.readouterr().err == "simulate: 40 of 100, 2.0/s, 30 s left accuracy so far 0.9000\n"


def test_a_table_is_never_wrapped_and_takes_text_as_it_is():
    long = "x" * 500
    rows = [["name", "n"], ["a [red]b\x1b[2J", "1,234"], [long, "5"]]
    assert output.table_lines(rows, right=(1,)) == [
        "name" + " " * 496 + "      n",
        "a [red]b\\x1b[2J" + " " * 485 + "  1,234",
        long + "      5",
    ]


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
