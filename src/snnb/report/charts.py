"""Small charts as SVG text: they scale with the page, and nothing in them is a script or comes from elsewhere.

Coordinates are in pixels of the chart's own size. All texts are escaped here.
"""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from markupsafe import Markup, escape

from snnb.io.colours import HUES
from snnb.io.text import printable

LEFT, BOTTOM, TOP, RIGHT = 54, 34, 8, 26
WIDTH = 500.0  # so that two stand side by side
INK, SOFT = "#1f2933", "#cbd2d9"
MOST_POINTS = 260  # of a cloud; evenly spaced among all


class Line(NamedTuple):
    """A line of a chart: its name, x and y; dashed or not."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


def text(x: float, y: float, words: str, *, anchor: str = "start", size: float = 11, colour: str = INK) -> str:
    """Return a text element."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" fill="{colour}">'
        f"{escape(printable(words))}</text>"
    )


def svg(width: float, height: float, parts: Sequence[str], what: str) -> Markup:
    """Return a picture that is as wide as there is room for, at most its own width; `what` describes it."""
    return Markup(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="width:{width:.0f}px;max-width:100%" role="img" '
        f'aria-label="{escape(printable(what))}">{"".join(parts)}</svg>'
    )


def line_chart(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    y_limits: Optional[Tuple[float, float]] = None,
    whole_x: bool = False,
    log_y: bool = False,
) -> Markup:
    """Draw lines over each other, with a legend above.

    With `whole_x`, x counts something, so that no fraction is marked; with `log_y`, y is above 0 and its axis
    logarithmic.
    """
    width, height = WIDTH, 280.0
    if log_y:
        lines = [line._replace(y=np.log10(line.y).tolist()) for line in lines]
    frame = _Frame(
        _limits([value for line in lines for value in line.x]),
        y_limits or _limits([value for line in lines for value in line.y]),
        (LEFT, TOP + 22.0, width - RIGHT, height - BOTTOM),
    )
    parts = frame.axes(x_label, y_label, whole_x=whole_x, log_y=log_y)
    place = float(LEFT)
    for line, hue in zip(lines, HUES * (1 + len(lines) // len(HUES))):
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        parts.append(f'<path d="{frame.path(line.x, line.y)}" fill="none" stroke="{hue}" stroke-width="1.8"{dash}/>')
        parts.append(f'<path d="M{place:.0f} 12h18" stroke="{hue}" stroke-width="2.5"{dash}/>')
        parts.append(text(place + 23, 16, line.name))
        place += 45 + 6.3 * len(line.name)
    return svg(width, height, parts, f"{y_label} over {x_label}")


def bar_chart(names: Sequence[str], values: Sequence[float], shown: Sequence[str], what: str) -> Markup:
    """Draw a horizontal bar for each value, with `shown` at its end; `what` describes the chart."""
    most, left, tall = max([*values, 1e-300]), 130.0, 20.0
    parts = []
    for number, (name, value, words) in enumerate(zip(names, values, shown)):
        top, wide = TOP + number * tall, (WIDTH - left - 90) * value / most
        parts.append(text(left - 6, top + 13, name, anchor="end"))
        parts.append(f'<rect x="{left:.0f}" y="{top + 3:.0f}" width="{wide:.1f}" height="13" fill="{HUES[0]}"/>')
        parts.append(text(left + wide + 5, top + 13, words))
    return svg(WIDTH, 2 * TOP + tall * len(names), parts, what)


def histogram(counts: np.ndarray, edges: np.ndarray, x_label: str) -> Markup:
    """Draw bars whose height is the logarithm of a count, over a logarithmic axis.

    Parameters
    ----------
    counts : (bins,) int array
    edges : (bins + 1,) float array, powers of ten
    x_label : str
    """
    width, height = WIDTH, 220.0
    frame = _Frame(
        (float(edges[0]), float(edges[-1])), _count_limits(counts), (LEFT, TOP, width - RIGHT, height - BOTTOM)
    )
    parts = frame.axes(x_label, "neurons", log_x=True, log_y=True)
    parts.append(f'<path d="{_bars(frame, counts, edges)}" fill="{HUES[0]}"/>')
    return svg(width, height, parts, f"neurons by {x_label}")


def small_histogram(values: np.ndarray, most: float, title: str) -> Markup:
    """Draw how many values of a layer are where between 0 and `most`, as one of many small charts."""
    counts, edges = np.histogram(np.clip(values, 0, most), np.linspace(0, most, 31))
    frame = _Frame((0, most), _count_limits(counts), (8, 20, 162, 78))
    parts = [f'<path d="M8 78H162" stroke="{SOFT}"/>', f'<path d="{_bars(frame, counts, edges)}" fill="{HUES[0]}"/>']
    return _small(170, 96, parts, most, title)


def small_points(x: np.ndarray, y: np.ndarray, most: float, title: str) -> Markup:
    """Draw values against each other, both from 0 to `most`, as one of many small charts."""
    every = np.linspace(0, x.size - 1, min(MOST_POINTS, x.size)).astype(int) if x.size else np.empty(0, int)
    frame = _Frame((0, most), (0, most), (8, 20, 152, 164))
    across, up = frame.across(np.clip(x[every], 0, most)), frame.up(np.clip(y[every], 0, most))
    dots = "".join(sorted({f"M{a:.0f} {b:.0f}h0" for a, b in zip(across, up)}))
    parts = [
        f'<path d="M8 164H152M8 164V20M8 164L152 20" stroke="{SOFT}" fill="none"/>',
        f'<path d="{dots}" stroke="{HUES[0]}" stroke-width="2.4" stroke-linecap="round" stroke-opacity=".55"/>',
    ]
    return _small(160, 182, parts, most, title)


def _small(width: int, height: int, parts: Sequence[str], most: float, title: str) -> Markup:
    labels = [
        text(8, 13, short(title, 25), size=9.5),
        text(8, height - 4, "0", size=9),
        text(width - 8, height - 4, f"{most:g}", anchor="end", size=9),
    ]
    return svg(width, height, [f"<title>{escape(printable(title))}</title>", *parts, *labels], title)


def matrix(cells: Sequence[Tuple[int, int, int]], names: Sequence[str]) -> Markup:
    """Draw a confusion matrix; a cell is class, guess (-1: none at all) and number of samples."""
    classes = len(names)
    side = min(34.0, 560.0 / max(1, classes + 1))
    cell = max(side, 1.8)  # of a thousand classes a cell is larger than its place, so that it can be seen
    labelled = side >= 11
    left = (18 + 6.0 * min(16, max(map(len, names), default=0))) if labelled else 30.0
    most = max((count for _, _, count in cells), default=1)
    size = side * classes
    parts = [f'<rect x="{left:.1f}" y="24" width="{size + side:.1f}" height="{size:.1f}" fill="#f5f7fa"/>']
    for true, guess, count in cells:
        column = guess if guess >= 0 else classes
        x, y, share = left + column * side, 24 + true * side, count / most
        hue = HUES[0] if true == guess else HUES[1]
        title = escape(printable(f"{names[true]} taken for {names[guess] if guess >= 0 else 'none'}: {count}"))
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" height="{cell:.1f}" fill="{hue}" '
            f'fill-opacity="{0.12 + 0.88 * share:.2f}"><title>{title}</title></rect>'
        )
        if side >= 20:
            light = "#fff" if share > 0.5 else INK
            parts.append(text(x + side / 2, y + side / 2 + 4, str(count), anchor="middle", size=10, colour=light))
    if labelled:
        parts += [
            text(left - 5, 24 + (i + 0.5) * side + 4, short(name, 16), anchor="end", size=10)
            for i, name in enumerate(names)
        ]
    parts.append(text(left, 16, "guess →  (last column: no spike at all)", size=10))
    return svg(left + size + side + 6, size + 30, parts, "confusion matrix: rows are classes, columns guesses")


def short(name: str, longest: int) -> str:
    """Return a name with `…` in the place of its middle, where it is longer than that."""
    begin = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:begin]}…{name[begin + 1 - longest :]}"


def _bars(frame: "_Frame", counts: np.ndarray, edges: np.ndarray) -> str:
    x, base = frame.across(edges), frame.up(np.zeros(1))[0]
    tops = frame.up(np.log10(np.maximum(counts, 1)) + 0.12)  # so that one neuron can be seen
    return "".join(f"M{x[i]:.1f} {base:.1f}V{tops[i]:.1f}H{x[i + 1]:.1f}V{base:.1f}z" for i in np.flatnonzero(counts))


def _limits(values: Sequence[float]) -> Tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _count_limits(counts: np.ndarray) -> Tuple[float, float]:
    """Return the limits of an axis of the logarithms of counts."""
    return 0, max(1.0, float(np.log10(max(1, counts.max(initial=0))))) * 1.05


class _Frame(NamedTuple):
    """Where values stand in a chart: limits of x and y, and the corners (left, top, right, bottom) in pixels."""

    x: Tuple[float, float]
    y: Tuple[float, float]
    corners: Tuple[float, float, float, float]

    def across(self, x: np.ndarray) -> np.ndarray:
        (low, high), (left, _, right, _) = self.x, self.corners
        placed: np.ndarray = left + (np.asarray(x, float) - low) / (high - low) * (right - left)
        return placed

    def up(self, y: np.ndarray) -> np.ndarray:
        (low, high), (_, top, _, bottom) = self.y, self.corners
        placed: np.ndarray = bottom - (np.asarray(y, float) - low) / (high - low) * (bottom - top)
        return placed

    def path(self, x: Sequence[float], y: Sequence[float]) -> str:
        every = np.linspace(0, len(x) - 1, min(600, len(x))).astype(int)
        across, up = self.across(np.asarray(x)[every]), self.up(np.asarray(y)[every])
        if len(across) == 1:  # a single value is a cross, since a line of no length is not drawn
            return f"M{across[0] - 4:.1f} {up[0]:.1f}h8m-4 -4v8"
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, up))

    def axes(
        self, x_label: str, y_label: str, *, log_x: bool = False, log_y: bool = False, whole_x: bool = False
    ) -> List[str]:
        left, top, right, bottom = self.corners
        parts = [f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}" fill="none" stroke="{SOFT}"/>']
        for value in _ticks(*self.x, whole=log_x or whole_x):
            x = float(self.across(np.array([value]))[0])
            parts.append(text(x, bottom + 14, _power(value) if log_x else f"{value:g}", anchor="middle", size=10))
        for value in _ticks(*self.y, whole=log_y):
            y = float(self.up(np.array([value]))[0])
            parts.append(text(left - 5, y + 3.5, _power(value) if log_y else f"{value:g}", anchor="end", size=10))
        parts.append(text((left + right) / 2, bottom + 29, x_label, anchor="middle"))
        middle = (top + bottom) / 2
        parts.append(f'<g transform="rotate(-90 11 {middle:.0f})">{text(11, middle, y_label, anchor="middle")}</g>')
        return parts


def _power(value: float) -> str:
    return f"{10.0**value:,.0f}" if 0 <= value < 5 else f"1e{value:.0f}"


def _ticks(low: float, high: float, *, whole: bool) -> List[float]:
    """Return some four round numbers between two; whole ones for powers of ten."""
    step = 10.0 ** np.floor(np.log10((high - low) / 4))
    step = next(step * factor for factor in (1, 2, 2.5, 5, 10) if (high - low) / (step * factor) <= 5)
    step = max(1.0, np.ceil(step)) if whole else step
    first = np.ceil(low / step - 1e-9)
    found = [float(round((first + i) * step, 10)) for i in range(7)]
    return [value for value in found if value <= high + 1e-9 * (high - low)]
