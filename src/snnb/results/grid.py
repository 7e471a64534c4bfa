"""A grid of options: its axes, each an option of a stage with its values, and its points."""

import itertools
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import UsageError
from snnb.core.options import flag_of, option_name, own_flags, value_of
from snnb.stages.all import STAGES
from snnb.stages.stage import Given
from snnb.stages.synonyms import SYNONYMS

GRID_STAGES = ("train", "parse", "simulate")  # stages whose options can be in a grid
# Option of `map` that can be in a grid: each simulation is mapped onto each chip
CHIPS = "hardware"


@dataclass(frozen=True)
class Axis:
    """An option and its values."""

    title: str  # as given: `percentile`, or `train.seed`
    stage: str
    name: str
    values: Tuple[object, ...]


@dataclass(frozen=True)
class Point:
    """A value of each axis."""

    values: Dict[str, object]  # by title of the axis
    # All options by stage: of the grid, and options that are equal for all points
    given: Given
    hardware: Optional[str] = None  # name or file of the chip


def read_grid(texts: Sequence[str], options_given: Given) -> List[Axis]:
    """Read axes from texts such as `percentile=99,99.9`; see `axes_of`."""
    grid = []
    for text in texts:
        title, equals, values = text.partition("=")
        if not equals or not title:
            raise UsageError(f"--grid {text}: write it as OPTION=VALUE,VALUE")
        grid.append(
            (
                title,
                [value.strip() for value in values.split(",")]
                if values.strip()
                else [],
            )
        )
    return axes_of(grid, options_given)


def axes_of(
    grid: Iterable[Tuple[str, Iterable[object]]], options_given: Given
) -> List[Axis]:
    """Return an axis for each option and its values.

    An option that several stages have is the option of the last one, unless the stage
    precedes it: `train.seed`. Values may be text. Raise `UsageError` if an option or
    value is not valid or given twice, or also in `options_given`, outside the grid.
    """
    axes: List[Axis] = []
    for title, values in grid:
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise UsageError(
                f"grid: {title}: {values!r} is not a list of values; give one as in "
                f"[{values!r}]"
            )
        entries = list(values)
        text = f"{title}={','.join(map(str, entries))}"
        axis = _axis(text, title, entries)
        if any(
            (axis.stage, axis.name) == (earlier_axis.stage, earlier_axis.name)
            for earlier_axis in axes
        ):
            raise UsageError(
                f"--grid {text}: {axis.name} is in the grid twice; give all of its "
                "values at once"
            )
        if axis.name in options_given.get(axis.stage, {}):
            option = option_name(STAGES[axis.stage].params, axis.name)
            raise UsageError(
                f"--grid {text}: {option} is also given outside the grid; give it in "
                "one place"
            )
        axes.append(axis)
    if not axes:
        raise UsageError(
            "the grid is empty; give an option and its values, as in duration=50,100"
        )
    return axes


def _axis(text: str, title: str, values: Sequence[object]) -> Axis:
    if title == CHIPS:
        names = [str(value) for value in values]
        _check_values(text, names)
        for name in names:
            read_hardware(name)
        return Axis(CHIPS, "map", CHIPS, tuple(names))
    before, dot, name = title.replace("-", "_").rpartition(".")
    if dot and before not in GRID_STAGES:
        raise UsageError(
            f"--grid {text}: the options of {', '.join(GRID_STAGES)} can be in a "
            f"grid, not options of {before!r}"
        )
    stage, name = _option(text, name, (before,) if dot else GRID_STAGES)
    kind = STAGES[stage].params
    if kind.model_fields[name].exclude:
        raise UsageError(
            f"--grid {text}: {name} does not change the results; give it outside of "
            "--grid"
        )
    if flag_of(kind, name).repeated:
        raise UsageError(
            f"--grid {text}: {option_name(kind, name)} cannot be in a grid"
        )
    read = [value_of(kind, name, value) for value in values]
    _check_values(text, read)
    return Axis(title.replace("-", "_"), stage, name, tuple(read))


def _check_values(text: str, values: Sequence[object]) -> None:
    if not values:
        raise UsageError(f"--grid {text}: no values; write it as OPTION=VALUE,VALUE")
    twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
    if twice is not None:
        raise UsageError(f"--grid {text}: {twice} is given twice")


def _option(text: str, name: str, stages: Sequence[str]) -> Tuple[str, str]:
    """Return stage and field of an option that is given by its field or its flag (`settings` has the flag `--set`)."""
    names = set()
    for stage in reversed(stages):
        kind = STAGES[stage].params
        for field in own_flags(kind):
            if name in (field, option_name(kind, field)[2:]):
                return stage, field
            if (
                not kind.model_fields[field].exclude
                and not flag_of(kind, field).repeated
            ):
                names.add(field)
    meant = SYNONYMS.get(f"--{name.replace('_', '-')}")
    near = get_close_matches(name, names, n=1) if meant is None else [meant[2:]]
    raise UsageError(
        f"--grid {text}: no such option; "
        + (
            f"did you mean {near[0]}?"
            if near
            else f"there are {', '.join(sorted(names))}"
        )
    )


def points_of(axes: Sequence[Axis], options_given: Given) -> List[Point]:
    """Return all points; the last axis changes fastest."""
    points = []
    for values in itertools.product(*(axis.values for axis in axes)):
        options: Dict[str, Dict[str, object]] = {
            stage: dict(stage_options) for stage, stage_options in options_given.items()
        }
        point = {axis.title: value for axis, value in zip(axes, values)}
        for axis, value in zip(axes, values):
            if axis.title != CHIPS:
                options.setdefault(axis.stage, {})[axis.name] = value
        points.append(
            Point(point, options, str(point[CHIPS]) if CHIPS in point else None)
        )
    return points
