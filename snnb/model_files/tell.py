"""How the readers say what a model has here that it has not in its file."""

from typing import Callable

Tell = Callable[[str], object]


def tell_nobody(message: str) -> None:
    """Say nothing."""
