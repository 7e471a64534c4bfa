"""One page that says what a run is: self-contained HTML, without a script and without anything from elsewhere."""

from dataclasses import dataclass, field
from typing import List, Mapping, Sequence, Tuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from snnb.io.text import JsonValue, printable

GENERATOR = '<meta name="generator" content="snnb report">'  # by which a page is known as ours
Rows = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Table:
    """A table: its head, its rows, and the numbers of the columns that are aligned to the right."""

    head: Sequence[str]
    rows: Rows
    right: Sequence[int] = ()


@dataclass(frozen=True)
class Figure:
    """A picture and the words below it."""

    picture: Markup
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    key: str  # its id in the page
    title: str
    words: List[str] = field(default_factory=list)  # paragraphs
    figures: List[Figure] = field(default_factory=list)
    small: List[Figure] = field(default_factory=list)  # of which many stand side by side
    tables: List[Table] = field(default_factory=list)
    folded: Mapping[str, Table] = field(default_factory=dict)  # tables that are folded away, by what is clicked on


@dataclass(frozen=True)
class Page:
    """Content of the page."""

    title: str
    subtitle: str
    figures: List[Tuple[str, str]]  # the most important figures: name and value
    sections: List[Section]
    made: str  # when, and with which version


def render(page: Page) -> str:
    """Return the HTML. Every text is escaped, whoever wrote it; control characters too."""
    environment = Environment(
        loader=PackageLoader("snnb.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template("report.html").render(page=page, generator=Markup(GENERATOR))


def _shown(value: object) -> object:
    return value if isinstance(value, Markup) else printable(str(value))


def settings_table(values: Mapping[str, JsonValue]) -> Table:
    """Return names and values as a table; a mapping inside has a row for each of its names."""
    rows: List[Tuple[str, str]] = []
    for name, value in values.items():
        inner = {f"{name} {key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
        rows += [(key, "" if item is None else str(item)) for key, item in inner.items()]
    return Table(("parameter", "value"), rows)
