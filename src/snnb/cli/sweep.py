"""`snnb sweep`: a simulation for each point of a grid of options."""

from typing import Any, Dict, List, Mapping, Sequence

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import DatasetOption, ModelOption, NoWait, RunDir, chosen, with_options
from snnb.cli.stage_command import options_of
from snnb.core.formatting import accuracy, quantity
from snnb.io.text import JsonValue
from snnb.stages.all import STAGES

STAGES_BEFORE = ("train", "parse", "simulate")
HEADS = {
    "ann_accuracy": "ANN",
    "readout_accuracy": "read-out",
    "snn_accuracy": "SNN (95 %)",
    "ann_mean_squared_error": "ANN error",
    "snn_mean_squared_error": "SNN error",
    "spikes_per_step_and_neuron": "rate",
    "synaptic_operations_per_sample": "operations",
    "energy_pj": "energy, pJ",
    "network_energy_pj": "energy*, pJ",
    "sample_ns": "interval, ns",
    "sample_latency_ns": "latency, ns",
}
# In the order in which they are omitted from a table that is too wide
LESS_IMPORTANT = (
    *("samples", "sample_ns", "ann_accuracy", "ann_mean_squared_error", "synaptic_operations_per_sample"),
    *("spikes_per_step_and_neuron", "chips", "simulation", "sample_latency_ns"),
)
NOT_SHOWN = ("run", "snn_accuracy_low", "snn_accuracy_high", "note", "energy_of")


_options, _names = options_of(STAGES_BEFORE)


@with_options(_options.values(), after=4)
def sweep(
    grid: Annotated[
        List[str],
        typer.Option(
            "--grid",
            metavar="OPTION=VALUE,VALUE",
            help="Option of train, parse or simulate, and its values; repeatable. For an option of several stages: "
            "`train.seed=0,1`. `hardware=NAME,FILE` maps each simulation.",
            show_default=False,
        ),
    ],
    model: ModelOption = None,
    dataset: DatasetOption = None,
    run_dir: RunDir = None,
    no_wait: NoWait = False,
    **values: Any,
) -> None:
    """Run `snnb sweep`."""
    console = output.current
    from snnb.results import sweep as swept_grid
    from snnb.results.grid import read_grid
    from snnb.stages.open_run import open_or_create

    given = {stage: chosen(values, STAGES[stage].kind.params, own) for stage, own in _names.items()}
    axes = read_grid(grid, given)
    run = open_or_create(model, run_dir, dataset, wait=not no_wait, say=console.say)
    with run.locked(wait=not no_wait, say=console.say):
        swept = swept_grid.sweep(run, axes, given, say=console.say, bar=console.bar)
    table, figure = run.path / swept_grid.TABLE, run.path / swept_grid.FIGURE
    lines = _table([one.row for one in swept])
    document = swept_grid.Sweep(run_dir=run.path, table=table, figure=figure, points=swept)
    console.result([*lines, f"table: {table}", f"figure: {figure}"], document)


def _table(points: Sequence[Mapping[str, JsonValue]]) -> List[str]:
    """Return the points as a table without empty columns; the table in the run has all columns.

    Energies without neurons and messages are in a column of their own, see `Hardware.energy_of`.
    """
    from snnb.results.compare import NETWORK_ENERGY

    units = ["rate: spikes per neuron and step; operations: synaptic operations per sample"]
    if any(point["energy_of"] == "network" for point in points):
        points = [_split_energy(point) for point in points]
        units.append(NETWORK_ENERGY)
    names = [name for name in points[0] if name not in NOT_SHOWN and any(point[name] is not None for point in points)]
    rows = [[HEADS.get(name, name) for name in names], *([_shown(point, name) for name in names] for point in points)]
    drop = [names.index(name) for name in LESS_IMPORTANT if name in names]
    return [*output.table_lines(rows, right=range(len(names)), drop=drop), *units]


def _split_energy(point: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return a point with the energy of its scope, `energy_pj` or `network_energy_pj`; the other one is None."""
    split: Dict[str, JsonValue] = {}
    for name, value in point.items():
        split[name] = value if name != "energy_pj" or point["energy_of"] == "events" else None
        if name == "energy_pj":
            split["network_energy_pj"] = value if point["energy_of"] == "network" else None
    return split


def _shown(point: Mapping[str, JsonValue], name: str) -> str:
    value = point[name]
    if value is None:
        return ""
    if name in ("ann_accuracy", "readout_accuracy"):
        return accuracy(value)
    if name == "snn_accuracy":
        return accuracy(value, point["snn_accuracy_low"], point["snn_accuracy_high"])
    if not isinstance(value, float):
        return str(value)
    return quantity(value) if name in HEADS else f"{value:g}"
