"""`snnb crosscheck`: the exported graph alone, in another simulator."""

from typing import TYPE_CHECKING, List, Optional

import typer
from typing_extensions import Annotated, get_args

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, open_recovered
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
        str, typer.Option("--with", help="Simulator: brian2, sanafe or scipy.", autocompletion=_simulators)
    ] = "scipy",
    samples: Annotated[
        Optional[int], typer.Option(min=1, help="Number of samples. Default: the samples with recorded spikes, or all.")
    ] = None,
    graph: Annotated[
        Optional[str], typer.Option(help="Stamp of the graph. Default: the graph of the current simulation.")
    ] = None,
    map: Annotated[
        Optional[str],
        typer.Option(
            metavar="STAMP",
            help="Stamp of a mapping: sanafe simulates its chip, and energy and time are compared as well.",
        ),
    ] = None,
) -> None:
    """Run `snnb crosscheck`."""
    console = output.current
    if simulator not in _simulators():
        raise UsageError(f"--with {simulator}: unknown simulator; use one of {', '.join(_simulators())}")
    from snnb.results import crosscheck as stage

    run = open_recovered(run_dir)
    try:
        with console.bar("crosscheck") as progress:
            checked = stage.crosscheck(
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
    rows += [[p.population, f"{p.pairs:,}", f"{p.differing:,}", f"{p.spikes:,}"] for p in checked.populations]
    lines = table_lines(rows, right=(1, 2, 3))
    if checked.chip is not None:
        lines += ["", *_costs(checked.chip), ""]
    lines.append(f"crosscheck: passed ({_agreement(checked)})")
    console.result(lines, checked)


def _costs(chip: "ChipCheck") -> List[str]:
    """Return a table of the costs on a chip."""
    rows = [[f"{chip.hardware}, a sample", "unit", "cost.json", "SANA-FE", "difference"]]
    for figure in chip.figures:
        both = ["none", ""] if figure.sanafe is None else [f"{figure.sanafe:,.6g}", "equal"]
        if figure.differing and figure.sanafe is not None:
            both[1] = f"{figure.sanafe - figure.cost:+,.3g}"
        rows.append([figure.name, figure.unit, f"{figure.cost:,.6g}", *both])
    rows.append(["mean step, detailed", "ns", "", f"{chip.detailed_ns:,.6g}", ""])
    equal = chip.steps - chip.differing_steps
    return [*table_lines(rows, right=(2, 3, 4)), f"{equal:,} of {chip.steps:,} step times are equal"]


def _agreement(checked: "Crosscheck") -> str:
    """Return how far the spike counts agree."""
    counts, differing = (sum(getattr(p, name) for p in checked.populations) for name in ("pairs", "differing"))
    if not differing:
        return f"all {counts:,} counts agree" if checked.recorded else f"the sums of {counts:,} counts agree"
    largest = max(p.largest for p in checked.populations)
    spikes = "1 spike" if largest == 1 else f"at most {largest:,} spikes"
    if checked.recorded:
        return f"{differing:,} of {counts:,} counts differ, by {spikes}; within rounding error"
    return f"the sums of {counts:,} counts differ by {differing:,} in all; possibly within rounding error"
