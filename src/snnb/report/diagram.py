"""Diagram of the network: populations are boxes, projections are arrows.

A wider arrow carries more spikes.

Written as SVG: boxes and arrows have tooltips, and the height of the diagram follows
from the depth of the network. Populations of equal depth, the length of the longest
path from the input, are a row. A projection to the next row is a straight arrow; one
that skips rows is a curve on the right of them. In a cycle, arrows that lead up or to
their own population are curves on the left.
"""

import math
from typing import Dict, List, NamedTuple, Sequence

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


def diagram(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Markup:
    """Draw a network."""
    depth = depths(len(boxes), arrows)
    depths_passed = [depth[arrow.target] - depth[arrow.source] for arrow in arrows]
    closes = any(
        rows <= 0 and arrow.source != arrow.target
        for arrow, rows in zip(arrows, depths_passed)
    )
    margin = MARGIN + (
        BEND if closes else LOOP if min(depths_passed, default=1) <= 0 else 0
    )
    rows: Dict[int, List[int]] = {}
    for number, at in enumerate(depth):
        rows.setdefault(at, []).append(number)
    widest = max((len(row) for row in rows.values()), default=1)
    inner = widest * BOX + (widest - 1) * BETWEEN
    left_edges = {
        number: margin
        + (inner - len(row) * BOX - (len(row) - 1) * BETWEEN) / 2
        + place * (BOX + BETWEEN)
        for row in rows.values()
        for place, number in enumerate(row)
    }
    top = [MARGIN + at * (TALL + GAP) for at in depth]
    largest = max((arrow.carries for arrow in arrows), default=0.0) or 1.0
    # With many curves next to a row, all arrows are thinner, so that they can be
    # distinguished.
    curves_per_row = sum(
        abs(rows_over) for rows_over in depths_passed if rows_over != 1
    ) / max(1, len(rows))
    widest_arrow = WIDEST * min(1.0, SIDE_BY_SIDE / max(1.0, curves_per_row))
    parts = []
    for arrow, forward in zip(arrows, depths_passed):
        (x, y), (u, v) = (
            (left_edges[number], top[number] + TALL / 2)
            for number in (arrow.source, arrow.target)
        )
        if forward == 1:
            line = (
                f"M{x + BOX / 2:.1f} {y + TALL / 2:.1f}L{u + BOX / 2:.1f} "
                f"{v - TALL / 2 - 6:.1f}"
            )
            tip = f"M{u + BOX / 2 - 5:.1f} {v - TALL / 2 - 7:.1f}h10l-5 7z"
        else:
            # From side to side; a curve reaches three quarters of the way to its
            # control points.
            side, edge = (1, margin + inner) if forward > 1 else (-1, margin)
            x, u = (x + BOX, u + BOX) if forward > 1 else (x, u)
            share = math.log2(abs(forward) + 1) / max(
                5.0,
                math.log2(max(map(abs, depths_passed)) + 1),
            )
            bulge = (
                x - LOOP
                if arrow.source == arrow.target
                else edge + side * (14 + (BEND - 20) * share * 4 / 3)
            )
            line = f"M{x:.1f} {y + 6:.1f}C{bulge:.1f} {y + 6:.1f}"
            line += f" {bulge:.1f} {v - 6:.1f} {u + side * 6:.1f} {v - 6:.1f}"
            tip = f"M{u + side * 7:.1f} {v - 11:.1f}v10l{-side * 7} -5z"
        title = escape(
            printable(
                f"{boxes[arrow.source].name} → {boxes[arrow.target].name}: "
                f"{arrow.words}",
            ),
        )
        colour, width = (
            INK if arrow.carries > 0 else SOFT,
            max(NARROWEST, widest_arrow * arrow.carries / largest),
        )
        parts.append(
            f'<g><path d="{line}" fill="none" stroke="{colour}" stroke-opacity=".6" stroke-width="{width:.1f}"/>'
            f'<path d="{tip}" fill="{colour}"/><title>{title}</title></g>',
        )
    for box, x, y in zip(
        boxes, (left_edges[number] for number in range(len(boxes))), top
    ):
        title = escape(printable(f"{box.name}: {box.words}"))
        opacity = 0.06 + 0.5 * min(1.0, max(0.0, box.share))
        parts.append(
            f'<g><title>{title}</title><rect x="{x:.1f}" y="{y:.1f}" width="{BOX:.0f}" height="{TALL:.0f}" rx="5" '
            f'fill="#fff" stroke="{INK}"/><rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{BOX - 2:.0f}" '
            f'height="{TALL - 2:.0f}" rx="4" fill="{HUES[0]}" fill-opacity="{opacity:.2f}"/>',
        )
        for words, size, down in (
            (shortened(box.name, LONGEST), 11, 14),
            (printable(box.words), 9.5, 28),
        ):
            parts.append(
                f'<text x="{x + BOX / 2:.1f}" y="{y + down:.1f}" text-anchor="middle" font-size="{size:g}" '
                f'fill="{INK}">{escape(words)}</text>',
            )
        parts.append("</g>")
    bend = BEND if max(depths_passed, default=1) > 1 else 0
    width, height = (
        margin + inner + MARGIN + bend,
        MARGIN * 2 + len(rows) * (TALL + GAP) - GAP,
    )
    return Markup(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="width:{width:.0f}px" role="img" '
        f'aria-label="the network: populations and projections">{"".join(parts)}</svg>',
    )


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
    depth = {
        box: place
        for place, row in enumerate(networkx.topological_generations(graph))
        for box in row
    }
    return [depth[box] for box in range(boxes)]
