"""`--set key=value`: hyper-parameters of a model, read from the command line."""

import math
from difflib import get_close_matches
from typing import Any, Dict, Mapping, Sequence, Tuple

from snnb.architectures.registry import Setting
from snnb.errors import UsageError


def settings_from(pairs: Sequence[str], settings: Mapping[str, Setting]) -> Dict[str, Setting]:
    """Read overrides of a model's hyper-parameters.

    Parameters
    ----------
    pairs
        Texts like `dropout=0.3` or `filters=8,16`.
    settings
        Those of the model, `spec.settings`, with their defaults: they say what a value must look like.

    Returns
    -------
    dict
        The ones given, typed as their defaults.

    Raises
    ------
    UsageError
        When there is no such setting, or the value is not of its kind: whole numbers are counts, at least 1; a dropout
        is a share, from 0 up to but not including 1.
    """
    given = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair}: write it as key=value")
        if key not in settings:
            raise UsageError(f"--set {pair}: {_unknown(key, settings)}")
        given[key] = _value(pair, text, settings[key])
    return given


def _unknown(key: str, settings: Mapping[str, Setting]) -> str:
    if not settings:
        return "this model has no settings"
    near = get_close_matches(key, settings, n=1)
    there = ", ".join(f"{name}={_written(value)}" for name, value in settings.items())
    return f"there is no setting {key}{f', did you mean {near[0]}?' if near else ''}; there are {there}"


def _written(value: Setting) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def _value(pair: str, text: str, default: Setting) -> Any:
    if not isinstance(default, tuple):
        return _number(pair, text, default)
    parts: Tuple[str, ...] = tuple(text.split(","))
    if len(parts) != len(default):
        raise UsageError(f"--set {pair}: give {len(default)} values, as in {_written(default)}")
    return tuple(_number(pair, part, like) for part, like in zip(parts, default))


def _number(pair: str, text: str, like: float) -> float:
    try:
        value = int(text) if isinstance(like, int) else float(text)
    except ValueError:
        value = math.nan
    if isinstance(like, int) and not value >= 1:
        raise UsageError(f"--set {pair}: {text!r} is not a whole number of at least 1")
    if pair.startswith("dropout") and not 0 <= value < 1:
        raise UsageError(f"--set {pair}: {text!r} is not a number from 0 up to but not including 1")
    if not math.isfinite(value):
        raise UsageError(f"--set {pair}: {text!r} is not a number")
    return value
