"""The checkpoint of a training: weights, optimizer state and history after the last complete epoch.

It is one npz file that is replaced atomically after each epoch. The members of an npz file have checksums, so damage is
detected when they are read. Nothing in it is executed.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from snnb.core.errors import DamagedError
from snnb.training.history import EpochMetrics

FILE = "state.npz"
_GROUPS = ("weights", "optimizer", "best_weights")


@dataclass(frozen=True)
class Checkpoint:
    """The state from which a training continues.

    Attributes
    ----------
    identity : mapping of str to str
        Properties that a continued training must share, by name: options, data set and model.
    history : sequence of EpochMetrics
        Metrics of each complete epoch.
    weights, optimizer : sequence of np.ndarray
        Weights of the model and variables of its optimizer, in the order of Keras's `get_weights`.
    best_weights : sequence of np.ndarray
        Weights after the best epoch; empty without early stopping.
    """

    identity: Mapping[str, str]
    history: Sequence[EpochMetrics]
    weights: Sequence[np.ndarray]
    optimizer: Sequence[np.ndarray]
    best_weights: Sequence[np.ndarray]


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a directory atomically; the directory is created if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    described = json.dumps({"identity": dict(checkpoint.identity), "history": list(checkpoint.history)})
    arrays = {f"{group}_{i:05d}": array for group in _GROUPS for i, array in enumerate(getattr(checkpoint, group))}
    partial = directory / f".{FILE}.partial"
    partial.unlink(missing_ok=True)  # left by a killed process
    with partial.open("xb") as file:
        np.savez(file, described=np.array(described), **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(directory / FILE)


def load_checkpoint(directory: Path) -> Checkpoint:
    """Read the checkpoint of an interrupted training; raise `InputError` if it is damaged."""
    path = directory / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            described = json.loads(str(file["described"]))
            groups = {group: sorted(n for n in file.files if n.rpartition("_")[0] == group) for group in _GROUPS}
            arrays = {group: [file[name] for name in names] for group, names in groups.items()}
        return Checkpoint(described["identity"], described["history"], **arrays)
    except MemoryError:
        raise
    except Exception as error:  # numpy and zipfile report damage by errors of many types
        raise DamagedError(path, f"damaged ({type(error).__name__})") from error
