"""The checkpoint of a training: one npz file that is replaced atomically.

The members of an npz file have checksums, so damage is detected when they are read.
Nothing in it is executed.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence

import numpy as np

from snnb.core.errors import DamagedError, InputError
from snnb.io.atomic import atomic_path
from snnb.io.npy import load_archive
from snnb.io.text import JsonValue, parse_json
from snnb.training.history import EpochMetrics

FILE = "state.npz"
_GROUPS = ("weights", "optimizer", "best_weights")


@dataclass(frozen=True)
class Checkpoint:
    """The state from which a training continues."""

    # Properties that a continued training must share, by name
    identity: Mapping[str, str]
    history: Sequence[EpochMetrics]  # of each complete epoch
    # In the order of Keras's `get_weights`, as the variables of the optimizer
    weights: Sequence[np.ndarray]
    optimizer: Sequence[np.ndarray]
    # After the best epoch; empty without early stopping
    best_weights: Sequence[np.ndarray]
    # Given for the training, by name
    options: Mapping[str, JsonValue] = field(default_factory=dict)


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a directory atomically; the directory is created if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{group}_{i:05d}": array
        for group in _GROUPS
        for i, array in enumerate(getattr(checkpoint, group))
    }
    description = {
        "identity": checkpoint.identity,
        "options": checkpoint.options,
        "history": checkpoint.history,
        "arrays": len(arrays),
    }
    with atomic_path(directory / FILE, force=True) as temporary:
        np.savez(temporary, described=np.array(json.dumps(description)), **arrays)


def load_checkpoint(directory: Path) -> Checkpoint:
    """Read the checkpoint of an interrupted training; raise `InputError` if it is damaged."""
    path = directory / FILE
    arrays = load_archive(path, must=["described"])
    description = parse_json(str(arrays.pop("described")), path)
    # Damage to the list of the members can hide some
    if description.get("arrays", len(arrays)) != len(arrays):
        raise DamagedError(path, "lacks arrays")
    groups = {
        group: [arrays[n] for n in sorted(arrays) if n.rpartition("_")[0] == group]
        for group in _GROUPS
    }
    return Checkpoint(
        description["identity"],
        description["history"],
        **groups,
        options=description.get("options", {}),
    )


def checkpoint_options(directory: Path) -> Optional[Dict[str, JsonValue]]:
    """Return the options of the interrupted training, or None without a checkpoint.

    A damaged checkpoint counts as none; `load_checkpoint` names the damage.
    """
    path = directory / FILE
    if directory.is_symlink() or not path.exists():
        return None
    try:
        described = load_archive(path, names=["described"], must=["described"])
        description = parse_json(str(described["described"]), path)
    except InputError:
        return None
    options: Optional[Dict[str, JsonValue]] = description.get("options")
    return options
