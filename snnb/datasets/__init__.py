"""Data sets: where they come from, and how they become arrays.

Importing this package costs milliseconds; `prepare`, which needs numpy, is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from snnb.datasets.catalogue import available, describe, names
from snnb.datasets.spec import DatasetSpec, Prepared, Split

if TYPE_CHECKING:
    from snnb.datasets.preparation import prepare

__all__ = ["DatasetSpec", "Prepared", "Split", "available", "describe", "names", "prepare"]


def __getattr__(name: str) -> Any:
    if name != "prepare":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snnb.datasets.preparation import prepare

    return prepare
