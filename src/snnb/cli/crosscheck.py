"""`snnb crosscheck`: the exported graph alone, in another simulator."""

from typing import TYPE_CHECKING, List, Optional

import typer
from typing_extensions import Annotated, get_args

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, open_existing
from snnb.cli.tables import table_lines
from snnb.core.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from snnb.results.crosscheck import ChipCheck, Crosscheck


def _simulators() -> List[str]:
    from snnb.results.crosscheck import Simulator

    return list(get_args(Simulator))


def crosscheck(
    run_dir: ExistingRun = None,
    simulator: Annotated[
        str,
        typer.Option(
            "--with",
            help="Simulator: brian2, sanafe or scipy.",
            autocompletion=_simulators,
        ),
    ] = "scipy",
    samples: Annotated[
        Optional[int],
        typer.Option(
            min=1,
            help="Number of samples. Default: the samples with recorded spikes, or all.",
        ),
    ] = None,
    graph: Annotated[
        Optional[str],
        typer.Option(
            help="Stamp of the graph. Default: the graph of the current simulation.",
        ),
    ] = None,
    map: Annotated[
        Optional[str],
        typer.Option(
            metavar="STAMP",
            help=(
                "Stamp of a mapping: sanafe simulates its chip, and energy and time "
                "are compared as well."
            ),
        ),
    ] = None,
) -> None:
    """Run `snnb crosscheck`."""
    console = output.current
    if simulator not in _simulators():
        names = ", ".join(_simulators())
        raise UsageError(
            f"--with {simulator}: unknown simulator; use one of {names}",
        )
    from snnb.results import crosscheck as stage

    run = open_existing(run_dir)
    try:
        with console.bar("crosscheck") as progress:
            check = stage.crosscheck(
                run,
                simulator,  # type: ignore[arg-type]
                samples=samples,
                graph=graph,
                map=map,
                say=console.say,
                progress=progress,
            )
    except VerificationError as error:
        raise VerificationError(f"crosscheck: failed ({error})") from error
    rows = [["population", "pairs", "differing", "spikes"]]
    for population in check.populations:
        counts = (population.pairs, population.differing, population.spikes)
        rows.append([population.population, *(f"{count:,}" for count in counts)])
    lines = table_lines(rows, right=(1, 2, 3))
    if check.chip is not None:
        lines += ["", *_costs(check.chip), ""]
    lines.append(f"crosscheck: passed ({_agreement(check)})")
    console.result(lines, check)


def _costs(chip: "ChipCheck") -> List[str]:
    """Return a table of the costs on a chip."""
    rows = [
        [f"{chip.hardware}, a sample", "unit", "cost.json", "SANA-FE", "difference"],
    ]
    for metric in chip.figures:
        row = [metric.name, metric.unit, f"{metric.cost:,.6g}"]
        if metric.sanafe is None:
            row += ["none", ""]
        else:
            difference = f"{metric.sanafe - metric.cost:+,.3g}"
            row.append(f"{metric.sanafe:,.6g}")
            row.append(difference if metric.differing else "equal")
        rows.append(row)
    rows.append(["mean step, detailed", "ns", "", f"{chip.detailed_ns:,.6g}", ""])
    lines = table_lines(rows, right=(2, 3, 4))
    if chip.steps:
        equal_steps = chip.steps - chip.differing_steps
        lines.append(f"{equal_steps:,} of {chip.steps:,} step times are equal")
    return lines


def _agreement(check: "Crosscheck") -> str:
    """Return how far the spike counts agree."""
    pairs = sum(population.pairs for population in check.populations)
    differing = sum(population.differing for population in check.populations)
    if not differing and check.recorded:
        return f"all {pairs:,} counts agree"
    if not differing:
        return f"the sums of {pairs:,} counts agree"
    if not check.recorded:
        return (
            f"the sums of {pairs:,} counts differ by {differing:,} in all; possibly "
            "within rounding error"
        )
    largest = max(population.largest for population in check.populations)
    spikes = "1 spike" if largest == 1 else f"at most {largest:,} spikes"
    return (
        f"{differing:,} of {pairs:,} counts differ, by {spikes}; within rounding error"
    )
