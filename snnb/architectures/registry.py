"""The models that can be built: plain functions, found by name, each beside a spec that is read without building it."""

import inspect
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from snnb.errors import UsageError
from snnb.training.recipe import Recipe

Setting = Union[int, float, Tuple[int, ...], Tuple[float, ...]]
Shape = Tuple[int, int, int]


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a model before it is built.

    Attributes
    ----------
    name, historical_name
        Snake case; and the class name the model had in the tool that this package follows.
    dataset
        Name of the data set it is trained on by default.
    input_shape
        (height, width, channels).
    num_classes
        Units of the softmax layer; None for a model that reproduces its input.
    neurons
        Units of all layers but the input, Flatten and other layers that only rearrange.
    synapses
        Connections between neurons; those that padding would need are none.
    source
        Where the architecture comes from.
    recipe
        How it is trained by default.
    fit
        How the pictures of the data set get the shape of the input: they have it ("exact"), zeros are added around
        them ("pad"), or they are scaled ("resize").
    settings
        Hyper-parameters of the build function that can be overridden, with their defaults: read off its signature.
    """

    name: str
    historical_name: str
    dataset: str
    input_shape: Shape
    num_classes: Optional[int]
    neurons: int
    synapses: int
    source: str
    recipe: Recipe
    fit: str = "exact"
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """Return "classification", or "reconstruction" for a model without classes."""
        return "reconstruction" if self.num_classes is None else "classification"


@dataclass(frozen=True)
class Architecture:
    """A model that can be built.

    `build(input_shape=, num_classes=, **settings)` imports TensorFlow and returns an untrained, uncompiled
    `keras.Model`; `num_classes` is None for a model without classes. It raises `UsageError` for pictures that are too
    small.
    """

    spec: ModelSpec
    build: Callable[..., Any]


_ARCHITECTURES: Dict[str, Architecture] = {}


def architecture(spec: ModelSpec) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a build function under the name of its spec.

    Raises
    ------
    ValueError
        When there is a model of that name, or of one that differs only in case and underscores.
    """

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        taken = {key for known in _ARCHITECTURES.values() for key in _keys(known.spec)}
        for key in _keys(spec):
            if key in taken:
                raise ValueError(f"two models are called {spec.name} or {spec.historical_name}")
        parameters = inspect.signature(build).parameters.values()
        settings = {p.name: p.default for p in parameters if p.name not in ("input_shape", "num_classes")}

        def build_or_say(input_shape: Shape, num_classes: Optional[int], **chosen: Setting) -> Any:
            try:
                return build(input_shape=input_shape, num_classes=num_classes, **chosen)
            except ValueError as error:
                raise UsageError(
                    f"{spec.name} cannot be built for pictures of {_times(input_shape)}: a layer would have no output; "
                    f"prepare larger ones (`snnb prepare --shape`), its own are {_times(spec.input_shape)}"
                ) from error

        _ARCHITECTURES[spec.name] = Architecture(replace(spec, settings=MappingProxyType(settings)), build_or_say)
        return build

    return register


def names() -> List[str]:
    """Names of all models, sorted."""
    return sorted(_ARCHITECTURES)


def find(name: str) -> Architecture:
    """Find a model by its name or its historical class name; case and underscores do not matter.

    Raises
    ------
    UsageError
        When there is none; the message suggests the nearest.
    """
    known = {key: model for model in _ARCHITECTURES.values() for key in _keys(model.spec)}
    key = _key(name)
    if key in known:
        return known[key]
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {known[near[0]].spec.name}?" if near else "`snnb models` lists them"
    raise UsageError(f"unknown model {name!r}: {hint}")


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))


def _key(name: str) -> str:
    return name.replace("_", "").lower()


def _keys(spec: ModelSpec) -> List[str]:
    return sorted({_key(spec.name), _key(spec.historical_name)})
