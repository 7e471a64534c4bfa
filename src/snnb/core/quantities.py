"""Declare a quantity once, on the field of its document; tables are made from that.

    class Load(Document):
        mean_load: Annotated[float, Quantity("mean load", unit="packets", per="s")]

declares the quantity `mean_load`: its key is the name of the field. A document has
the quantities of its fields, and of the documents in these fields at any depth, but
not of those in lists and mappings. A property with such a return type is a quantity
that is computed, not stored. A key occurs once in a document, and stands for one
quantity in all documents: a quantity of several documents is declared once, as a type.
A view is what a table shows: quantities by key, in order, see `view`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Type, Union

from pydantic import BaseModel
from typing_extensions import get_args, get_origin

Key = str
Kind = Type[BaseModel]
Value = Any  # a number, or the two ends of an interval
PREFIXES = ("p", "n", "µ", "m", "")  # of units, from small to large, by factors of 1000


class Text(NamedTuple):
    """A value as text, and its unit."""

    value: str
    unit: str


Form = Callable[[Value, str], Text]  # from a value and the unit of the document


def number(value: Union[int, float], unit: str = "") -> Text:
    """Return all digits of an integer, or four digits of another number.

    Of a number from 1000 on, all digits before the point.
    """
    if isinstance(value, int):
        return Text(f"{value:,}", unit)
    return Text(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}", unit)


def percent(share: float, unit: str = "") -> Text:
    """Return a share in percent with two digits after the point."""
    return Text(f"{100 * share:.2f}", "%")


def percents(ends: Tuple[float, float], unit: str = "") -> Text:
    """Return the ends of an interval of shares in percent: `95.31–98.73`."""
    return Text("–".join(percent(end).value for end in ends), "%")


def prefixed(value: float, unit: str) -> Text:
    """Return four digits of a value, with the prefix of its unit that suits it.

    >>> prefixed(4483.0, "pJ")
    Text(value='4.483', unit='nJ')
    """
    if not value:
        return Text("0", unit)
    prefix = PREFIXES.index(unit[0])
    while float(f"{value:.4g}") >= 1000 and prefix + 1 < len(PREFIXES):
        value /= 1000
        prefix += 1
    digits = f"{value:,.0f}" if value >= 1000 else f"{value:#.4g}"
    return Text(digits, PREFIXES[prefix] + unit[1:])


# Forms that set the unit themselves, so that it stands in the cell, not in the head
UNIT_OF_VALUE = (percent, percents, prefixed)


@dataclass(frozen=True)
class Quantity:
    """What tables show of a field of a document.

    Attributes
    ----------
    title : head of a row: `mean load`
    form : makes text of a value
    unit : unit of the value in the document; of `prefixed` one with a prefix: `pJ`
    per : what the quantity relates to: `sample`
    short : head of a column; empty: the title
    interval : key of the 95 % confidence interval of this quantity, if it has one
    """

    title: str
    form: Form = number
    unit: str = ""
    per: str = ""
    short: str = ""
    interval: Key = ""

    @property
    def stored_unit(self) -> str:
        """Unit of the value in the document: `pJ/sample`."""
        return self.with_per(self.unit)

    @property
    def row_head(self) -> str:
        """Title and unit, for a row whose cells have no unit: `mean load (packets/s)`.

        Where the unit stands at the value, only what it is per follows:
        `energy/sample`.
        """
        if self.unit and self.form not in UNIT_OF_VALUE:
            return f"{self.title} ({self.stored_unit})"
        return f"{self.title}/{self.per}" if self.per else self.title

    @property
    def column_head(self) -> str:
        """Head of a column."""
        return self.short or self.title

    def with_per(self, unit: str) -> str:
        """Return a unit with what it is per: `packets/s`, or `per s` without a unit."""
        if not self.per:
            return unit
        return f"{unit}/{self.per}" if unit else f"per {self.per}"

    def text(self, value: Value) -> Text:
        """Return a value as text, with its unit and what it is per."""
        value_text, unit = self.form(value, self.unit)
        return Text(value_text, self.with_per(unit))

    def cell(self, value: Value) -> str:
        """Return a value for a table of several documents, whose head has the unit.

        A unit that depends on the value stands in the cell: `93.33%`, `6.790 nJ`.
        """
        value_text, unit = self.form(value, self.unit)
        if self.form not in UNIT_OF_VALUE:
            return value_text
        return f"{value_text}{unit}" if unit == "%" else f"{value_text} {unit}"

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Dict[str, Any]:
        """Add title and unit to the JSON schema of the field."""
        schema_with_title = {**handler(schema), "title": self.title}
        if self.stored_unit:
            schema_with_title["unit"] = self.stored_unit
        return schema_with_title


class Row(NamedTuple):
    """A quantity of one document as text, for a table of title, value and unit."""

    title: str
    value: str
    unit: str

    @property
    def measure(self) -> str:
        """Value and unit: `93.33%`, `6.790 nJ/sample`, `12`."""
        return (
            f"{self.value}%"
            if self.unit == "%"
            else f"{self.value} {self.unit}".rstrip()
        )


View = Dict[Key, Quantity]  # the quantities that a table shows, in order


@lru_cache(maxsize=None)
def quantities_of(kind: Kind) -> Dict[Key, Quantity]:
    """Return the quantities of a kind of document by key, in the order of its fields.

    Raise `TypeError` if two quantities have the same key.
    """
    quantities: Dict[Key, Quantity] = {}
    for name, field in kind.model_fields.items():
        field_quantities = _quantities_of_any(documents_of(field.annotation))
        for item in field.metadata:
            if isinstance(item, Quantity):
                field_quantities = {name: item}
        twice = field_quantities.keys() & quantities.keys()
        if twice:
            raise TypeError(f"{kind.__name__} has two quantities {', '.join(twice)}")
        quantities.update(field_quantities)
    quantities.update(_computed_quantities(kind))
    return quantities


@lru_cache(maxsize=None)
def _computed_quantities(kind: Kind) -> Dict[Key, Quantity]:
    """Return the quantities of the properties of a kind of document by key."""
    quantities: Dict[Key, Quantity] = {}
    for base in reversed(kind.__mro__):
        for name, member in vars(base).items():
            if not isinstance(member, property):
                continue
            for item in get_args(member.fget.__annotations__.get("return")):
                if isinstance(item, Quantity):
                    quantities[name] = item
    return quantities


def documents_of(annotation: object) -> List[Kind]:
    """Return the kinds of documents that a field may hold, not in a list or mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is not Union:
        return []
    return [kind for member in get_args(annotation) for kind in documents_of(member)]


def _quantities_of_any(kinds: Sequence[Kind]) -> Dict[Key, Quantity]:
    """Return the quantities of several kinds of documents by key.

    Raise `TypeError` if a key stands for different quantities.
    """
    quantities: Dict[Key, Quantity] = {}
    for kind in kinds:
        for key, quantity in quantities_of(kind).items():
            if quantities.setdefault(key, quantity) != quantity:
                raise TypeError(f"{kind.__name__}: another quantity has the key {key}")
    return quantities


def view(*keys: Key, of: Sequence[Kind]) -> View:
    """Return the quantities that a table shows, by key, in order.

    Raise `KeyError` for a key that none of the kinds of documents has. A module
    declares its views as constants, so that the error arises when it is imported.
    """
    quantities = _quantities_of_any(of)
    for key in keys:
        if key not in quantities:
            names = ", ".join(kind.__name__ for kind in of)
            raise KeyError(f"no quantity {key} in {names}")
    return {key: quantities[key] for key in keys}


def values(document: BaseModel) -> Dict[Key, Value]:
    """Return the quantities of a document that have a value, by key."""
    quantities = quantities_of(type(document))
    value_of_key: Dict[Key, Value] = {}
    for name, value in document:
        if isinstance(value, BaseModel):
            value_of_key.update(values(value))
        elif name in quantities and value is not None:
            value_of_key[name] = value
    for name in _computed_quantities(type(document)):
        value = getattr(document, name)
        if value is not None:
            value_of_key[name] = value
    return value_of_key


def rows(document: BaseModel, quantities: View) -> List[Row]:
    """Return the quantities of a view that have a value in a document."""
    value_of = values(document)
    return [
        Row(quantity.title, *quantity.text(value_of[key]))
        for key, quantity in quantities.items()
        if key in value_of
    ]


def cells_of(document: BaseModel, quantities: View) -> Dict[Key, str]:
    """Return the quantities of a view as cells of a table, by key; empty without a value."""
    value_of = values(document)
    return {
        key: _cell(quantity, value_of.get(key)) for key, quantity in quantities.items()
    }


def side_by_side(documents: Sequence[BaseModel], quantities: View) -> List[List[str]]:
    """Return a row of each quantity of a view that some document has.

    A row is the title with the unit, and a cell for each document.
    """
    cells = [cells_of(document, quantities) for document in documents]
    table = [
        [quantity.row_head, *(cells_of_document[key] for cells_of_document in cells)]
        for key, quantity in quantities.items()
    ]
    return [row for row in table if any(row[1:])]


class Columns(NamedTuple):
    """A table with a column for each quantity of a view, and a row for each document."""

    head: List[str]
    rows: List[List[str]]


def columns(
    documents: Sequence[BaseModel],
    quantities: View,
    *,
    intervals: Sequence[Key] = (),
) -> Columns:
    """Return a table of documents.

    The confidence interval of the quantities `intervals` follows the value, if there
    is one: `93.33% (86.3–98.3)`.
    """
    head = [quantity.column_head for quantity in quantities.values()]
    value_of = [values(document) for document in documents]
    table = [list(cells_of(document, quantities).values()) for document in documents]
    for column, (key, quantity) in enumerate(quantities.items()):
        if key not in intervals or not any(
            quantity.interval in cells_of_document for cells_of_document in value_of
        ):
            continue
        head[column] += " (95 %)"
        for row, cells_of_document in zip(table, value_of):
            if quantity.interval in cells_of_document:
                low, high = cells_of_document[quantity.interval]
                row[column] += f" ({100 * low:.1f}–{100 * high:.1f})"
    return Columns(head, table)


def _cell(quantity: Quantity, value: Value) -> str:
    return "" if value is None else quantity.cell(value)


def legend(documents: Sequence[BaseModel], quantities: View) -> str:
    """Return what the heads of columns with values mean: `load: mean load (packets/s)`."""
    with_value = {key for document in documents for key in values(document)}
    meanings = []
    for key, quantity in quantities.items():
        meaning = quantity.row_head if quantity.short else quantity.stored_unit
        if key in with_value and meaning:
            meanings.append(f"{quantity.column_head}: {meaning}")
    return "; ".join(meanings)


def units(document: BaseModel) -> Dict[Key, str]:
    """Return the units of the quantities that have a value in a document, by key."""
    quantities = quantities_of(type(document))
    return {key: quantities[key].stored_unit for key in values(document)}
