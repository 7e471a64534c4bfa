"""Data sets: where they come from, and how they become arrays.

This package can be imported in milliseconds: `prepare`, which needs numpy, is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

from snnb.datasets.catalogue import available, dataset_names, describe
from snnb.datasets.definition import DatasetSpec

if TYPE_CHECKING:
    from snnb.datasets.preparation import prepare

__all__ = ["DatasetSpec", "available", "dataset_names", "describe", "prepare"]


def __getattr__(name: str) -> Any:
    if name != "prepare":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snnb.datasets.preparation import prepare

    return prepare
