"""Picture of a mapping on its mesh: which layers each core holds, and how full it is."""

from typing import List

import numpy as np
from markupsafe import Markup, escape
from scipy.sparse import csr_matrix

from snnb.io.colours import layer_colours
from snnb.io.text import printable
from snnb.mapping.mapping import Mapping
from snnb.report.charts import svg

MOST = 64  # cores along a side that are drawn one by one


def mesh(mapping: Mapping) -> Markup:
    """Draw the cores in use, filled as far as they hold neurons, in the colours of their layers.

    Of a mesh with more than `MOST` cores along a side, only the part in use is drawn. If that is also larger, a square
    stands for several cores.
    """
    used = np.unique(mapping.core)
    places = mapping.place[used]
    low, high = (places.min(axis=0), places.max(axis=0)) if used.size else (np.zeros(2, int), np.zeros(2, int))
    if max(mapping.hardware.mesh) <= MOST:
        low, high = np.zeros(2, int), np.array(mapping.hardware.mesh) - 1
    several = -(-int((high - low + 1).max()) // MOST)
    columns, rows = (-(-(high - low + 1) // several)).tolist()
    x, y = ((mapping.place - low) // several).T
    square = y * columns + x  # of each core; those not in use may lie outside
    layer = np.repeat(np.arange(len(mapping.layers)), list(mapping.layers.values()))
    members = csr_matrix(  # neurons of each square in each layer
        (np.ones(layer.size, np.int64), (square[mapping.core], layer)), shape=(rows * columns, len(mapping.layers))
    )
    room = np.bincount(square[used], minlength=rows * columns) * mapping.hardware.neurons_per_core
    side = max(6.0, min(44.0, 560.0 / max(columns, rows)))
    names = list(mapping.layers)
    colours = ["#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in layer_colours(len(names))]
    parts: List[str] = []
    for number in range(rows * columns):
        left, top = 2 + number % columns * side, 2 + (rows - 1 - number // columns) * side
        parts.append(f'<rect {_frame(left, top, side - 1, side - 1)} fill="#eef1f4"/>')
        inside = slice(members.indptr[number], members.indptr[number + 1])
        layers, neurons = members.indices[inside], members.data[inside]
        if not neurons.size:
            continue
        order = np.argsort(layers)
        full = neurons.sum() / room[number]
        tall = max(1.0, (side - 1) * min(1.0, full))
        ends = left + (side - 1) * np.append(0, np.cumsum(neurons[order])) / neurons.sum()
        parts.append(f"<g><title>{neurons.sum():,} neurons, {full:.0%} full: ")
        parts.append(f"{escape(printable(', '.join(names[one] for one in layers[order])))}</title>")
        parts += [
            f'<rect {_frame(start, top + side - 1 - tall, end - start, tall)} fill="{colours[one]}"/>'
            for one, start, end in zip(layers[order], ends, ends[1:])
        ]
        parts.append("</g>")
    return svg(columns * side + 4, rows * side + 4, parts, "cores of the mesh, filled as far as they hold neurons")


def _frame(left: float, top: float, width: float, height: float) -> str:
    return f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
