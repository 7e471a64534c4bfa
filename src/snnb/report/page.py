"""The HTML page about a run.

One self-contained file without scripts and without external resources.
"""

import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import List, Mapping, Sequence, Tuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from snnb.io.figures import LEGEND_WIDTH, PAGE_WIDTH, save
from snnb.io.figures import Figure as Plot
from snnb.io.text import JsonValue, printable

# Marks a file as a report, which may be replaced
GENERATOR = '<meta name="generator" content="snnb report">'
Rows = Sequence[Sequence[object]]
# Parts of matplotlib's SVG that a page does not need, or that would apply to all of the
# page. Identifiers of groups are numbered in each figure; those of markers and clip
# paths are hashes of their content, so equal ones may occur twice.
UNUSED_SVG = re.compile(
    r'<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->| id="[^"]*_\d+"',
    re.DOTALL,
)


@dataclass(frozen=True)
class Table:
    """A table."""

    head: Sequence[str]
    rows: Rows
    right: Sequence[int] = ()  # indices of the columns that are aligned to the right


@dataclass(frozen=True)
class Figure:
    """A figure and its caption."""

    picture: Markup
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    key: str  # id of the HTML element
    title: str
    words: List[str] = field(default_factory=list)  # paragraphs
    figures: List[Figure] = field(default_factory=list)
    # Shown as a grid of small figures
    small: List[Figure] = field(default_factory=list)
    tables: List[Table] = field(default_factory=list)
    # Collapsed tables by their titles
    folded: Mapping[str, Table] = field(default_factory=dict)
    # Name and value, at the top of the page
    key_figures: List[Tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """Content of the page."""

    title: str
    simulation: str  # stamp, in the head of the page; empty without a simulation
    subtitle: str
    sections: List[Section]
    made: str  # time and version of the report


def render(page: Page) -> str:
    """Return the HTML. All text is escaped, control characters included."""
    environment = Environment(
        loader=PackageLoader("snnb.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            value if isinstance(value, Markup) else printable(str(value))
        ),
    )
    return environment.get_template("report.html").render(
        page=page,
        generator=Markup(GENERATOR),
    )


def embed_figure(description: str, figure: Plot, *, has_legend: bool = False) -> Markup:
    """Return the SVG element of a figure.

    `description` is for readers who do not see it.

    A figure with a legend beside it, `has_legend`, is as wide as it was drawn, and
    scrolls on a narrow page.
    """
    buffer = BytesIO()
    save(figure, buffer, LEGEND_WIDTH if has_legend else PAGE_WIDTH)
    match = re.search(
        r'viewBox="([\d. ]+)"[^>]*>(.*)</svg>',
        buffer.getvalue().decode(),
        re.DOTALL,
    )
    assert match is not None  # matplotlib writes an SVG element
    content = re.sub(r"\s*\n\s*", " ", UNUSED_SVG.sub("", match[2]))
    label = escape(printable(description))
    shape = "plot with-legend" if has_legend else "plot"
    svg = Markup(
        f'<svg viewBox="{match[1]}" class="{shape}" role="img" aria-label="{label}">{content}</svg>',
    )
    return Markup(f'<div class="scroll">{svg}</div>') if has_legend else svg


def settings_table(values: Mapping[str, JsonValue]) -> Table:
    """Return names and values as a table.

    A nested mapping has a row for each of its names.
    """
    rows: List[Tuple[str, str]] = []
    for name, value in values.items():
        inner = (
            {f"{name} {key}": item for key, item in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        rows += [
            (key, "" if item is None else str(item)) for key, item in inner.items()
        ]
    return Table(("parameter", "value"), rows)
