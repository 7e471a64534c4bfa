"""The network as a picture: populations are boxes, projections are arrows whose width is what they carry.

Populations stand in rows by their depth, the longest way from the input, those of one row side by side. A projection to
the next row is a straight arrow; one that passes rows over bends round them on the right.
"""

import math
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from markupsafe import Markup, escape

from snnb.io.text import printable
from snnb.report.charts import INK, SOFT, short, svg, text

BOX, TALL, GAP, BETWEEN = 204.0, 34.0, 26.0, 22.0  # width and height of a box, room below and beside it
WIDEST, NARROWEST = 12.0, 1.2  # arrows
MARGIN, BEND = 12.0, 150.0
SIDE_BY_SIDE = 5  # bent arrows beside one row that are drawn at full width
FEW_BENDS, FEW_ROWS = 40, 8  # more bends, and longer ones, share the room by their lengths
LONGEST = 27  # characters of a name in a box


class Box(NamedTuple):
    """A population: its name, a line of further words, and a share from 0 to 1 that colours it."""

    name: str
    words: str
    share: float


class Arrow(NamedTuple):
    """A projection: numbers of the source and target among the boxes, what it carries, and that in words."""

    source: int
    target: int
    carries: float
    words: str


def diagram(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Markup:
    """Draw a network; each arrow leads from an earlier box to a later one."""
    depth = depths(len(boxes), arrows)
    rows: Dict[int, List[int]] = {}
    for number, at in enumerate(depth):
        rows.setdefault(at, []).append(number)
    widest = max((len(row) for row in rows.values()), default=1)
    inner = widest * BOX + (widest - 1) * BETWEEN
    left = {
        number: MARGIN + (inner - len(row) * BOX - (len(row) - 1) * BETWEEN) / 2 + place * (BOX + BETWEEN)
        for row in rows.values()
        for place, number in enumerate(row)
    }
    top = [MARGIN + at * (TALL + GAP) for at in depth]
    most = max((arrow.carries for arrow in arrows), default=0.0)
    passed = [depth[arrow.target] - depth[arrow.source] for arrow in arrows]
    bends = [arrow for arrow, rows_over in zip(arrows, passed) if rows_over > 1]
    # Where many arrows bend round the same rows, all arrows are thinner, so that they can be told apart.
    beside = np.zeros(len(rows) + 1, int)
    np.add.at(beside, [depth[arrow.source] for arrow in bends], 1)
    np.add.at(beside, [depth[arrow.target] for arrow in bends], -1)
    widest_arrow = WIDEST * min(1.0, SIDE_BY_SIDE / max(1, int(beside.cumsum().max())))
    parts = []
    for arrow in arrows:
        width = max(NARROWEST, widest_arrow * arrow.carries / most) if most > 0 else NARROWEST
        colour = INK if arrow.carries > 0 else SOFT
        out = left[arrow.source] + BOX / 2, top[arrow.source] + TALL
        into = left[arrow.target] + BOX / 2, top[arrow.target]
        if depth[arrow.target] - depth[arrow.source] > 1:
            crowded = len(bends) > FEW_BENDS and max(passed) > FEW_ROWS
            share = (depth[arrow.target] - depth[arrow.source]) / max(passed) if crowded else None
            line, tip = _round(left, top, arrow, MARGIN + inner, share)
        else:
            line = f"M{out[0]:.1f} {out[1]:.1f}L{into[0]:.1f} {into[1] - 6:.1f}"
            tip = f"M{into[0] - 5:.1f} {into[1] - 7:.1f}h10l-5 7z"
        title = escape(printable(f"{boxes[arrow.source].name} → {boxes[arrow.target].name}: {arrow.words}"))
        parts.append(
            f'<g><path d="{line}" fill="none" stroke="{colour}" stroke-opacity=".6" stroke-width="{width:.1f}"/>'
            f'<path d="{tip}" fill="{colour}"/><title>{title}</title></g>'
        )
    for number, box in enumerate(boxes):
        parts += _box(left[number], top[number], box)
    height = MARGIN * 2 + len(rows) * (TALL + GAP) - GAP
    return svg(inner + 2 * MARGIN + (BEND if bends else 0), height, parts, "the network: populations and projections")


def depths(boxes: int, arrows: Sequence[Arrow]) -> List[int]:
    """Return for each box how many arrows the longest way to it has."""
    depth = [0] * boxes
    for arrow in sorted(arrows, key=lambda arrow: arrow.target):
        depth[arrow.target] = max(depth[arrow.target], depth[arrow.source] + 1)
    return depth


def _round(left: Dict[int, float], top: List[float], arrow: Arrow, edge: float, share: Optional[float]) -> List[str]:
    """Return a bent line from the right of a box to the right of a lower one, and its tip.

    It bends out as far as `share`, of the longest bend, says; where there are few, by the logarithm of its length.
    """
    if share is None:
        share = min(1.0, math.log2((top[arrow.target] - top[arrow.source]) / (TALL + GAP) + 1) / 8)
    bulge = edge + 14 + (BEND - 20) * share * 4 / 3  # a curve reaches three quarters of the way to its control points
    (x, y), (u, v) = ((left[n] + BOX, top[n] + TALL / 2) for n in (arrow.source, arrow.target))
    line = f"M{x:.1f} {y + 6:.1f}C{bulge:.1f} {y + 6:.1f} {bulge:.1f} {v - 6:.1f} {u + 6:.1f} {v - 6:.1f}"
    return [line, f"M{u + 7:.1f} {v - 11:.1f}v10l-7 -5z"]


def _box(x: float, y: float, box: Box) -> List[str]:
    title = escape(printable(f"{box.name}: {box.words}"))
    colour = 0.06 + 0.5 * min(1.0, max(0.0, box.share))
    return [
        f'<g><title>{title}</title><rect x="{x:.1f}" y="{y:.1f}" width="{BOX:.0f}" height="{TALL:.0f}" rx="5" '
        f'fill="#fff" stroke="{INK}"/><rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{BOX - 2:.0f}" '
        f'height="{TALL - 2:.0f}" rx="4" fill="#2364aa" fill-opacity="{colour:.2f}"/>',
        text(x + BOX / 2, y + 14, short(printable(box.name), LONGEST), anchor="middle"),
        text(x + BOX / 2, y + 28, box.words, anchor="middle", size=9),
        "</g>",
    ]
