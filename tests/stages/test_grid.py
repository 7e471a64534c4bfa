"""What a grid of options is read as, and what is refused before anything runs."""

import re

import pytest

from snnb.chips.hardware import EventFigures
from snnb.chips.read_hardware import descriptions
from snnb.core.errors import UsageError
from snnb.results.grid import axes_of, points_of, read_grid


def test_values_have_the_types_of_their_options():
    axes = read_grid(
        [
            "percentile=99,99.9",
            "duration = 50, 100".replace(" =", "="),
            "train.seed=0,1",
            "exact-clip=true,false",
        ],
        {},
    )
    assert [(axis.stage, axis.name, axis.values) for axis in axes] == [
        ("parse", "percentile", (99.0, 99.9)),
        ("simulate", "duration", (50, 100)),
        ("train", "seed", (0, 1)),
        ("parse", "exact_clip", (True, False)),
    ]
    assert [axis.title for axis in axes] == [
        "percentile",
        "duration",
        "train.seed",
        "exact_clip",
    ]


def test_values_of_a_program_are_those_of_the_text():
    values = {
        "percentile": (99, 99.9),
        "train.seed": range(2),
        "reset": iter(["zero"]),
        "exact_clip": [True, False],
    }
    assert axes_of(values.items(), {}) == read_grid(
        ["percentile=99,99.9", "train.seed=0,1", "reset=zero", "exact-clip=true,false"],
        {},
    )


@pytest.mark.parametrize("values", ["zero", 50])
def test_what_is_no_list_of_values(values):
    """The letters of a text are no values, and a value alone is no list."""
    with pytest.raises(
        UsageError, match=re.escape(f"grid: reset: {values!r} is not a list of values")
    ):
        axes_of([("reset", values)], {})


def test_an_option_of_several_stages_is_that_of_the_last():
    (axis,) = read_grid(["seed=3"], {"train": {"seed": 7}})
    assert (axis.stage, axis.values) == ("simulate", (3,))
    (point,) = points_of([axis], {"train": {"seed": 7}, "simulate": {"samples": 4}})
    assert point.given == {"train": {"seed": 7}, "simulate": {"samples": 4, "seed": 3}}


def test_a_warm_up_is_judged_with_the_duration_of_its_point():
    """Alone it would be longer than the default duration."""
    (axis,) = read_grid(["warm_up=0,500"], {"simulate": {"duration": 1000}})
    assert axis.values == (0, 500)


def test_the_last_option_of_the_grid_changes_fastest():
    points = points_of(
        read_grid(["duration=5,6", "percentile=99,98", "train.seed=0,1"], {}), {}
    )
    assert len(points) == 8
    assert [tuple(point.values.values()) for point in points][:3] == [
        (5, 99.0, 0),
        (5, 99.0, 1),
        (5, 98.0, 0),
    ]


def test_what_is_offered_can_be_in_a_grid():
    with pytest.raises(UsageError) as error_info:
        read_grid(["zzz=1"], {})
    offered_options = str(error_info.value).split("there are ")[1].split(", ")
    assert {"percentile", "duration", "seed", "engine"} <= set(offered_options)
    for name in offered_options:
        with pytest.raises(UsageError, match=f"--grid {name}=: no values"):
            read_grid([f"{name}="], {})


def test_chips_change_last_and_are_no_option_of_a_simulation():
    axes = read_grid(["hardware=loihi,truenorth", "duration=5,6"], {})
    points = points_of(axes, {"simulate": {"samples": 4}})
    found_points = [
        (point.hardware, point.given["simulate"]["duration"]) for point in points
    ]
    assert found_points == [
        ("loihi", 5),
        ("loihi", 6),
        ("truenorth", 5),
        ("truenorth", 6),
    ]
    assert all("map" not in point.given for point in points)


def test_energies_of_the_network_alone_are_not_compared_with_those_of_neurons():
    chips = descriptions()
    links = chips["truenorth"].model_copy(
        update={
            "energy_pj": EventFigures(
                router=1, link_x=2, link_y=3, between_chips=9, synapse=4
            )
        }
    )
    assert links.events
    assert [chip.energy_of for chip in (chips["loihi"], chips["truenorth"], links)] == [
        "events",
        "network",
        "network",
    ]
