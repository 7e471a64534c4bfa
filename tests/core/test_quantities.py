"""Tables of documents, made from the quantities that their fields declare."""

from typing import List, Optional, Tuple, Union

import pytest
from pydantic import BaseModel
from typing_extensions import Annotated

from snnb.core.quantities import (
    Quantity,
    columns,
    legend,
    number,
    percent,
    percents,
    prefixed,
    quantities_of,
    rows,
    side_by_side,
    units,
    values,
    view,
)

Length = Annotated[int, Quantity("length", unit="cm")]  # of several documents


class Energy(BaseModel):
    """Part of `Trip`."""

    energy_pj: Annotated[
        Optional[float], Quantity("energy", prefixed, unit="pJ", per="trip", short="E")
    ] = None


class Trip(BaseModel):
    """Document with another, and with fields that are no quantities."""

    name: str
    length: Length
    full: Annotated[float, Quantity("share of seats", percent, interval="full_95")]
    full_95: Annotated[Tuple[float, float], Quantity("95 % interval", percents)]
    energy: Energy
    stops: List[Energy] = []


class Road(BaseModel):
    """Document that shares a quantity with `Trip`."""

    length: Length
    lanes: Annotated[int, Quantity("lanes", per="direction")]


SHORT = Trip(
    name="a",
    length=1200,
    full=0.5,
    full_95=(0.25, 0.75),
    energy=Energy(energy_pj=6790.158),
    stops=[Energy(energy_pj=1.0)],
)
LONG = Trip(name="b", length=3, full=1, full_95=(0.9, 1), energy=Energy())


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "pJ", ("0", "pJ")),
        (999.94, "pJ", ("999.9", "pJ")),
        (999.96, "pJ", ("1.000", "nJ")),
        (4483, "pJ", ("4.483", "nJ")),
        (1e15, "ns", ("1,000,000", "s")),
        (2.5e-3, "pJ", ("0.002500", "pJ")),
    ],
)
def test_prefix_suits_the_value(value: float, unit: str, text: Tuple[str, str]) -> None:
    assert prefixed(value, unit) == text


def test_number_has_all_digits_of_an_integer_and_four_of_another() -> None:
    values_to_show = [1234567, 1234567.8, 0.123456, 12.0]
    assert [number(value).value for value in values_to_show] == [
        "1,234,567",
        "1,234,568",
        "0.1235",
        "12",
    ]


def test_values_are_those_of_the_document_and_of_documents_in_it() -> None:
    expected_values = {
        "length": 1200,
        "full": 0.5,
        "full_95": (0.25, 0.75),
        "energy_pj": 6790.158,
    }
    assert values(SHORT) == expected_values
    assert "energy_pj" not in values(LONG)


def test_rows_have_the_quantities_of_the_view_that_have_a_value() -> None:
    shown_rows = view("energy_pj", "full", of=[Trip])
    assert rows(SHORT, shown_rows) == [
        ("energy", "6.790", "nJ/trip"),
        ("share of seats", "50.00", "%"),
    ]
    assert rows(LONG, shown_rows) == [("share of seats", "100.00", "%")]


def test_documents_of_several_kinds_stand_side_by_side() -> None:
    shown_rows = view("length", "lanes", "full_95", "energy_pj", of=[Trip, Road])
    road = Road(length=7, lanes=2)
    assert side_by_side([SHORT, road], shown_rows) == [
        ["length (cm)", "1,200", "7"],
        ["lanes/direction", "", "2"],
        ["95 % interval", "25.00–75.00%", ""],
        ["energy/trip", "6.790 nJ", ""],
    ]
    assert side_by_side([road], view("full", of=[Trip, Road])) == []


def test_columns_have_the_interval_after_the_value_and_a_legend() -> None:
    shown_rows = view("full", "length", "energy_pj", of=[Trip])
    head, table = columns([SHORT, LONG], shown_rows)
    assert head == ["share of seats", "length", "E"]
    assert table == [["50.00%", "1,200", "6.790 nJ"], ["100.00%", "3", ""]]
    head, table = columns([SHORT, LONG], shown_rows, intervals=["full"])
    assert head == ["share of seats (95 %)", "length", "E"]
    assert table == [
        ["50.00% (25.0–75.0)", "1,200", "6.790 nJ"],
        ["100.00% (90.0–100.0)", "3", ""],
    ]
    assert legend([SHORT], shown_rows) == "length: cm; E: energy/trip"
    assert legend([LONG], shown_rows) == "length: cm"


def test_units_are_those_of_the_document() -> None:
    assert units(SHORT) == {
        "length": "cm",
        "full": "",
        "full_95": "",
        "energy_pj": "pJ/trip",
    }


def test_unknown_key_is_refused_where_the_view_is_declared() -> None:
    with pytest.raises(KeyError, match="no quantity speed in Trip, Road"):
        view("length", "speed", of=[Trip, Road])


def test_key_stands_for_one_quantity() -> None:
    class Other(BaseModel):
        """The key `length` with another meaning."""

        length: Annotated[int, Quantity("duration", unit="s")]

    class Twice(BaseModel):
        """A key in the document and in a document in it."""

        energy_pj: Annotated[float, Quantity("energy", prefixed, unit="pJ")]
        parts: Energy

    class Either(BaseModel):
        """One of two documents in one field."""

        of: Union[Road, Other]

    with pytest.raises(TypeError, match="another quantity has the key length"):
        view("length", of=[Road, Other])
    with pytest.raises(TypeError, match="two quantities energy_pj"):
        quantities_of(Twice)
    with pytest.raises(TypeError, match="key length"):
        quantities_of(Either)


def test_json_schema_has_title_and_unit() -> None:
    properties = Energy.model_json_schema()["properties"]
    assert properties["energy_pj"]["title"] == "energy"
    assert properties["energy_pj"]["unit"] == "pJ/trip"
