"""A mapping on its mesh: which part of the network sits where, and how full the cores are."""

from typing import List

import numpy as np
from markupsafe import Markup

from snnb.mapping.mapping import Mapping
from snnb.report.charts import svg

MOST = 64  # cores along a side that are drawn one by one


def mesh(mapping: Mapping) -> Markup:
    """Draw the cores in use. The colour goes from the first neurons of the network (blue) to the last (red).

    Of a larger mesh the part in use is shown, of more cores than `MOST` along a side several as one.
    """
    held = np.bincount(mapping.core, minlength=mapping.cores)
    position = np.bincount(mapping.core, np.arange(mapping.core.size), mapping.cores) / np.maximum(held, 1)
    used = np.flatnonzero(held)
    places = mapping.place[used]
    low, high = (places.min(axis=0), places.max(axis=0)) if used.size else (np.zeros(2, int), np.zeros(2, int))
    if max(mapping.hardware.mesh) <= MOST:
        low, high = np.zeros(2, int), np.array(mapping.hardware.mesh) - 1
    span = high - low + 1
    several = -(-int(span.max()) // MOST)
    columns, rows = (-(-span // several)).tolist()
    cells = np.zeros((rows, columns, 3))  # neurons, neurons × position, limit
    x, y = ((places - low) // several).T
    limit = mapping.hardware.neurons_per_core
    np.add.at(cells, (y, x), np.stack([held[used], held[used] * position[used], np.full(used.size, limit)], axis=1))
    side = max(6.0, min(44.0, 560.0 / max(columns, rows)))
    parts: List[str] = []
    for row, column in np.ndindex(rows, columns):
        neurons, weighted, room = cells[row, column]
        left, top = 2 + column * side, 2 + (rows - 1 - row) * side
        frame = f'x="{left:.1f}" y="{top:.1f}" width="{side - 1:.1f}" height="{side - 1:.1f}"'
        parts.append(f'<rect {frame} fill="#eef1f4"/>')
        if neurons:
            hue = 220 - 220 * weighted / neurons / max(1, mapping.core.size - 1)
            full = min(1.0, neurons / room)
            tall = max(1.0, (side - 1) * full)
            parts.append(
                f'<rect x="{left:.1f}" y="{top + side - 1 - tall:.1f}" width="{side - 1:.1f}" height="{tall:.1f}" '
                f'fill="hsl({hue:.0f} 60% 50%)"><title>{neurons:,.0f} neurons, {full:.0%} full</title></rect>'
            )
    return svg(columns * side + 4, rows * side + 4, parts, "cores of the mesh, filled as far as they hold neurons")
