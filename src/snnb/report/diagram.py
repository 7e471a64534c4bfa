"""Diagram of the network: populations are boxes, projections are arrows; a wider arrow carries more spikes.

Written as SVG: boxes and arrows have tooltips, and the height of the diagram follows from the depth of the network.
Populations of equal depth, the length of the longest path from the input, are a row. A projection to the next row is a
straight arrow; one that skips rows is a curve on the right of them. In a cycle, arrows that lead up or to their own
population are curves on the left.
"""

import math
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from markupsafe import Markup, escape

from snnb.io.figures import HUES
from snnb.io.text import printable

INK, SOFT = "#1f2933", "#cbd2d9"
BOX, TALL, GAP, BETWEEN = 204.0, 34.0, 26.0, 22.0  # width and height of a box, space below and next to it
WIDEST, NARROWEST = 12.0, 1.2  # arrows
MARGIN, BEND, LOOP = 12.0, 150.0, 28.0
SIDE_BY_SIDE = 5  # number of curves next to one row up to which they have the full width
FEW_BENDS, FEW_ROWS = 40, 8  # numbers of curves and of skipped rows from which curves are spread by their lengths
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
    back = [arrow for arrow in arrows if depth[arrow.target] <= depth[arrow.source]]
    margin = MARGIN + (BEND if any(arrow.source != arrow.target for arrow in back) else LOOP if back else 0)
    rows: Dict[int, List[int]] = {}
    for number, at in enumerate(depth):
        rows.setdefault(at, []).append(number)
    widest = max((len(row) for row in rows.values()), default=1)
    inner = widest * BOX + (widest - 1) * BETWEEN
    left = {
        number: margin + (inner - len(row) * BOX - (len(row) - 1) * BETWEEN) / 2 + place * (BOX + BETWEEN)
        for row in rows.values()
        for place, number in enumerate(row)
    }
    top = [MARGIN + at * (TALL + GAP) for at in depth]
    most = max((arrow.carries for arrow in arrows), default=0.0)
    passed = [depth[arrow.target] - depth[arrow.source] for arrow in arrows]
    bends = [arrow for arrow, rows_over in zip(arrows, passed) if rows_over > 1]
    # With many curves next to the same rows, all arrows are thinner, so that they can be distinguished.
    curves = np.zeros(len(rows) + 1, int)
    np.add.at(curves, [depth[arrow.source] for arrow in bends], 1)
    np.add.at(curves, [depth[arrow.target] for arrow in bends], -1)
    on_the_left = np.zeros(len(rows) + 1, int)
    np.add.at(on_the_left, [depth[arrow.target] for arrow in back], 1)
    np.add.at(on_the_left, [depth[arrow.source] + 1 for arrow in back], -1)
    crowd = max(1, *curves.cumsum().tolist(), *on_the_left.cumsum().tolist())
    widest_arrow = WIDEST * min(1.0, SIDE_BY_SIDE / crowd)
    parts = []
    for arrow in arrows:
        width = max(NARROWEST, widest_arrow * arrow.carries / most) if most > 0 else NARROWEST
        colour = INK if arrow.carries > 0 else SOFT
        out = left[arrow.source] + BOX / 2, top[arrow.source] + TALL
        into = left[arrow.target] + BOX / 2, top[arrow.target]
        if depth[arrow.target] - depth[arrow.source] > 1:
            crowded = len(bends) > FEW_BENDS and max(passed) > FEW_ROWS
            share = (depth[arrow.target] - depth[arrow.source]) / max(passed) if crowded else None
            line, tip = _round(left, top, arrow, margin + inner, share)
        elif depth[arrow.target] <= depth[arrow.source]:
            line, tip = _back(left, top, arrow, margin)
        else:
            line = f"M{out[0]:.1f} {out[1]:.1f}L{into[0]:.1f} {into[1] - 6:.1f}"
            tip = f"M{into[0] - 5:.1f} {into[1] - 7:.1f}h10l-5 7z"
        title = escape(printable(f"{boxes[arrow.source].name} → {boxes[arrow.target].name}: {arrow.words}"))
        parts.append(
            f'<g><path d="{line}" fill="none" stroke="{colour}" stroke-opacity=".6" stroke-width="{width:.1f}"/>'
            f'<path d="{tip}" fill="{colour}"/><title>{title}</title></g>'
        )
    for number, box in enumerate(boxes):
        x, y = left[number], top[number]
        title = escape(printable(f"{box.name}: {box.words}"))
        opacity = 0.06 + 0.5 * min(1.0, max(0.0, box.share))
        begin, name = (LONGEST - 1) // 2, printable(box.name)
        name = name if len(name) <= LONGEST else f"{name[:begin]}…{name[begin + 1 - LONGEST :]}"
        parts.append(
            f'<g><title>{title}</title><rect x="{x:.1f}" y="{y:.1f}" width="{BOX:.0f}" height="{TALL:.0f}" rx="5" '
            f'fill="#fff" stroke="{INK}"/><rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{BOX - 2:.0f}" '
            f'height="{TALL - 2:.0f}" rx="4" fill="{HUES[0]}" fill-opacity="{opacity:.2f}"/>'
            f"{_text(x + BOX / 2, y + 14, name, 11)}{_text(x + BOX / 2, y + 28, box.words, 9.5)}</g>"
        )
    width, height = margin + inner + MARGIN + (BEND if bends else 0), MARGIN * 2 + len(rows) * (TALL + GAP) - GAP
    return Markup(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="width:{width:.0f}px" role="img" '
        f'aria-label="the network: populations and projections">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, size: float) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{size:g}" fill="{INK}">'
        f"{escape(printable(words))}</text>"
    )


def depths(boxes: int, arrows: Sequence[Arrow]) -> List[int]:
    """Return the depth of each box: the number of arrows of the longest path to it.

    In a cycle, arrows from a later box to an earlier one do not count.
    """
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(boxes))
    graph.add_edges_from((arrow.source, arrow.target) for arrow in arrows)
    cycles = networkx.condensation(graph)  # each is a node of a graph without cycles
    members = {cycle: sorted(within) for cycle, within in cycles.nodes(data="members")}
    in_order = networkx.lexicographical_topological_sort(cycles, key=lambda cycle: members[cycle][0])
    place = {box: number for number, box in enumerate(box for cycle in in_order for box in members[cycle])}
    depth = [0] * boxes
    for source, target in sorted(graph.edges, key=lambda edge: place[edge[1]]):
        if place[source] < place[target]:
            depth[target] = max(depth[target], depth[source] + 1)
    return depth


def _round(left: Dict[int, float], top: List[float], arrow: Arrow, edge: float, share: Optional[float]) -> List[str]:
    """Return the curve from the right of a box to the right of a lower one, and its tip.

    `share` is its distance from the boxes relative to that of the longest curve; None: by the logarithm of its length.
    """
    if share is None:
        share = min(1.0, math.log2((top[arrow.target] - top[arrow.source]) / (TALL + GAP) + 1) / 8)
    bulge = edge + 14 + (BEND - 20) * share * 4 / 3  # a curve reaches three quarters of the way to its control points
    (x, y), (u, v) = ((left[n] + BOX, top[n] + TALL / 2) for n in (arrow.source, arrow.target))
    line = f"M{x:.1f} {y + 6:.1f}C{bulge:.1f} {y + 6:.1f} {bulge:.1f} {v - 6:.1f} {u + 6:.1f} {v - 6:.1f}"
    return [line, f"M{u + 7:.1f} {v - 11:.1f}v10l-7 -5z"]


def _back(left: Dict[int, float], top: List[float], arrow: Arrow, edge: float) -> List[str]:
    """Return the curve from the left of a box to the left of one that is not lower, and its tip; or a loop."""
    (x, y), (u, v) = ((left[n], top[n] + TALL / 2) for n in (arrow.source, arrow.target))
    share = min(1.0, math.log2((y - v) / (TALL + GAP) + 1) / 8)
    bulge = x - LOOP if arrow.source == arrow.target else edge - 14 - (BEND - 20) * share * 4 / 3
    line = f"M{x:.1f} {y + 6:.1f}C{bulge:.1f} {y + 6:.1f} {bulge:.1f} {v - 6:.1f} {u - 6:.1f} {v - 6:.1f}"
    return [line, f"M{u - 7:.1f} {v - 11:.1f}v10l7 -5z"]
