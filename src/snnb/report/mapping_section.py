"""The section of the page about mappings: all of the run, and how the latest fills the cores."""

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from markupsafe import Markup, escape
from scipy.sparse import csr_matrix

from snnb.core.formatting import energy
from snnb.io.colours import layer_colours
from snnb.io.text import printable
from snnb.mapping.limits import NO_LIMIT, Limits
from snnb.mapping.mapping import Mapping
from snnb.mapping.mapping_cost import UNITS
from snnb.report.charts import Line, bar_chart, line_chart, svg
from snnb.report.page import Figure, Section, Table

FEW_CORES, MOST_CORES = 25, 256  # that are listed openly, and at all
MOST = 64  # cores along a side of the mesh that are drawn one by one
CONTENTS = ("neurons", "axons", "synapses")  # columns of the table of cores
Row = Tuple[str, ...]


def mapping_section(
    mapping: Mapping, every: Table, words: List[str], further: Sequence[Row], sequential: float
) -> Section:
    """Return the section.

    Parameters
    ----------
    mapping : Mapping
        The latest.
    every : Table
        All mappings of the run.
    words : list of str
        About the latest.
    further : sequence of (cost, value, unit)
        Further rows of the table of costs.
    sequential : float
        Spikes between cores per sample of the sequential mapping.
    """
    cores = _cores_table(mapping)
    few = len(cores.rows) <= FEW_CORES
    shown = (
        f"the first {MOST_CORES} cores" if np.count_nonzero(mapping.per_core["neurons"]) > MOST_CORES else "all cores"
    )
    tables = [every, _limits_table(mapping), *([cores] if few else []), _cost_table(mapping, further, sequential)]
    folded = {} if few else {f"Layers per core, {shown}": cores}
    figures = [Figure(mesh(mapping)), *map(Figure, _event_charts(mapping))]
    return Section("mapping", "Mapping", words, figures, tables=tables, folded=folded)


def _contents(mapping: Mapping) -> Dict[str, Tuple[np.ndarray, Optional[int]]]:
    """Return what each core with neurons holds, shape (cores,), and the limit or None."""
    used, limits = mapping.per_core["neurons"] > 0, Limits.of(mapping.hardware)._asdict()
    return {
        name: (mapping.per_core[name][used], None if limit == NO_LIMIT else limit)
        for name, limit in limits.items()
        if name in mapping.per_core
    }


def _event_charts(mapping: Mapping) -> List[Markup]:
    """Draw contents, energies and times, if the hardware has figures of events."""
    energies = mapping.cost.energy_by_event_pj
    if not energies:
        return []
    cores = np.flatnonzero(mapping.per_core["neurons"]).tolist()
    filled = [
        Line(name.replace("_", " "), cores, (100 * numbers / limit).tolist())
        for name, (numbers, limit) in _contents(mapping).items()
        if limit is not None
    ]
    shown = [energy(value) for value in energies.values()]
    charts = [
        line_chart(filled, "core", "contents, % of the limit", whole_x=True),
        bar_chart([name.replace("_", " ") for name in energies], list(energies.values()), shown, "energy"),
    ]
    if "step_ns" in mapping.per_core:
        times = (mapping.per_core["step_ns"][cores] / 1000).tolist()
        charts.append(line_chart([Line("time of a step", cores, times)], "core", "µs", whole_x=True))
    return charts


def _limits_table(mapping: Mapping) -> Table:
    """Return how full the cores with neurons are."""
    rows = []
    for name, (column, limit) in _contents(mapping).items():
        most = int(column.max(initial=0))
        mean = float(column.mean()) if column.size else 0.0
        full = ("any number", "") if limit is None else (f"{limit:,}", f"{most / limit:.0%}")
        rows.append((name.replace("_", " "), f"{mean:,.1f}", f"{most:,}", *full))
    return Table(("per core", "mean", "most", "limit", "fullest core"), rows, right=(1, 2, 3, 4))


def _cores_table(mapping: Mapping) -> Table:
    """Return place, contents and layers of each core with neurons, at most `MOST_CORES`."""
    layers = list(mapping.cost.layers.items())
    population = np.repeat(np.arange(len(layers)), [size for _, size in layers])
    pairs, counts = np.unique(mapping.core.astype(np.int64) * len(layers) + population, return_counts=True)
    held: Dict[int, List[str]] = {}
    for pair, count in zip(pairs, counts):
        core, layer = divmod(int(pair), len(layers))
        if core not in held and len(held) == MOST_CORES:
            break
        held.setdefault(core, []).append(f"{layers[layer][0]} ({count:,})")
    rows = []
    for core, names in held.items():
        x, y = mapping.place_of(core)
        rows.append(
            (str(core), f"{x}, {y}", *(f"{mapping.per_core[name][core]:,}" for name in CONTENTS), ", ".join(names))
        )
    return Table(("core", "x, y", *CONTENTS, "layers (neurons)"), rows, right=(0, 2, 3, 4))


def _cost_table(mapping: Mapping, further: Sequence[Row], sequential: float) -> Table:
    """Return the costs; first the spikes between cores beside those of the sequential mapping."""
    rows: List[Row] = []
    for name, value in mapping.cost.figures.items():
        if name == "energy_pj":
            rows.append(("energy", energy(value), "per sample"))
            continue
        rows.append((name.replace("_", " "), f"{value:,.6g}", UNITS[name]))
        if name == "connectivity":
            ratio = f"; ratio {value / sequential:.3f}" if sequential else ""
            rows.append(("connectivity, sequential", f"{sequential:,.6g}", f"{UNITS[name]}, the baseline{ratio}"))
    return Table(("cost", "value", "unit"), [*rows, *further], right=(1,))


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
    layer = np.repeat(np.arange(len(mapping.cost.layers)), list(mapping.cost.layers.values()))
    members = csr_matrix(  # neurons of each square in each layer
        (np.ones(layer.size, np.int64), (square[mapping.core], layer)), shape=(rows * columns, len(mapping.cost.layers))
    )
    room = np.bincount(square[used], minlength=rows * columns) * mapping.hardware.neurons_per_core
    side = max(6.0, min(44.0, 560.0 / max(columns, rows)))
    names = list(mapping.cost.layers)
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
