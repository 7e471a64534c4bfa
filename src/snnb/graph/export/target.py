"""Where an export may write, and what it may replace: only what an export has made, and plain files."""

import os
import re
import stat
from pathlib import Path
from typing import Collection, Dict, List, Optional, Sequence

from snnb.core.errors import InputError, UsageError
from snnb.io.files import partial_of
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


def check_target(
    target: Path, formats: Collection[str], *, force: bool, sidecar: bool, nodes_head: Optional[str] = None
) -> None:
    """Refuse a target that cannot be written, or that stands for something which is not an export's to replace.

    Parameters
    ----------
    target : Path
    formats : collection of str
        The names of all formats.
    force : bool
        Whether an export, or a plain file, may be replaced.
    sidecar : bool
        Whether `NAME.json` is written beside it.
    nodes_head : str, optional
        First line of the table of nodes, where one is written beside it.

    Raises
    ------
    UsageError
        Naming what stands in the way, and what to do.
    """
    if target.name in ("", "..") or "\0" in str(target):
        raise UsageError(f"--output {str(target)!r} names no file; give the path of what is to be written")
    parent = target.parent
    if not parent.is_dir():
        what = "is not a directory" if parent.exists() else "no such directory"
        raise UsageError(f"{parent}: {what}; make it, as with `mkdir -p`, or give --output in another one")
    if not os.access(str(parent), os.W_OK | os.X_OK):
        raise UsageError(f"{parent}: cannot be written; give --output in another directory")
    _check_length(target, [beside(target)] * sidecar + [nodes_beside(target)] * (nodes_head is not None))
    _check_replaced(target, formats, force)
    if sidecar and os.path.lexists(str(beside(target))):
        _check_sidecar(target, formats, force)
    if nodes_head is not None and os.path.lexists(str(nodes_beside(target))):
        _check_nodes(nodes_beside(target), nodes_head, force)


def _check_length(target: Path, others: Sequence[Path]) -> None:
    """Refuse a name that is too long for the disk with what stands around it while it is written, or beside it."""
    longest = max(len(os.fsencode(path.name)) for path in (partial_of(target), *others))
    excess = longest - os.pathconf(str(target.parent), "PC_NAME_MAX")
    if excess > 0:
        raise UsageError(
            f"{target}: the name is too long by {excess} bytes, with what an export adds to it; "
            "give a shorter one with --output"
        )


def _check_replaced(target: Path, formats: Collection[str], force: bool) -> None:
    if not os.path.lexists(str(target)):
        return
    mode = target.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise UsageError(f"{target} is a symbolic link, which is not followed; {ELSEWHERE}")
    if stat.S_ISDIR(mode):
        stated = described(target / DESCRIPTION, formats)
        if stated is None:
            raise UsageError(f"{target} was not made by an export, so it is not replaced; {ELSEWHERE}")
        _check_inside(target, stated)
    elif not stat.S_ISREG(mode):
        raise UsageError(f"{target} is not a regular file; {ELSEWHERE}")
    if not force:
        raise UsageError(f"{target} exists; give another path, or --force to replace it")


def _check_inside(target: Path, stated: Dict[str, object]) -> None:
    """Refuse a directory that holds more than the export has written."""
    written = stated.get("files")
    for entry in sorted(target.iterdir()):
        mine = not isinstance(written, list) or entry.name in written or entry.name == DESCRIPTION
        if not mine or not stat.S_ISREG(entry.lstat().st_mode):
            raise UsageError(f"{target} holds {entry.name}, which no export has written; {ELSEWHERE}")


def _check_sidecar(target: Path, formats: Collection[str], force: bool) -> None:
    path = beside(target)
    if described(path, formats) is None:
        raise UsageError(f"{path} was not made by an export, so it is not replaced; {ELSEWHERE}")
    if not force:
        raise UsageError(f"{path} exists; give another path, or --force to replace it")


def made_beside(target: Path, formats: Collection[str], nodes_head: str) -> List[Path]:
    """Return what an export has written beside the target that is there now: description, table of nodes.

    Parameters
    ----------
    target : Path
    formats : collection of str
        The names of all formats.
    nodes_head : str
        First line of a table of nodes.
    """
    if not os.path.lexists(str(target)) or described(beside(target), formats) is None:
        return []
    nodes = nodes_beside(target)
    tables = [nodes] if os.path.lexists(str(nodes)) and _is_node_table(nodes, nodes_head) else []
    return [beside(target), *tables]


def _is_node_table(path: Path, head: str) -> bool:
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    with path.open("rb") as file:
        return file.read(len(head) + 1) == f"{head}\n".encode()


def _check_nodes(path: Path, head: str, force: bool) -> None:
    if not _is_node_table(path, head):
        raise UsageError(f"{path} was not made by an export, so it is not replaced; {ELSEWHERE}")
    if not force:
        raise UsageError(f"{path} exists; give another path, or --force to replace it")


def described(path: Path, formats: Collection[str]) -> Optional[Dict[str, object]]:
    """Return what an export has stated in a file; None when it is no such file."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        stated = load_json(path, "export again")
    except (OSError, InputError):
        return None
    if not isinstance(stated, dict) or stated.get("format") not in list(formats):
        return None
    digest, files = stated.get("parsed_sha256"), stated.get("files")
    if not isinstance(digest, str) or not SHA256.fullmatch(digest):
        return None
    if files is not None and not (isinstance(files, list) and all(isinstance(name, str) for name in files)):
        return None
    return stated
