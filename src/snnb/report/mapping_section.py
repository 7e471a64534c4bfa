"""Section of the page about mappings: a table of all mappings of the run, and details of the latest mapping."""

from typing import List, Sequence, Tuple

import numpy as np

from snnb.core.formatting import energy
from snnb.mapping.cost import UNITS
from snnb.mapping.files import Mapping
from snnb.plots.mapping import layers_of_cores, plot_events, plot_mapping, plot_traffic
from snnb.report.page import Figure, Section, Table, drawn

FEW_CORES, MOST_CORES = 25, 256  # rows of the table of cores: without collapsing it, and at most
CONTENTS = ("neurons", "axons", "synapses")  # columns of the table of cores
Row = Tuple[str, ...]


def mapping_section(
    mapping: Mapping, every: Table, words: List[str], further: Sequence[Row], sequential: float
) -> Section:
    """Return the section about mappings: the table `every` of all mappings, and details of the latest mapping.

    `further` are rows (cost, value, unit) of its table of costs, `sequential` the spikes between cores per sample of
    the sequential mapping.
    """
    contents = []
    for name, core in mapping.cost.fill.items():
        full = ("unlimited", "") if core.limit is None else (f"{core.limit:,}", f"{core.share:.0%}")
        contents.append((name.replace("_", " "), f"{core.mean:,.1f}", f"{core.max:,}", *full))
    limits = Table(("per core", "mean", "maximum", "limit", "fullest core"), contents, right=(1, 2, 3, 4))
    layers, members, rows = list(mapping.cost.layers), layers_of_cores(mapping), []
    for number in np.flatnonzero(mapping.per_core["neurons"])[:MOST_CORES].tolist():
        x, y = mapping.place_of(number)
        numbers = (f"{mapping.per_core[name][number]:,}" for name in CONTENTS)
        held = members[number]
        names = ", ".join(f"{layers[layer]} ({count:,})" for layer, count in zip(held.indices, held.data))
        rows.append((str(number), f"{x}, {y}", *numbers, names))
    cores = Table(("core", "x, y", *CONTENTS, "layers (neurons)"), rows, right=(0, 2, 3, 4))
    few = len(cores.rows) <= FEW_CORES
    shown = (
        f"the first {MOST_CORES} cores" if np.count_nonzero(mapping.per_core["neurons"]) > MOST_CORES else "all cores"
    )
    tables = [every, limits, *([cores] if few else []), _cost_table(mapping, further, sequential)]
    folded = {} if few else {f"Layers per core, {shown}": cores}
    figures = [
        Figure(drawn("layers on the mesh of cores", plot_mapping(mapping))),
        Figure(drawn("spikes into, out of and between the cores", plot_traffic(mapping))),
    ]
    if mapping.cost.energy_by_event_pj is not None:
        figures.append(Figure(drawn("contents, energy and time of the cores", plot_events(mapping))))
    return Section("mapping", "Mapping", words, figures, tables=tables, folded=folded)


def _cost_table(mapping: Mapping, further: Sequence[Row], sequential: float) -> Table:
    """Return the costs, with the spikes between cores of the sequential mapping as the baseline."""
    rows: List[Row] = []
    of_events = mapping.hardware.energy_of == "events"
    for name, value in mapping.cost.figures.items():
        if name == "energy_pj":
            rows.append(("energy" if of_events else "network energy", energy(value), "per sample"))
            continue
        rows.append((name.replace("_", " "), f"{value:,.6g}", UNITS[name]))
        if name == "connectivity":
            ratio = f"; ratio {value / sequential:.3f}" if sequential else ""
            rows.append(("connectivity, sequential", f"{sequential:,.6g}", f"{UNITS[name]}, the baseline{ratio}"))
    return Table(("cost", "value", "unit"), [*rows, *further], right=(1,))
