"""Check the hyper-parameters of a model, given by `--set key=value`, a manifest or a Python program."""

import math
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Dict, Mapping, Tuple

from snnb.architectures.registry import Hyperparameter
from snnb.core.errors import UsageError

LARGEST_COUNT = 1_000_000
_SHARES = ("dropout", "dropout_rate")


def checked_hyperparameters(
    values: Mapping[str, object], settings: Mapping[str, Hyperparameter], *, own: bool = False
) -> Dict[str, Hyperparameter]:
    """Check hyper-parameters against the type, length and range of their defaults.

    Parameters
    ----------
    values, settings : mapping
        Hyper-parameters to check, and defaults of all hyper-parameters of the model, by name.
    own : bool
        Whether the model is a function of the user, which may take any integer. The integers of this package's models
        are counts, from 1 to `LARGEST_COUNT`.

    Raises
    ------
    UsageError
        There is no such hyper-parameter, or a value does not have the type, length or range of its default. A dropout
        lies in [0, 1).
    """
    return {key: _checked_value(key, value, settings, own) for key, value in values.items()}


def _checked_value(key: str, value: object, settings: Mapping[str, Hyperparameter], own: bool) -> Hyperparameter:
    where = f"--set {key}={_written(value)}"
    if key not in settings:
        raise UsageError(f"{where}: {_no_such_setting(key, settings)}")
    default = settings[key]
    if not isinstance(default, tuple):
        return _checked_number(where, key, value, default, own)
    parts: Tuple[object, ...] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if len(parts) != len(default):
        raise UsageError(f"{where}: give {len(default)} values, as in {_written(default)}")
    return tuple(_checked_number(where, key, part, like, own) for part, like in zip(parts, default))


def _checked_number(where: str, key: str, value: object, like: float, own: bool) -> float:
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    if isinstance(like, int):
        if type(value) is not int or not (own or 1 <= value <= LARGEST_COUNT):
            bounds = "" if own else f" from 1 to {LARGEST_COUNT:,}"
            raise UsageError(f"{where}: '{_written(value)}' is not a whole number{bounds}")
        return value
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if key in _SHARES and not 0 <= number < 1:
        raise UsageError(f"{where}: '{_written(value)}' is not a number from 0 up to but not including 1")
    if not math.isfinite(number):
        raise UsageError(f"{where}: '{_written(value)}' is not a number")
    return number


def _no_such_setting(key: str, settings: Mapping[str, Hyperparameter]) -> str:
    if not settings:
        return "this model has no settings; leave out --set"
    near = get_close_matches(str(key), settings, n=1)
    listed = ", ".join(f"{name}={_written(value)}" for name, value in settings.items())
    return f"there is no setting {key}{f', did you mean {near[0]}?' if near else ''}; the settings are {listed}"


def _written(value: object) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)
