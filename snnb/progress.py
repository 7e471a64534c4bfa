"""How long work tells how far it is: a plain callable, so that no room depends on how it is shown."""

from typing import Protocol


class Progress(Protocol):
    """Called now and then with the units done, the units in all, and a short remark such as the accuracy so far."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def silent(done: int, total: int, note: str = "") -> None:
    """Show nothing."""
