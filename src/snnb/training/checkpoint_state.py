"""What a checkpoint says of a training, and the check of a state file."""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import AbstractSet, Dict, Mapping, Optional, Tuple

from snnb.text import JsonValue

EpochMetrics = Dict[str, float]

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Checkpoint:
    """The state from which a training can be continued.

    Attributes
    ----------
    identity : mapping of str to str
        What must be the same when the training is continued: the parameters, the data set and the model, by name.
    history : tuple of EpochMetrics
        Keras's metrics of each complete epoch.
    arrays : mapping of int to str
        By number of complete epochs, the SHA-256 of the file with the arrays after them. The arrays after the last
        epoch are always there.
    """

    identity: Mapping[str, str]
    history: Tuple[EpochMetrics, ...]
    arrays: Mapping[int, str]


def parse_state(content: JsonValue, columns: AbstractSet[str]) -> Optional[Checkpoint]:
    """Return the content of a state file; None when anything in it is not as `save_checkpoint` writes it."""
    state = content.get("state") if isinstance(content, dict) else None
    try:
        if not isinstance(state, dict) or content["sha256"] != state_digest(state):
            return None
    except KeyError:
        return None
    identity, history, arrays = (state.get(name) for name in ("identity", "history", "arrays"))
    if not isinstance(identity, dict) or not isinstance(history, list) or not isinstance(arrays, dict):
        return None
    if not all(isinstance(row, dict) and row.keys() == columns for row in history):
        return None
    figures = [value for row in history for value in row.values()]
    if not all(isinstance(value, float) and math.isfinite(value) for value in figures):
        return None
    digests = {}
    for epochs, digest in arrays.items():
        if not re.fullmatch("[0-9]{1,9}", epochs) or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            return None
        digests[int(epochs)] = digest
    return Checkpoint(identity, tuple(history), digests) if len(history) in digests else None


def state_digest(state: Mapping[str, object]) -> str:
    """Return the SHA-256 of a state in JSON."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
