"""Versions that decide what is computed: a worker whose versions are others would give other results, or none."""

import platform
from importlib import metadata
from typing import Dict, Mapping, Optional, Sequence

from snnb.core.errors import InputError
from snnb.version import __version__

ALWAYS = ("numpy", "dask", "distributed")
ALSO_CALLED = {"tensorflow": "tensorflow-cpu"}


def versions(packages: Sequence[str]) -> Dict[str, str]:
    """Return the versions here of snnb, Python, what Dask needs to be the same, and `packages`."""
    python = ".".join(platform.python_version_tuple()[:2])  # of 3.8.18 and 3.8.20 the results are the same
    return {"snnb": __version__, "Python": python, **{name: _version(name) for name in (*ALWAYS, *packages)}}


def _version(name: str) -> str:
    for distribution in (name, ALSO_CALLED.get(name)):
        if distribution is not None:
            try:
                return metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
    return "none"


def refuse_others(worker: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise `InputError` for a worker that has other versions, with both."""
    name: Optional[str] = next((name for name in here if there.get(name) != here[name]), None)
    if name is not None:
        raise InputError(
            f"worker {worker} has {name} {there.get(name, 'none')}, this is {name} {here[name]}: "
            "start the workers in the same image or environment"
        )
