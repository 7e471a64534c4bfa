"""Section of the page about mappings: a table of all mappings of the run, and details of one of them."""

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple, cast

import numpy as np

from snnb.core.formatting import energy
from snnb.report.page import Figure, Section, Table, drawn
from snnb.results.compare import MAPPING_HEAD, NETWORK_ENERGY, mappings_of
from snnb.rundir.directory import RunDirectory
from snnb.stages.map import KIND, MapRecord
from snnb.stages.stage import unaltered

if TYPE_CHECKING:
    from snnb.mapping.files import Mapping
    from snnb.mapping.layers.layer_cost import LayerCost

FEW_CORES, MOST_CORES = 25, 256  # rows of the table of cores: without collapsing it, and at most
CONTENTS = ("neurons", "axons", "synapses")  # columns of the table of cores
Row = Tuple[str, ...]


def mapping_section(run: RunDirectory, stamp: Optional[str]) -> Section:
    """Return the section about all mappings of a run, with details of the one named `stamp`; None if there is none."""
    costs = mappings_of(run)
    rows = [(cost.stamp + (" (below)" if cost.stamp == stamp else ""), *cost.row[1:]) for cost in costs]
    every = Table(MAPPING_HEAD, rows, right=(4, 5, 6, 7, 8))
    if stamp is None:
        command = shlex.join(["snnb", "map", "--run-dir", str(run.path)]) + " --hardware NAME"
        words = [f"No mapping of this graph: `{command}` makes one."]
        return Section("mapping", "Mapping", words, tables=[every] if rows else [])
    from snnb.mapping.files import Mapping
    from snnb.mapping.layers.layer_cost import COST, LayerCost

    (last,) = (cost for cost in costs if cost.stamp == stamp)
    record = cast("Dict[str, MapRecord]", run.records_of(KIND.name))[stamp]
    for file in record.outputs:
        unaltered(run, file.path)
    mesh = record.details.mesh
    if mesh is None:
        return _layers(LayerCost.read(run.path / run.directory_of("map", stamp) / COST), last.row[2], every, record)
    opened, details = Mapping.open(run.path / run.directory_of("map", stamp)), record.details
    peak = record.metrics.get("link_load_peak")
    unit = "spikes per sample over a link in one direction, in the busiest step of the recorded samples"
    further = [] if peak is None else [("link load peak", f"{peak:,.6g}", unit)]
    words = [
        "The first table has all mappings of the run: spikes between cores and energy are per sample, the ratio "
        f"divides the spikes by the spikes of the sequential mapping; {NETWORK_ENERGY}.",
        f"Below, maps/{stamp}: {details.neurons:,} neurons on {details.cores:,} cores of {last.row[2]} "
        f"({mesh[0]}×{mesh[1]}), method {details.method}. The filled height of a core shows its "
        "number of neurons relative to the limit, its colours show its layers.",
    ]
    warnings = [f"Warning: {warning}." for warning in record.warnings]
    section = _neurons(opened, every, [*warnings, *words], further, last.sequential_connectivity or 0.0)
    return replace(section, key_figures=[(f"cores of {last.row[2]}", f"{details.cores:,}")])


def _neurons(mapping: "Mapping", every: Table, words: List[str], further: Sequence[Row], sequential: float) -> Section:
    """Return the section about a mapping of neurons, below the table `every` of all mappings.

    `further` are rows (cost, value, unit) of its table of costs, `sequential` the spikes between cores per sample of
    the sequential mapping.
    """
    from snnb.plots.mapping import layers_of_cores, plot_events, plot_mapping, plot_traffic

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


def _cost_table(mapping: "Mapping", further: Sequence[Row], sequential: float) -> Table:
    """Return the costs, with the spikes between cores of the sequential mapping as the baseline."""
    from snnb.mapping.cost import UNITS

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


def _layers(cost: "LayerCost", chip: str, every: Table, record: MapRecord) -> Section:
    """Return the section about a mapping of whole layers onto cores."""
    from snnb.plots.mapping import plot_layers

    head = ("layer", "core", "kernel", "neurons", "biases", "spikes in", "spikes out", "synaptic operations")
    rows = [
        (
            row.name,
            str(row.core),
            *(f"{number:,}" for number in (row.kernel, row.neurons, row.biases)),
            *(f"{number:,.6g}" for number in (row.spikes_in, row.spikes_out, row.synaptic_operations)),
        )
        for row in cost.layers
    ]
    words = [
        *(f"Warning: {warning}." for warning in record.warnings),
        f"The first table has all mappings of the run. Below, maps of whole layers onto cores of {chip}: "
        "entries in the three memories of a core; spikes from and to other cores and synaptic operations per sample.",
    ]
    tables = [every, Table(head, rows, right=(1, 2, 3, 4, 5, 6, 7))]
    figures = [Figure(drawn("layers on cores", plot_layers(cost)))]
    key_figures = [(f"cores of {chip}", f"{cost.cores:,}")]
    return Section("mapping", "Mapping", words, figures, tables=tables, key_figures=key_figures)
