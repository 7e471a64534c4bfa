"""The list of Python files that this user has given with --model; only these run when a manifest names them.

A run directory may come from somebody else, and its manifest may name any file. The list is in the user's cache
directory, like direnv's list of the directories whose settings it may load.
"""

from pathlib import Path
from typing import Set

import platformdirs

from snnb.io.files import write_text_atomically

_this_process: Set[str] = set()


def _list_file() -> Path:
    return Path(platformdirs.user_cache_dir("snnb")) / "models-of-ones-own"


def _listed() -> Set[str]:
    try:
        return set(_list_file().read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeError):
        return set()


def trust(file: Path) -> None:
    """Add a file that the user gave with --model; only for this process if the list cannot be written."""
    name = str(file.absolute())
    _this_process.add(name)
    listed = _listed()
    if name in listed or "\n" in name:
        return
    try:
        _list_file().parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(_list_file(), "\n".join([*sorted(listed), name, ""]))
    except (OSError, UnicodeError):
        return


def trusted(file: Path) -> bool:
    """Whether the user has given exactly this path with --model."""
    return str(file.absolute()) in _this_process | _listed()
