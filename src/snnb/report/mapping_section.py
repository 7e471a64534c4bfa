"""Section of the page about mappings.

A table of all mappings of the run, and details of one of them.
"""

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, cast

import numpy as np

from snnb.core.quantities import legend, number, quantities_of, rows
from snnb.report.page import Figure, Section, Table, embed_figure
from snnb.results.compare import (
    MAPPING_TEXTS,
    MAPPINGS,
    MappingSummary,
    mapping_table,
    mappings_of,
)
from snnb.rundir.directory import RunDirectory
from snnb.stages.map import STAGE, MapDetails, MapRecord
from snnb.stages.stage import unaltered

if TYPE_CHECKING:
    from snnb.mapping.files import Mapping
    from snnb.mapping.layers.layer_cost import LayerCost

# Rows of the table of cores: without collapsing it, and at most
FEW_CORES, MOST_CORES = 25, 256
CONTENTS = ("neurons", "axons", "synapses")  # columns of the table of cores
COSTS = quantities_of(MapDetails)


def mapping_section(run: RunDirectory, stamp: Optional[str]) -> Section:
    """Return the section about all mappings of a run, with details of the one named `stamp`; None if there is none."""
    mappings = mappings_of(run)
    all_mappings = _table_of_mappings(mappings, stamp)
    if stamp is None:
        command = (
            shlex.join(["snnb", "map", "--run-dir", str(run.path)]) + " --hardware NAME"
        )
        words = [f"No mapping of this graph: `{command}` makes one."]
        return Section(
            "mapping", "Mapping", words, tables=[all_mappings] if mappings else []
        )
    from snnb.mapping.files import Mapping
    from snnb.mapping.layers.layer_cost import COST, LayerCost

    (chip,) = (
        mapping_summary.chip
        for mapping_summary in mappings
        if mapping_summary.stamp == stamp
    )
    record = cast("Dict[str, MapRecord]", run.records_of(STAGE.name))[stamp]
    details = record.details
    for file in record.outputs:
        unaltered(run, file.path)
    folder = run.path / run.directory_of("map", stamp)
    words = [
        *(f"Warning: {warning}." for warning in record.warnings),
        f"The first table has all mappings of the run; {legend(mappings, MAPPINGS)}.",
    ]
    if details.mesh is None:
        section = _layers(LayerCost.read(folder / COST), chip, all_mappings, words)
    else:
        words.append(
            f"Below, maps/{stamp}: {details.neurons:,} neurons on "
            f"{details.cores.cores:,} cores of {chip} "
            f"({details.mesh[0]}×{details.mesh[1]}), method {details.method}. The "
            "filled height of a core shows its number of neurons relative to the "
            "limit, its colours show its layers.",
        )
        costs = Table(("cost", "value", "unit"), rows(details, COSTS), right=(1,))
        section = _neurons(Mapping.open(folder), all_mappings, costs, words)
    return replace(
        section,
        key_figures=[(f"cores of {chip}", f"{details.cores.cores:,}")],
    )


def _table_of_mappings(
    mappings: Sequence[MappingSummary],
    stamp: Optional[str],
) -> Table:
    """Return a table of all mappings, without empty columns.

    The one named `stamp` is marked.
    """
    head, table = mapping_table(mappings)
    filled_columns = [column for column, cells in enumerate(zip(*table)) if any(cells)]
    marked_rows = []
    for name, *cells in table:
        row = [f"{name} (below)" if name == stamp else name, *cells]
        marked_rows.append([row[column] for column in filled_columns])
    right = [
        place
        for place, column in enumerate(filled_columns)
        if column >= len(MAPPING_TEXTS)
    ]
    return Table([head[column] for column in filled_columns], marked_rows, right=right)


def _neurons(
    mapping: "Mapping",
    all_mappings: Table,
    costs: Table,
    words: List[str],
) -> Section:
    """Return the section about a mapping of neurons.

    It has the tables of all mappings and of the costs of this one.
    """
    from snnb.plots.mapping import plot_events, plot_mapping, plot_traffic

    cores = _core_table(mapping)
    tables = [all_mappings, _limit_table(mapping), costs]
    folded_tables: Dict[str, Table] = {}
    if len(cores.rows) <= FEW_CORES:
        tables.insert(2, cores)
    else:
        used_cores = np.count_nonzero(mapping.per_core["neurons"])
        cores_text = "all cores"
        if used_cores > MOST_CORES:
            cores_text = f"the first {MOST_CORES} cores"
        folded_tables[f"Layers per core, {cores_text}"] = cores
    pictures = {
        "layers on the mesh of cores": plot_mapping(mapping),
        "spikes into, out of and between the cores": plot_traffic(mapping),
    }
    if mapping.cost.energy_by_event_pj is not None:
        pictures["contents, energy and time of the cores"] = plot_events(mapping)
    return Section(
        "mapping",
        "Mapping",
        words,
        [Figure(embed_figure(title, plot)) for title, plot in pictures.items()],
        tables=tables,
        folded=folded_tables,
    )


def _limit_table(mapping: "Mapping") -> Table:
    """Return the contents of the cores beside their limits."""
    rows_of_limits = []
    for name, fill in mapping.cost.fill.items():
        limit = ("unlimited", "")
        if fill.limit is not None:
            limit = (f"{fill.limit:,}", f"{fill.share:.0%}")
        title = name.replace("_", " ")
        rows_of_limits.append((title, f"{fill.mean:,.1f}", f"{fill.max:,}", *limit))
    head = ("per core", "mean", "maximum", "limit", "fullest core")
    return Table(head, rows_of_limits, right=(1, 2, 3, 4))


def _core_table(mapping: "Mapping") -> Table:
    """Return place, contents and layers of the first cores that have neurons."""
    from snnb.plots.mapping import layers_of_cores

    layers = list(mapping.cost.layers)
    members = layers_of_cores(mapping)
    used_cores = np.flatnonzero(mapping.per_core["neurons"]).tolist()
    core_rows = []
    for core in used_cores[:MOST_CORES]:
        x, y = mapping.place_of(core)
        numbers = [f"{mapping.per_core[name][core]:,}" for name in CONTENTS]
        neurons_by_layer = members[core]
        layer_texts = [
            f"{layers[layer]} ({neurons:,})"
            for layer, neurons in zip(neurons_by_layer.indices, neurons_by_layer.data)
        ]
        core_rows.append((str(core), f"{x}, {y}", *numbers, ", ".join(layer_texts)))
    head = ("core", "x, y", *CONTENTS, "layers (neurons)")
    return Table(head, core_rows, right=(0, 2, 3, 4))


def _layers(
    cost: "LayerCost", chip: str, all_mappings: Table, words: List[str]
) -> Section:
    """Return the section about a mapping of whole layers onto cores, below the table of all mappings."""
    from snnb.plots.mapping import plot_layers

    head = (
        "layer",
        "core",
        "kernel",
        "neurons",
        "biases",
        "spikes in",
        "spikes out",
        "synaptic operations",
    )
    table = []
    for layer in cost.layers:
        memories = (layer.kernel, layer.neurons, layer.biases)
        loads = (layer.spikes_in, layer.spikes_out, layer.synaptic_operations)
        numbers = (number(value).value for value in (*memories, *loads))
        table.append((layer.name, str(layer.core), *numbers))
    paragraphs = [
        *words,
        f"Below, maps of whole layers onto cores of {chip}: entries in the three "
        "memories of a core; spikes from and to other cores and synaptic operations "
        "per sample.",
    ]
    tables = [all_mappings, Table(head, table, right=(1, 2, 3, 4, 5, 6, 7))]
    figures = [Figure(embed_figure("layers on cores", plot_layers(cost)))]
    return Section("mapping", "Mapping", paragraphs, figures, tables=tables)
