"""Send what the toolbox prints to the log, so that stdout carries results only."""

import contextlib
import io
import logging
import warnings
from typing import Iterator, TextIO, cast

log = logging.getLogger(__name__)


class _Lines(io.TextIOBase):
    """A text stream whose complete lines become debug messages."""

    def __init__(self) -> None:
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).replace("\r", "\n").split("\n")
        for line in filter(str.strip, lines):
            log.debug("%s", line)
        return len(text)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what is printed to the log, and hide deprecation warnings, which concern the toolbox's developers only."""
    from tensorflow.python.util import deprecation

    printed = contextlib.redirect_stdout(cast(TextIO, _Lines()))
    with printed, warnings.catch_warnings(), deprecation.silence():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
