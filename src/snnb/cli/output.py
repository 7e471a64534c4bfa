"""Print results on stdout (one JSON document with --json), messages on stderr."""

import json
import logging
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Iterator, Optional, Sequence, Union

from pydantic_core import to_jsonable_python

from snnb.cli.progress_display import open_display
from snnb.cli.streams import print_line
from snnb.core.progress import Progress, Say, compilation, say_nothing, silent
from snnb.io.text import Document

# Libraries whose warnings, or whose debug messages, are not for the user
LIBRARIES_TO_QUIETEN = ("matplotlib", "PIL", "numba", "h5py", "tensorflow")


class Failure(Document):
    """Output of every command with `--json` when it fails."""

    error: str  # the line that is also on stderr
    exit_code: int


class CompilationNotes:
    """Show the first compilation of a command, also if many functions are compiled."""

    def __init__(self) -> None:
        self._has_shown = False

    def show(self, display: Say, note: str) -> None:
        """Show the note of a compilation that begins, or the empty one of its end."""
        if note and self._has_shown:
            return
        self._has_shown = self._has_shown or bool(note)
        display(note)


@dataclass(frozen=True)
class Output:
    """Output of a command, by its options `--json`, `--verbose` and `--quiet`."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False
    compilation_notes: CompilationNotes = field(default_factory=CompilationNotes)

    def say(self, message: str) -> None:
        """Print a message on stderr, unless --quiet is given."""
        if not self.quiet:
            print_line(sys.stderr, message)

    def result(
        self,
        lines: Sequence[str],
        document: Union[Document, Sequence[Document]],
    ) -> None:
        """Print a result: `lines` for people, or one or several documents as JSON."""
        if self.as_json:
            lines = [json.dumps(to_jsonable_python(document), indent=2)]
        print_line(sys.stdout, "\n".join(lines))

    def error(self, message: str, exit_code: int) -> None:
        """Print an error as a line on stderr, and with --json as a document."""
        print_line(sys.stderr, f"snnb: {' '.join(message.split())}")
        if self.as_json:
            self.result([], Failure(error=message, exit_code=exit_code))

    @contextmanager
    def bar(self, label: str, time_left: bool = True) -> Iterator[Progress]:
        """Show a progress bar on a terminal, otherwise a line every ten seconds.

        The time left is not estimated for work whose totals are bounds, or that counts
        several parts.
        """
        global current_stage
        current_stage = label
        if self.quiet:
            yield silent
            return
        try:
            with open_display(label, time_left) as display:
                compilation.show = partial(
                    self.compilation_notes.show,
                    display.show_note,
                )
                yield display.update
        finally:
            compilation.show = say_nothing


current = Output()
current_stage: Optional[str] = None  # whose progress bar is shown, or was shown last


def configure(as_json: bool, verbose: bool, quiet: bool) -> Output:
    """Set how this process prints; messages of TensorFlow need --verbose."""
    global current
    current = Output(as_json, verbose, quiet)
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(name)s: %(message)s",
        force=True,
    )
    for handler in logging.getLogger().handlers:
        # Also for a library that sets the level of its logger, as Dask does
        handler.setLevel(level)
    for library in LIBRARIES_TO_QUIETEN:
        library_level = logging.WARNING if verbose else logging.ERROR
        logging.getLogger(library).setLevel(library_level)
    return current
