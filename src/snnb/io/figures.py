"""Draw figures in one style and reproducibly: equal figures give equal bytes."""

import itertools
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, List, Optional, Sequence, Union

import matplotlib
import matplotlib.figure
import matplotlib.style
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Annotation, Text
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox

from snnb.io.text import printable

HUES = (
    "#2364aa",
    "#d1495b",
    "#3d8b5a",
    "#b8860b",
    "#6a4c93",
    "#0e7c7b",
    "#8d6e63",
    "#5f6b7a",
    "#c2185b",
    "#7cb342",
)
Target = Union[
    Path, BinaryIO
]  # a PNG, SVG or PDF file, or a buffer for the SVG of a page
DPI = 120
# Inches of a figure in a page; on a screen of 400 pixels its text then has nearly its
# nominal size
PAGE_WIDTH = 5.2
# Of a figure with a legend beside it: the width of a page of 1,200 pixels is 11.6
LEGEND_WIDTH = 9.5
TIME_FIELD = {
    ".svg": "Date",
    ".pdf": "CreationDate",
}  # metadata in which equal figures differ
# Independent of the user's matplotlibrc; functions that draw a figure are decorated
# with `styled`.
STYLE = {
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=HUES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.titlesize": "large",
    "figure.titleweight": "bold",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "grid.alpha": 0.25,
    "grid.color": "#808080",
    "legend.fontsize": "small",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
styled = matplotlib.style.context(["default", STYLE])
LABEL = 0.16  # inches that the label of a row needs
MARKER, LINE = 6.0, 9.0  # points: size of a marker, and height of a line of small text
ROWS = 12  # rows of possible places for the label of a point, above and below it


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook displays without pyplot."""

    @styled
    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()


def layer_colours(layers: int) -> np.ndarray:
    """Return a colour for each layer, from blue (the first) to red (the last): float64, shape (layers, 3), 0 to 1."""
    return np.asarray(matplotlib.colormaps["turbo"](np.linspace(0.03, 0.97, layers)))[
        :, :3
    ]


def shortened(name: str, longest: int) -> str:
    """Return a name as one printable line of at most `longest` characters, with `…` in place of its middle."""
    text = printable(name).replace("\n", "\\n")
    begin = (longest - 1) // 2
    return (
        text
        if len(text) <= longest
        else f"{text[:begin]}…{text[begin + 1 - longest :]}"
    )


def plain(name: str, longest: int = 32) -> str:
    """Return a name as text that matplotlib draws literally: `$` begins no formula, and every character is in the font.

    `…` replaces the middle of a name of more than `longest` characters.
    """
    glyphs = get_font(findfont(FontProperties())).get_charmap()
    characters = "".join(
        char if ord(char) in glyphs else "?" for char in shortened(name, longest)
    )
    return characters.replace("$", r"\$")


def legend_width(names: Sequence[str], columns: int) -> float:
    """Return the width in inches of a legend of `names` in `columns` columns."""
    return columns * max(2.6, 0.5 + 0.08 * max(map(len, names), default=0))


@styled
def save(figure: Figure, target: Target, page_width: float = PAGE_WIDTH) -> None:
    """Write a figure to a file in the format of its suffix, or to a buffer as transparent SVG of at most `page_width`.

    Text remains text in SVG. The width is in inches.
    """
    in_page = not isinstance(target, Path)
    suffix = target.suffix.lower() if isinstance(target, Path) else ".svg"
    if in_page:
        figure.set_figwidth(min(page_width, figure.get_figwidth()))
    figure.tight_layout()
    with matplotlib.rc_context({"svg.hashsalt": "snnb", "svg.fonttype": "none"}):
        metadata = {TIME_FIELD.get(suffix, "Software"): None}
        figure.savefig(
            target, format=suffix[1:], dpi=DPI, transparent=in_page, metadata=metadata
        )


def count_decades(axes: Axes, *names: str) -> None:
    """Make the axes "x" and "y" that are named logarithmic, with a tick and a plain number for each power of ten.

    The default, minor ticks and formulas, takes three times as long to draw.
    """
    for name in names:
        getattr(axes, f"set_{name}scale")("log", subs=[])
        getattr(axes, f"{name}axis").set_major_formatter(LogFormatter())


def label_rows(axes: Axes, middles: np.ndarray, names: Sequence[str]) -> None:
    """Label rows at the left, as many as fit; always the last one.

    The axes have their final height and limits; `middles` are the middles of the rows,
    float (rows,), ascending.
    """
    height = axes.figure.get_figheight() * axes.get_position().height
    low, high = sorted(axes.get_ylim())
    min_distance = LABEL / height * (high - low)
    labelled_rows: List[int] = []
    for i in range(len(names)):
        last = i == len(names) - 1
        while (
            last
            and labelled_rows
            and middles[i] - middles[labelled_rows[-1]] < min_distance
        ):
            labelled_rows.pop()
        if not labelled_rows or middles[i] - middles[labelled_rows[-1]] >= min_distance:
            labelled_rows.append(i)
    axes.set_yticks(middles[labelled_rows])
    axes.set_yticklabels([plain(names[i]) for i in labelled_rows], fontsize="small")


def label_points(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    colours: Sequence[str],
) -> None:
    """Name points by labels that do not overlap.

    A line joins a point and a label farther away. A point whose labels would all
    overlap others, or leave the axes, has none. Limits and scales of the axes are
    final, and nothing that changes the layout of the figure is drawn later.
    """
    axes.figure.tight_layout()
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    marker_size = axes.figure.dpi * MARKER / 72
    places = axes.transData.transform(np.stack([x, y], axis=1)) if len(names) else []
    boxes = []  # of the markers, and of the labels so far
    for place in places:
        corner = place - marker_size / 2
        boxes.append(Bbox.from_bounds(*corner, marker_size, marker_size))
    line = {"arrowstyle": "-", "linewidth": 0.5, "shrinkA": 0, "shrinkB": MARKER / 2}
    style = {"fontsize": "x-small", "verticalalignment": "center", "in_layout": False}
    for name, where, colour in zip(names, zip(x, y), colours):
        label = axes.annotate(
            name,
            where,
            (0, 0),
            color=colour,
            textcoords="offset points",
            arrowprops={**line, "color": colour},
            **style,
        )
        box = _place_label(label, boxes, renderer)
        if box is None:
            label.remove()
        else:
            boxes.append(box)


def _place_label(
    label: Annotation,
    boxes: Sequence[Bbox],
    renderer: RendererAgg,
) -> Optional[Bbox]:
    """Move a label to the nearest place beside its point where it overlaps no box.

    Return its own box; None if there is no such place inside the axes.
    """
    axes_box = label.axes.get_window_extent(renderer)
    heights = [LINE * (row + 0.5) for row in range(ROWS)]
    for height, sign, side in itertools.product(heights, (1, -1), (1, -1)):
        label.set_position((side * MARKER, sign * height))
        label.set_horizontalalignment("left" if side > 0 else "right")
        label.update_positions(renderer)
        box = Text.get_window_extent(label, renderer)
        is_inside = all(axes_box.contains(*corner) for corner in box.corners())
        if is_inside and not any(box.overlaps(other_box) for other_box in boxes):
            label.arrow_patch.set_visible(height > LINE)
            return box
    return None
