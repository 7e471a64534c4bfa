"""Paths of an export, and what it may replace: only what an export has written, and plain files."""

import os
import re
import stat
from pathlib import Path
from typing import Collection, Dict, Optional, Sequence

from snnb.core.errors import InputError, UsageError
from snnb.io.text import load_json

DESCRIPTION = "description.json"
ELSEWHERE = "move it away, or give another path with --output"
SHA256 = re.compile("[0-9a-f]{64}")


def beside(target: Path) -> Path:
    """Return the path of the description of an export that is a file."""
    return target.with_name(target.name + ".json")


def nodes_beside(target: Path) -> Path:
    """Return the path of the table of nodes of an export that is a file."""
    return target.with_name(f"{target.name}.nodes.csv")


def architecture_beside(target: Path) -> Path:
    """Return the path of the architecture file of a mapped export."""
    return target.with_name(f"{target.name}.yaml")


def check_target(target: Path, written: Sequence[Path], formats: Collection[str], *, force: bool) -> None:
    """Refuse a target that exists, or with `force` one that no export has written.

    Parameters
    ----------
    target : Path
    written : files that are written next to it
    formats : names of all formats
    force : whether a plain file, or what an export has written, is replaced
    """
    if target.name in ("", ".."):
        raise UsageError(f"--output {str(target)!r} names no file; give the path of a file or directory to write")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such directory; create it, or give --output in another one")
    siblings = [path for path in written if os.path.lexists(str(path))]
    if siblings and described(beside(target), formats) is None:
        raise UsageError(f"{siblings[0]} was not made by an export, so it is not replaced; {ELSEWHERE}")
    if os.path.lexists(str(target)):
        _check_replaced(target, formats)
        siblings.insert(0, target)
    if siblings and not force:
        raise UsageError(f"{siblings[0]} exists; give another path, or --force to replace it")


def _check_replaced(target: Path, formats: Collection[str]) -> None:
    mode = target.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise UsageError(f"{target} is a symbolic link, which is not followed; {ELSEWHERE}")
    if stat.S_ISREG(mode):
        return
    stated = described(target / DESCRIPTION, formats)
    if stated is None:
        raise UsageError(f"{target} was not made by an export, so it is not replaced; {ELSEWHERE}")
    written = stated.get("files")
    for entry in sorted(target.iterdir()):
        known = not isinstance(written, list) or entry.name in [*written, DESCRIPTION]
        if not known or not stat.S_ISREG(entry.lstat().st_mode):
            raise UsageError(f"{target} holds {entry.name}, which no export has written; {ELSEWHERE}")


def described(path: Path, formats: Collection[str]) -> Optional[Dict[str, object]]:
    """Return the description of an export; None if the file is none."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        stated = load_json(path)
    except (OSError, InputError):
        return None
    if not isinstance(stated, dict) or stated.get("format") not in list(formats):
        return None
    digest = stated.get("parsed_sha256")
    return stated if isinstance(digest, str) and SHA256.fullmatch(digest) else None
