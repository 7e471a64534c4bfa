"""`snnb sweep`: a simulation for each point of a grid of options."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import (
    DatasetOption,
    Json,
    ModelOption,
    NoWait,
    Quiet,
    SomePath,
    Verbose,
    as_command,
    chosen,
    common_options,
)
from snnb.cli.stage_command import options_of
from snnb.stages.all import STAGES

if TYPE_CHECKING:
    from snnb.stages.grid import Axis

STAGES_BEFORE = ("train", "parse", "simulate")
NOT_HERE = ("repair",)
SHARE = ("ann_accuracy", "snn_accuracy")


def _common(
    grid: Annotated[
        List[str],
        typer.Option(
            "--grid",
            metavar="OPTION=VALUE,VALUE",
            help="An option of simulate, parse or train and its values; can be given several times. "
            "`train.seed=0,1` where several stages have it.",
            show_default=False,
        ),
    ],
    model: ModelOption = None,
    dataset: DatasetOption = None,
    run_dir: Annotated[
        Optional[Path],
        typer.Option(
            "--dir",
            help="Run directory for the simulations; by default $SNNB_RUNS/MODEL or runs/MODEL.",
            click_type=SomePath(),
            show_default=False,
        ),
    ] = None,
    no_wait: NoWait = False,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Options of the command beside those of the stages."""


_own, _names = options_of(STAGES_BEFORE)
_parameters = common_options(_common)


def _sweep(**values: Any) -> None:
    console = output.configure(values["json"], values["verbose"], values["quiet"])
    from snnb.stages.grid import read_grid
    from snnb.stages.runs import open_or_create
    from snnb.stages.sweep import FIGURE, TABLE, sweep

    given = {stage: chosen(values, STAGES[stage].kind.params, own) for stage, own in _names.items()}
    axes = read_grid(values["grid"], given)
    run = open_or_create(values["model"], values["run_dir"], values["dataset"])
    output.answer_signals()
    with run.locked(wait=not values["no_wait"], say=console.say):
        swept = sweep(run, axes, given, say=console.say, bar=console.bar)
    rows = [list(swept[0].row), *([_shown(name, value) for name, value in one.row.items()] for one in swept)]
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    lines = output.table_lines([[row[i] for i in kept] for row in rows], right=range(len(kept)))
    console.result(
        [*lines, f"table: {run.path / TABLE}", f"picture: {run.path / FIGURE}"],
        {
            "run_dir": run.path,
            "table": run.path / TABLE,
            "figure": run.path / FIGURE,
            "points": [{"values": one.point.values, "ran": one.ran, **_results(one.row, axes)} for one in swept],
        },
    )


def _results(row: Mapping[str, object], axes: "Sequence[Axis]") -> Dict[str, object]:
    from snnb.stages.sweep import COLUMNS

    titles = {axis.title for axis in axes} - set(COLUMNS)
    return {name: value for name, value in row.items() if name not in titles}


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if name.startswith(SHARE) and isinstance(value, float):
        return f"{value:.2%}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


sweep = as_command(
    "sweep",
    "Simulate each point of a grid of options; stages that points share run once.",
    [*_parameters[:4], *(p for p in _own.values() if p.name not in NOT_HERE), *_parameters[4:]],
    _sweep,
)
