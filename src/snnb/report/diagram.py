"""Diagram of the network: populations are boxes, projections are arrows.

A wider arrow carries more spikes.

Written as SVG: boxes and arrows have tooltips, and the height of the diagram follows
from the depth of the network. Populations of equal depth, the length of the longest
path from the input, are a row. A projection to the next row is a straight arrow; one
that skips rows is a curve on the right of them. In a cycle, arrows that lead up or to
their own population are curves on the left.
"""

import math
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from markupsafe import Markup, escape

from snnb.io.figures import HUES, shortened
from snnb.io.text import printable

INK = "#1f2933"
SOFT = "#cbd2d9"
# Width and height of a box, space below and next to it
BOX = 204.0  # width of a box
TALL = 34.0  # height of a box
GAP = 26.0  # space below a box
BETWEEN = 22.0  # space next to a box
WIDEST = 12.0  # width of the widest arrow
NARROWEST = 1.2  # width of the narrowest arrow
MARGIN = 12.0  # space around the diagram
BEND = 150.0  # space for the curves next to the boxes
LOOP = 28.0  # width of a curve from a box to itself
SIDE_BY_SIDE = 5  # number of curves next to a row up to which they have the full width
LONGEST = 27  # characters of a name in a box


class Box(NamedTuple):
    """A population."""

    name: str
    words: str  # second line
    share: float  # strength of the colour, from 0 to 1


class Arrow(NamedTuple):
    """A projection."""

    source: int  # index of the box
    target: int
    carries: float  # width relative to the other arrows
    words: str  # tooltip


class Layout:
    """Where boxes lie: in rows by depth, centred between two margins.

    Attributes
    ----------
    depths_passed : list of int
        Rows that each arrow passes downward: 1 leads to the next row, 0 or less is a
        part of a cycle.
    left, right : float
        x of the left and of the right side of the widest row.
    x, y : list of float
        Left upper corner of each box.
    width, height : float
        Size of the diagram.
    """

    def __init__(self, boxes: int, arrows: Sequence[Arrow]) -> None:
        depth = depths(boxes, arrows)
        self.depths_passed = [depth[a.target] - depth[a.source] for a in arrows]
        rows: Dict[int, List[int]] = {}
        for box, row in enumerate(depth):
            rows.setdefault(row, []).append(box)
        self._rows = len(rows)
        widest_row = max(map(len, rows.values()), default=1)
        self.left = MARGIN + self._left_curves(arrows)
        self.right = self.left + _row_width(widest_row)
        self.x = [0.0] * boxes
        for row_boxes in rows.values():
            free_width = self.right - self.left - _row_width(len(row_boxes))
            for place, box in enumerate(row_boxes):
                self.x[box] = self.left + free_width / 2 + place * (BOX + BETWEEN)
        self.y = [MARGIN + row * (TALL + GAP) for row in depth]
        right_curves = BEND if max(self.depths_passed, default=1) > 1 else 0
        self.width = self.right + MARGIN + right_curves
        self.height = MARGIN * 2 + self._rows * (TALL + GAP) - GAP

    def _left_curves(self, arrows: Sequence[Arrow]) -> float:
        """Return the space for curves on the left: for cycles, for loops, or none."""
        for arrow, passed in zip(arrows, self.depths_passed):
            if passed <= 0 and arrow.source != arrow.target:
                return BEND
        return LOOP if min(self.depths_passed, default=1) <= 0 else 0

    @property
    def widest_arrow(self) -> float:
        """Width of the widest arrow.

        With many curves next to a row, all arrows are thinner, so that they can be
        distinguished.
        """
        curved_rows = sum(abs(passed) for passed in self.depths_passed if passed != 1)
        curves_per_row = curved_rows / max(1, self._rows)
        return WIDEST * min(1.0, SIDE_BY_SIDE / max(1.0, curves_per_row))

    def bulge(self, passed: int) -> float:
        """Return how far the control points of a curve lie outside of the rows.

        A curve reaches three quarters of the way to its control points.
        """
        most_passed = max(map(abs, self.depths_passed))
        largest = max(5.0, math.log2(most_passed + 1))
        share = math.log2(abs(passed) + 1) / largest
        return 14 + (BEND - 20) * share * 4 / 3


def _row_width(boxes: int) -> float:
    return boxes * BOX + (boxes - 1) * BETWEEN


def diagram(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Markup:
    """Draw a network."""
    layout = Layout(len(boxes), arrows)
    largest = max((arrow.carries for arrow in arrows), default=0.0) or 1.0
    parts = []
    for arrow, passed in zip(arrows, layout.depths_passed):
        line, tip = _arrow_paths(layout, arrow, passed)
        names = f"{boxes[arrow.source].name} → {boxes[arrow.target].name}"
        title = escape(printable(f"{names}: {arrow.words}"))
        colour = INK if arrow.carries > 0 else SOFT
        width = max(NARROWEST, layout.widest_arrow * arrow.carries / largest)
        parts.append(
            f'<g><path d="{line}" fill="none" stroke="{colour}" stroke-opacity=".6" '
            f'stroke-width="{width:.1f}"/>'
            f'<path d="{tip}" fill="{colour}"/><title>{title}</title></g>',
        )
    for box, x, y in zip(boxes, layout.x, layout.y):
        parts += _box_parts(box, x, y)
    return Markup(
        f'<svg viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" '
        f'style="width:{layout.width:.0f}px" role="img" '
        'aria-label="the network: populations and projections">'
        f"{''.join(parts)}</svg>",
    )


def _arrow_paths(layout: Layout, arrow: Arrow, passed: int) -> Tuple[str, str]:
    """Return the paths of an arrow's line and tip, given the rows that it passes."""
    x = layout.x[arrow.source]
    y = layout.y[arrow.source] + TALL / 2
    end_x = layout.x[arrow.target]
    end_y = layout.y[arrow.target] + TALL / 2
    if passed == 1:  # from the middle below to the middle above
        line = f"M{x + BOX / 2:.1f} {y + TALL / 2:.1f}"
        line += f"L{end_x + BOX / 2:.1f} {end_y - TALL / 2 - 6:.1f}"
        tip = f"M{end_x + BOX / 2 - 5:.1f} {end_y - TALL / 2 - 7:.1f}h10l-5 7z"
        return line, tip
    # From side to side
    side = -1
    bulge = layout.left - layout.bulge(passed)
    if passed > 1:
        side = 1
        bulge = layout.right + layout.bulge(passed)
        x += BOX
        end_x += BOX
    if arrow.source == arrow.target:
        bulge = x - LOOP
    line = f"M{x:.1f} {y + 6:.1f}C{bulge:.1f} {y + 6:.1f} {bulge:.1f} {end_y - 6:.1f}"
    line += f" {end_x + side * 6:.1f} {end_y - 6:.1f}"
    tip = f"M{end_x + side * 7:.1f} {end_y - 11:.1f}v10l{-side * 7} -5z"
    return line, tip


def _box_parts(box: Box, x: float, y: float) -> Iterator[str]:
    """Yield the elements of a box with its two lines of text."""
    title = escape(printable(f"{box.name}: {box.words}"))
    opacity = 0.06 + 0.5 * min(1.0, max(0.0, box.share))
    yield (
        f'<g><title>{title}</title><rect x="{x:.1f}" y="{y:.1f}" width="{BOX:.0f}" '
        f'height="{TALL:.0f}" rx="5" fill="#fff" stroke="{INK}"/>'
        f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{BOX - 2:.0f}" '
        f'height="{TALL - 2:.0f}" rx="4" fill="{HUES[0]}" '
        f'fill-opacity="{opacity:.2f}"/>'
    )
    for words, size, down in (
        (shortened(box.name, LONGEST), 11, 14),
        (printable(box.words), 9.5, 28),
    ):
        yield (
            f'<text x="{x + BOX / 2:.1f}" y="{y + down:.1f}" text-anchor="middle" '
            f'font-size="{size:g}" fill="{INK}">{escape(words)}</text>'
        )
    yield "</g>"


def depths(boxes: int, arrows: Sequence[Arrow]) -> List[int]:
    """Return the depth of each box: the number of arrows of the longest path to it.

    In a cycle, arrows from a later box to an earlier one do not count.
    """
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(boxes))
    graph.add_edges_from((arrow.source, arrow.target) for arrow in arrows)
    # The strongly connected component of each box
    cycle = networkx.condensation(graph).graph["mapping"]
    graph.remove_edges_from(
        [(s, t) for s, t in graph.edges if s >= t and cycle[s] == cycle[t]],
    )
    depth = [0] * boxes
    for row, row_boxes in enumerate(networkx.topological_generations(graph)):
        for box in row_boxes:
            depth[box] = row
    return depth
