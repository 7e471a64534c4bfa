"""The state of a training after each complete epoch. A process that is killed at any moment leaves a whole one.

When to stop and which epoch was the best follow from the history of the training alone. So a checkpoint consists of the
history and, for the last epoch and the best one, the arrays of the model and of its optimiser. Nothing in a checkpoint
is run as code: the model that takes the arrays is the caller's own.
"""

import json
import os
import re
import stat
from pathlib import Path
from typing import AbstractSet, Any, Dict, Iterator, Mapping, Sequence

import numpy as np
from tensorflow import keras

from snnb.errors import InputError, UsageError
from snnb.files import (
    KINDS,
    PARTIAL,
    disk_full_told,
    remove,
    require_disk,
    sha256_of,
    sync_directory,
    write_text_atomically,
)
from snnb.numpy_file import load_archive
from snnb.text import load_json
from snnb.training.checkpoint_state import Checkpoint, EpochMetrics, parse_state, state_digest

_REMEDY = "`snnb train --no-resume` starts the training from the beginning"
_STATE = "state.json"
_ARRAYS = re.compile(r"epoch-(\d{4,})-[0-9a-f]{12}\.npz|epoch-\d{4,}\.h5")  # earlier versions wrote the second form
_NPZ_BYTES_BESIDE_AN_ARRAY = 1024


def refuse_other_than_directory(directory: Path) -> None:
    """Refuse a link or file in the checkpoint's place, through which something outside the run would be written.

    Parameters
    ----------
    directory : Path
        The checkpoint; it may be missing.

    Raises
    ------
    InputError
        `directory` is a symbolic link, or something else that is not a directory.
    """
    try:
        kind = stat.S_IFMT(directory.lstat().st_mode)
    except FileNotFoundError:
        return
    if kind == stat.S_IFLNK:
        raise InputError(
            f"{directory} is a symbolic link, and a checkpoint is not written through a link; move it away"
        )
    if kind != stat.S_IFDIR:
        raise InputError(f"{directory} is {KINDS.get(kind, 'a file')} where a directory is expected; move it away")


def save_checkpoint(
    directory: Path,
    identity: Mapping[str, str],
    history: Sequence[EpochMetrics],
    model: keras.Model,
    earlier: Mapping[int, str],
) -> Checkpoint:
    """Write the state after `len(history)` epochs, then remove the arrays of all other epochs except `earlier`.

    Parameters
    ----------
    directory : Path
        Made if it is missing.
    identity : mapping of str to str
        As in `Checkpoint`.
    history : sequence of EpochMetrics
        As in `Checkpoint`.
    model : keras.Model
        Compiled, as it is after the last of these epochs.
    earlier : mapping of int to str
        Arrays of earlier epochs that are still needed, as in `Checkpoint.arrays`.

    Returns
    -------
    Checkpoint
        What was written.

    Raises
    ------
    InputError
        `directory` is a symbolic link, or something else that is not a directory.
    ResourceError
        The disk has no room for the arrays.
    """
    refuse_other_than_directory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    done = len(history)
    # The state names the arrays by their content, so that its renaming is the one moment of change.
    checkpoint = Checkpoint(identity, tuple(history), {**earlier, done: _write_arrays(directory, done, model)})
    arrays = {str(epochs): digest for epochs, digest in sorted(checkpoint.arrays.items())}
    state = {"identity": dict(identity), "history": list(history), "arrays": arrays}
    path = directory / _STATE
    _clear(path, path.with_name(f".{_STATE}{PARTIAL}"))
    write_text_atomically(path, json.dumps({"sha256": state_digest(state), "state": state}, indent=1))
    needed = {_arrays_path(directory, *entry) for entry in checkpoint.arrays.items()}
    for path in _arrays_in(directory):
        if path not in needed:
            remove(path)
    return checkpoint


def checkpoint_exists(directory: Path) -> bool:
    """Return whether a training was interrupted here after it had begun.

    Arrays of epoch 0 without a state file do not count: they are left by a training that was killed before its first
    epoch. Arrays of a later epoch without a state file do count, so that the missing file is reported.
    """
    return os.path.lexists(directory / _STATE) or any("epoch-0000" not in path.name for path in _arrays_in(directory))


def load_checkpoint(directory: Path, identity: Mapping[str, str], columns: AbstractSet[str]) -> Checkpoint:
    """Read the state of an interrupted training, and check that all its arrays are as they were written.

    Parameters
    ----------
    directory : Path
        Where the checkpoint was written.
    identity : mapping of str to str
        As in `Checkpoint`, of the training that is to be continued.
    columns : set of str
        Names of the metrics that every epoch of the history must have.

    Raises
    ------
    UsageError
        It was made with other parameters, another data set or another model.
    InputError
        It is damaged, or an earlier version wrote it.
    """
    path = directory / _STATE
    _refuse_other_than_regular(path)
    content = load_json(path, _REMEDY)
    if isinstance(content, dict) and "history" in content:
        raise InputError(f"{path} was written by an earlier version of snnb, which this version cannot read; {_REMEDY}")
    checkpoint = parse_state(content, columns)
    if checkpoint is None:
        raise InputError(f"{path} is damaged; {_REMEDY}")
    different = [key for key, value in identity.items() if checkpoint.identity.get(key) != value]
    if different:
        raise UsageError(
            f"the checkpoint was made with another {' and '.join(different)}: "
            "give the same options as before, or train without --resume"
        )
    for epochs, digest in checkpoint.arrays.items():
        _refuse_damaged(_arrays_path(directory, epochs, digest), digest)
    return checkpoint


def restore_arrays(directory: Path, checkpoint: Checkpoint, epochs_done: int, model: keras.Model) -> None:
    """Set the weights of a compiled model and the state of its optimiser to those after `epochs_done` epochs.

    Parameters
    ----------
    directory : Path
        Where the checkpoint was written.
    checkpoint : Checkpoint
        The checkpoint.
    epochs_done : int
        Number of complete epochs.
    model : keras.Model
        Changed in place.

    Raises
    ------
    InputError
        The arrays are missing, damaged, or do not fit the model.
    """
    digest = checkpoint.arrays.get(epochs_done)
    if digest is None:
        raise InputError(f"{directory / _STATE} names no arrays of epoch {epochs_done}; {_REMEDY}")
    path = _arrays_path(directory, epochs_done, digest)
    _refuse_damaged(path, digest)
    variables = _variables(model)
    arrays = load_archive(path, _REMEDY, names=list(variables), must=list(variables))
    for name, variable in variables.items():
        if arrays[name].shape != tuple(variable.shape) or arrays[name].dtype != variable.dtype.as_numpy_dtype:
            raise InputError(f"{path}: {name} does not fit the model; {_REMEDY}")
    keras.backend.batch_set_value([(variable, arrays[name]) for name, variable in variables.items()])


def _variables(model: keras.Model) -> Dict[str, Any]:
    """Return the variables of a model and its optimiser by name, in a fixed order."""
    model.optimizer._create_all_weights(model.trainable_variables)  # Keras itself makes them in the first step only
    groups = {"weight": model.weights, "optimizer": model.optimizer.weights}
    return {f"{group}_{i:05d}": variable for group, found in groups.items() for i, variable in enumerate(found)}


def _write_arrays(directory: Path, epochs_done: int, model: keras.Model) -> str:
    variables = _variables(model)
    arrays = dict(zip(variables, keras.backend.batch_get_value(list(variables.values()))))
    size = sum(array.nbytes + _NPZ_BYTES_BESIDE_AN_ARRAY for array in arrays.values())
    require_disk(directory, size, "the state after an epoch")
    partial = directory / f".epoch{PARTIAL}"
    remove(partial)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with disk_full_told(directory), os.fdopen(os.open(str(partial), flags, 0o666), "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        digest = sha256_of(partial)
        path = _arrays_path(directory, epochs_done, digest)
        _clear(path)
        partial.replace(path)
    finally:
        remove(partial)
    sync_directory(directory)
    return digest


def _arrays_path(directory: Path, epochs_done: int, digest: str) -> Path:
    return directory / f"epoch-{epochs_done:04d}-{digest[:12]}.npz"


def _arrays_in(directory: Path) -> Iterator[Path]:
    return (path for path in directory.glob("epoch-*") if _ARRAYS.fullmatch(path.name))


def _clear(*paths: Path) -> None:
    """Remove what is not a regular file, so that a file can be written there. Regular files stay: they are replaced."""
    for path in paths:
        if not _is_regular(path):
            remove(path)


def _is_regular(path: Path) -> bool:
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)


def _refuse_other_than_regular(path: Path) -> None:
    if not os.path.lexists(path):
        raise InputError(f"{path} is missing; {_REMEDY}")
    if not _is_regular(path):
        raise InputError(f"{path} is not a regular file; {_REMEDY}")


def _refuse_damaged(path: Path, digest: str) -> None:
    _refuse_other_than_regular(path)
    if sha256_of(path) != digest:
        raise InputError(f"{path} has been changed since it was written; {_REMEDY}")
