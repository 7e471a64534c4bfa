"""Registry of models: functions that build them, with specifications, found by name; and their hyper-parameters."""

import inspect
import math
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import Callable, Dict, List, Mapping, Optional, Tuple, Union

from snnb.core.errors import UsageError
from snnb.core.formatting import format_shape
from snnb.io.text import Document
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import Recipe

Build = Callable[..., "keras.Model"]
Hyperparameter = Union[int, float, Tuple[int, ...], Tuple[float, ...]]
InputShape = Tuple[int, int, int]


@dataclass(frozen=True)
class ModelSpec:
    """A model: a description, available without building it, and a function that builds it."""

    name: str  # in snake case
    dataset: str  # name of the data set that it is trained on by default
    input_shape: InputShape  # (height, width, channels)
    num_classes: Optional[int]  # units of the softmax layer; None for an autoencoder
    # Number of units of all layers but the input, Flatten and others that only
    # rearrange values
    neurons: int
    # Number of connected pairs of neurons, as docs/graph-format.md defines them
    synapses: int
    source: str  # publication of the architecture
    recipe: Recipe  # default training recipe
    # How the pictures of the data set are brought to the input shape: "exact" (they
    # have it), "pad" or "resize"
    fit: str = "exact"
    # Class name in the predecessor of this package, if it differs by more than case and
    # underscores
    alias: str = ""
    # Hyper-parameters with their defaults: the other parameters of the build function
    settings: Mapping[str, Hyperparameter] = field(default_factory=dict)
    # Of a trained network, ONNX or NIR; None for a model to be trained
    file: Optional[Path] = None
    # Time step of a spiking network in a NIR file, in the unit of its time constants
    time_step: Optional[float] = None
    # `build(input_shape=, num_classes=, **settings)` imports TensorFlow and returns an
    # untrained, uncompiled `keras.Model`. `num_classes` is None for an autoencoder. It
    # raises `UsageError` for pictures that are too small.
    build: Build = None  # type: ignore[assignment]  # set by `architecture`


class ModelRow(Document):
    """A model in the list of all models."""

    name: str
    dataset: str
    input_shape: InputShape
    classes: Optional[int]
    neurons: int
    synapses: int
    settings: Dict[str, Hyperparameter]
    source: str

    @classmethod
    def of(cls, spec: ModelSpec) -> "ModelRow":
        """Return the part of a specification that is listed."""
        values = {
            name: getattr(spec, name) for name in cls.model_fields if name != "classes"
        }
        return cls(
            classes=spec.num_classes,
            **{**values, "settings": dict(spec.settings)},
        )


_MODELS: Dict[str, ModelSpec] = {}


def architecture(*specs: ModelSpec) -> Callable[[Build], Build]:
    """Return a decorator that registers a build function for one or more models.

    The specifications have no `settings` and no `build`: settings are taken from the
    signature of the build function, whose first parameters are `name`, `input_shape`
    and `num_classes`.
    """

    def register(build: Build) -> Build:
        parameters = list(inspect.signature(build).parameters.values())[3:]
        settings = MappingProxyType(
            {parameter.name: parameter.default for parameter in parameters},
        )
        for spec in specs:
            _MODELS[spec.name] = replace(
                spec,
                settings=settings,
                build=partial(_build, spec, build),
            )
        return build

    return register


def _build(
    spec: ModelSpec,
    build: Build,
    input_shape: InputShape,
    num_classes: Optional[int],
    **settings: Hyperparameter,
) -> "keras.Model":
    try:
        return build(spec.name, input_shape, num_classes, **settings)
    except ValueError as error:
        raise UsageError(
            f"{spec.name} cannot be built for images of {format_shape(input_shape)}, "
            "because a layer would have an empty output; prepare larger images (--shape), "
            f"such as {format_shape(spec.input_shape)}",
        ) from error


def names(*, trained: bool = True) -> List[str]:
    """Return the sorted names of all models, or of all except trained networks."""
    return sorted(
        name for name, spec in _MODELS.items() if trained or spec.file is None
    )


def names_with(text: str) -> List[str]:
    """Return the sorted names of the models that contain `text`; case and underscores do not matter.

    Raise `UsageError`, which suggests the nearest name, if no name contains it.
    """
    matching = [name for name in names() if _key(text) in _key(name)]
    if matching:
        return matching
    near = get_close_matches(_key(text), map(_key, names()), n=1, cutoff=0.5)
    hint = ", ".join(name for name in names() if _key(name) in near)
    raise UsageError(
        f"no model has {text!r} in its name: "
        + (f"did you mean {hint}?" if hint else "`snnb models` lists all"),
    )


def find(name: str) -> ModelSpec:
    """Return a model by its name or historical class name; case and underscores do not matter.

    Raise `UsageError`, which suggests the nearest name, if there is no such model.
    """
    by_key = {
        _key(name_or_alias): spec
        for spec in _MODELS.values()
        for name_or_alias in (spec.name, spec.alias)
        if name_or_alias
    }
    key = _key(name)
    if key in by_key:
        return by_key[key]
    near = get_close_matches(key, by_key, n=1, cutoff=0.5)
    hint = (
        f"did you mean {by_key[near[0]].name}?"
        if near
        else f"the models are {', '.join(names())}"
    )
    raise UsageError(f"unknown model {name!r}: {hint}")


def _key(name: str) -> str:
    return name.replace("_", "").lower()


LARGEST_COUNT = 1_000_000
_SHARES = ("dropout", "dropout_rate")


def checked_hyperparameters(
    values: Mapping[str, object],
    settings: Mapping[str, Hyperparameter],
    *,
    is_own_model: bool = False,
) -> Dict[str, Hyperparameter]:
    """Check hyper-parameters against the type, length and range of their defaults, which `settings` has by name.

    `is_own_model` is for a function of the user, which may take any integer. The
    integers of this package's models are counts, from 1 to `LARGEST_COUNT`. Raise
    `UsageError` if there is no such hyper-parameter, or a value does not have the type,
    length or range of its default. A dropout lies in [0, 1).
    """
    valid_values: Dict[str, Hyperparameter] = {}
    for key, value in values.items():
        where = f"--set {key}={_written(value)}"
        if not settings:
            raise UsageError(f"{where}: this model has no settings; omit --set")
        if key not in settings:
            near = get_close_matches(str(key), settings, n=1)
            names_text = ", ".join(
                f"{name}={_written(default)}" for name, default in settings.items()
            )
            hint = f", did you mean {near[0]}?" if near else ""
            raise UsageError(
                f"{where}: unknown setting {key}{hint}; the settings are {names_text}",
            )
        default = settings[key]
        if isinstance(default, tuple):
            parts: Tuple[object, ...] = (
                tuple(value) if isinstance(value, (list, tuple)) else (value,)
            )
            if len(parts) != len(default):
                raise UsageError(
                    f"{where}: give {len(default)} values, as in {_written(default)}",
                )
            valid_values[key] = tuple(
                _checked_number(where, key, part, like, is_own_model)
                for part, like in zip(parts, default)
            )
        else:
            valid_values[key] = _checked_number(
                where, key, value, default, is_own_model
            )
    return valid_values


def _checked_number(
    where: str,
    key: str,
    value: object,
    like: float,
    is_own_model: bool,
) -> float:
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    if isinstance(like, int):
        if type(value) is not int or not (is_own_model or 1 <= value <= LARGEST_COUNT):
            bounds = "" if is_own_model else f" from 1 to {LARGEST_COUNT:,}"
            raise UsageError(f"{where}: '{_written(value)}' is not an integer{bounds}")
        return value
    number = (
        float(value)
        if isinstance(value, Real) and not isinstance(value, bool)
        else math.nan
    )
    if key in _SHARES and not 0 <= number < 1:
        raise UsageError(
            f"{where}: '{_written(value)}' is not a number from 0 up to but not "
            "including 1",
        )
    if not math.isfinite(number):
        raise UsageError(f"{where}: '{_written(value)}' is not a number")
    return number


def _written(value: object) -> str:
    return (
        ",".join(str(part) for part in value)
        if isinstance(value, (list, tuple))
        else str(value)
    )
