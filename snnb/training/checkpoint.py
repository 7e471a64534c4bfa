"""The state of a training after each complete epoch, written so that a kill at any moment leaves the one before.

A training is a function of its history and of the model at the end of each epoch: when to stop and which epoch was the
best follow from the history alone. So a checkpoint is the history, the model with its optimiser, and the best model.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Tuple

from tensorflow import keras

from snnb.errors import InputError, UsageError
from snnb.training.modelfile import save_model

Row = Dict[str, float]

_STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a training can go on from.

    Attributes
    ----------
    identity
        What must be the same for a training to go on from here: parameters, data, model.
    history
        One row for each complete epoch, with Keras's columns.
    """

    identity: Mapping[str, str]
    history: Tuple[Row, ...]


def save(directory: Path, checkpoint: Checkpoint, model: keras.Model, keep: List[int]) -> None:
    """Write the state after `len(checkpoint.history)` epochs, then drop the models of all epochs but it and `keep`."""
    directory.mkdir(parents=True, exist_ok=True)
    model_path = _model_path(directory, len(checkpoint.history))
    save_model(model, model_path)
    _sync(model_path)
    # The state names the model, so that its renaming is the one moment at which the checkpoint changes.
    partial = directory / (_STATE + ".partial")
    partial.write_text(
        json.dumps({"identity": dict(checkpoint.identity), "history": list(checkpoint.history)}, indent=1)
    )
    _sync(partial)
    partial.replace(directory / _STATE)
    _sync(directory)
    kept = {_model_path(directory, done) for done in [len(checkpoint.history), *keep]}
    for path in directory.glob("epoch-*.h5"):
        if path not in kept:
            path.unlink()


def load(directory: Path, identity: Mapping[str, str]) -> Checkpoint:
    """Read the state of an interrupted training.

    Raises
    ------
    UsageError
        When it was made with other parameters, data or another model.
    InputError
        When it cannot be read.
    """
    path = directory / _STATE
    try:
        content = json.loads(path.read_text())
        checkpoint = Checkpoint(dict(content["identity"]), tuple(dict(row) for row in content["history"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a checkpoint: train without --resume") from error
    different = [key for key, value in identity.items() if checkpoint.identity.get(key) != value]
    if different:
        raise UsageError(
            f"the checkpoint was made with another {' and '.join(different)}: "
            "give the options of then, or train without --resume"
        )
    return checkpoint


def exists(directory: Path) -> bool:
    """Whether a training was interrupted here after it had begun."""
    return (directory / _STATE).is_file()


def load_model(directory: Path, epochs_done: int) -> keras.Model:
    """Read the model, with its optimiser, as it was after so many epochs.

    Raises
    ------
    InputError
        When the file is missing, damaged, or holds what Keras alone cannot build.
    """
    path = _model_path(directory, epochs_done)
    try:
        return keras.models.load_model(str(path))
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"Keras cannot build the model again ({reason}): use only its own layers and functions"
        ) from error
    except (OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot read {path} ({reason}): train without --resume") from error


def _model_path(directory: Path, epochs_done: int) -> Path:
    return directory / f"epoch-{epochs_done:04d}.h5"


def _sync(path: Path) -> None:
    descriptor = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
