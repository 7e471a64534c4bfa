"""The section of the page about mappings: all of the run, and how the latest fills the cores."""

from typing import Dict, List, Sequence, Tuple

import numpy as np

from snnb.core.formatting import energy
from snnb.mapping.mapping import HELD, UNITS, Mapping
from snnb.report.mesh_figure import mesh
from snnb.report.page import Figure, Section, Table

TITLE = "Mapping"
FEW_CORES, MOST_CORES = 25, 256  # that are listed openly, and at all
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
    further : sequence of tuple of str
        Further rows of the table of costs: cost, value, unit.
    sequential : float
        Spikes between cores per sample of the sequential mapping.
    """
    cores = cores_table(mapping)
    few = len(cores.rows) <= FEW_CORES
    shown = f"the first {MOST_CORES} cores" if np.count_nonzero(mapping.held[:, 0]) > MOST_CORES else "all cores"
    tables = [every, limits_table(mapping), *([cores] if few else []), cost_table(mapping, further, sequential)]
    folded = {} if few else {f"Layers per core, {shown}": cores}
    return Section("mapping", TITLE, words, [Figure(mesh(mapping))], tables=tables, folded=folded)


def limits_table(mapping: Mapping) -> Table:
    """Return how full the cores with neurons are."""
    chip, used = mapping.hardware, mapping.held[:, 0] > 0
    limits = (chip.neurons_per_core, chip.axons_per_core, chip.synapses_per_core)
    rows = []
    for name, limit, column in zip(HELD, limits, mapping.held[used].T):
        most = int(column.max(initial=0))
        mean = float(column.mean()) if column.size else 0.0
        full = ("any number", "") if limit is None else (f"{limit:,}", f"{most / limit:.0%}")
        rows.append((name, f"{mean:,.1f}", f"{most:,}", *full))
    return Table(("per core", "mean", "most", "limit", "fullest core"), rows, right=(1, 2, 3, 4))


def cores_table(mapping: Mapping) -> Table:
    """Return place, contents and layers of each core with neurons, at most `MOST_CORES`."""
    layers = list(mapping.layers.items())
    population = np.repeat(np.arange(len(layers)), [size for _, size in layers])
    pairs, counts = np.unique(mapping.core.astype(np.int64) * len(layers) + population, return_counts=True)
    held: Dict[int, List[str]] = {}
    for pair, count in zip(pairs, counts):
        core, layer = divmod(int(pair), len(layers))
        if core not in held and len(held) == MOST_CORES:
            break
        held.setdefault(core, []).append(f"{layers[layer][0]} ({count:,})")
    rows = [
        (
            str(core),
            "{}, {}".format(*mapping.place_of(core)),
            *(f"{number:,}" for number in mapping.held[core]),
            ", ".join(names),
        )
        for core, names in held.items()
    ]
    return Table(("core", "x, y", *HELD, "layers (neurons)"), rows, right=(0, 2, 3, 4))


def cost_table(mapping: Mapping, further: Sequence[Row], sequential: float) -> Table:
    """Return the costs; first the spikes between cores beside those of the sequential mapping."""
    rows: List[Row] = []
    for name, value in mapping.cost.items():
        if name == "energy_pj":
            rows.append(("energy", energy(value), "per sample"))
            continue
        rows.append((name.replace("_", " "), f"{value:,.6g}", UNITS[name]))
        if name == "connectivity":
            ratio = f"; ratio {value / sequential:.3f}" if sequential else ""
            rows.append(("connectivity, sequential", f"{sequential:,.6g}", f"{UNITS[name]}, the baseline{ratio}"))
    return Table(("cost", "value", "unit"), [*rows, *further], right=(1,))
