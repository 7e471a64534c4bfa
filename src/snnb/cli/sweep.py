"""`snnb sweep`: a simulation for each point of a grid of options."""

from textwrap import wrap
from typing import TYPE_CHECKING, Any, List, Sequence

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.field_options import with_field_options
from snnb.cli.parameters import DatasetOption, ModelOption, NoWait, RunDir
from snnb.cli.stage_command import options_of
from snnb.cli.tables import block_lines, page_width
from snnb.results.grid import GRID_STAGES, read_grid
from snnb.stages.open_run import open_or_create

if TYPE_CHECKING:
    from snnb.results.sweep_table import SweepPoint

_options = options_of(GRID_STAGES)


@with_field_options(_options.options.values(), after=4)
def sweep(
    grid: Annotated[
        List[str],
        typer.Option(
            "--grid",
            metavar="OPTION=VALUE,VALUE",
            help=(
                "Option of train, parse or simulate, and its values; repeatable. For "
                "an option of several stages: `train.seed=0,1`. `hardware=NAME,FILE` "
                "maps each simulation."
            ),
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
    from snnb.results import sweep as results
    from snnb.results.sweep_table import TABLE

    options_given = _options.given(values)
    axes = read_grid(grid, options_given)
    run = open_or_create(model, run_dir, dataset, wait=not no_wait, say=console.say)
    with run.locked(wait=not no_wait, say=console.say):
        points = results.sweep(
            run, axes, options_given, say=console.say, bar=console.bar
        )
    table = run.path / TABLE
    figure = run.path / results.FIGURE
    document = results.Sweep(
        run_dir=run.path,
        table=table,
        figure=figure,
        points=points,
    )
    lines = [*point_lines(points), f"table: {table}", f"figure: {figure}"]
    console.result(lines, document)


def point_lines(points: "Sequence[SweepPoint]") -> List[str]:
    """Return the points of a sweep as a table, and what its heads mean."""
    from snnb.results.sweep_table import point_table

    table = point_table(points)
    rows = [table.head, *table.rows]
    lines = block_lines(rows, table.options, drop=(table.options,))
    return [*lines, *wrap(table.legend, page_width())]
