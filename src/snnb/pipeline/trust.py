"""The list of Python files that this user has named with --model. Only these are run when a manifest names them.

A run directory may come from somebody else, and its manifest may name any file. The list is in the user's own cache
directory, like direnv's list of the directories whose settings it may load.
"""

from pathlib import Path
from typing import List, Set

import platformdirs

from snnb.core.errors import InputError
from snnb.io.files import write_text_atomically
from snnb.io.text import read_text

LONGEST_LIST = 500
_this_process: Set[str] = set()


def _list_file() -> Path:
    return Path(platformdirs.user_cache_dir("snnb")) / "models-of-ones-own"


def _named_before() -> List[str]:
    try:
        return read_text(_list_file(), "remove it").splitlines()
    except (OSError, InputError):
        return []


def trust(file: Path) -> None:
    """Remember that the user gave this file with --model; only in this process, if the list cannot be written."""
    name = str(file.absolute())
    _this_process.add(name)
    before = _named_before()
    if before[-1:] == [name] or "\n" in name:
        return
    names = [*(other for other in before if other != name), name][-LONGEST_LIST:]
    try:
        _list_file().parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(_list_file(), "\n".join([*names, ""]))
    except (OSError, UnicodeError):
        return


def trusted(file: Path) -> bool:
    """Whether the user has given exactly this path with --model, in this process or before."""
    name = str(file.absolute())
    return name in _this_process or name in _named_before()
