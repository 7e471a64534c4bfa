"""Hyper-parameters of a model: read from the command line's `--set key=value`, and checked wherever they come from."""

import math
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, Dict, Mapping, Tuple

from snnb.architectures.registry import Setting
from snnb.errors import UsageError

LARGEST_COUNT = 1_000_000
_SHARES = ("dropout", "dropout_rate")


def checked_settings(
    values: Mapping[str, Any], settings: Mapping[str, Setting], *, own: bool = False
) -> Dict[str, Setting]:
    """Check hyper-parameters of a model, from whatever source.

    Parameters
    ----------
    values
        Of some of them.
    settings
        Those of the model, with their defaults: they say what a value must look like.
    own
        The model is a function of the user's own, which decides itself what its whole numbers may be. Those of the
        models of this package are counts, at least 1.

    Returns
    -------
    dict
        `values`, typed as their defaults.

    Raises
    ------
    UsageError
        When there is no such setting, or the value is not of its kind. A dropout is a share, from 0 up to but not
        including 1.
    """
    return {key: _checked(key, value, settings, own) for key, value in values.items()}


def _checked(key: str, value: Any, settings: Mapping[str, Setting], own: bool) -> Setting:
    where = f"--set {key}={_written(value)}"
    if key not in settings:
        raise UsageError(f"{where}: {_unknown(key, settings)}")
    default = settings[key]
    if not isinstance(default, tuple):
        return _number(where, key, value, default, own)
    parts: Tuple[Any, ...] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if len(parts) != len(default):
        raise UsageError(f"{where}: give {len(default)} values, as in {_written(default)}")
    return tuple(_number(where, key, part, like, own) for part, like in zip(parts, default))


def _number(where: str, key: str, value: Any, like: float, own: bool) -> float:
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    if isinstance(like, int):
        if type(value) is not int or not (own or 1 <= value <= LARGEST_COUNT):
            bounds = "" if own else f" from 1 to {LARGEST_COUNT:,}"
            raise UsageError(f"{where}: '{_written(value)}' is not a whole number{bounds}")
        return value
    number = _as_float(value)
    if key in _SHARES and not 0 <= number < 1:
        raise UsageError(f"{where}: '{_written(value)}' is not a number from 0 up to but not including 1")
    if not math.isfinite(number):
        raise UsageError(f"{where}: '{_written(value)}' is not a number")
    return number


def _as_float(value: Any) -> float:
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.inf


def _unknown(key: str, settings: Mapping[str, Setting]) -> str:
    if not settings:
        return "this model has no settings"
    near = get_close_matches(str(key), settings, n=1)
    there = ", ".join(f"{name}={_written(value)}" for name, value in settings.items())
    return f"there is no setting {key}{f', did you mean {near[0]}?' if near else ''}; there are {there}"


def _written(value: Any) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)
