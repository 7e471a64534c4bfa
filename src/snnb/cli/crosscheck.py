"""`snnb crosscheck`: the exported graph alone, in another simulator."""

from dataclasses import asdict
from typing import List, Optional

import typer
from typing_extensions import Annotated, get_args

from snnb.cli import output
from snnb.cli.opened import opened
from snnb.cli.parameters import ExistingRun, Json, Quiet, Verbose
from snnb.errors import UsageError


def _simulators() -> List[str]:
    from snnb.stages.crosscheck import Simulator

    return list(get_args(Simulator))


def crosscheck(
    run_dir: ExistingRun = None,
    simulator: Annotated[
        str,
        typer.Option("--with", help="The simulator: brian2, sanafe or scipy.", autocompletion=_simulators),
    ] = "scipy",
    samples: Annotated[
        Optional[int],
        typer.Option(min=1, help="Compare this many samples, from the first; by default the recorded ones, or all."),
    ] = None,
    graph: Annotated[Optional[str], typer.Option(help="Stamp of the graph; by default the latest.")] = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Simulate the exported graph in another simulator, and compare the spikes of every neuron."""
    console = output.configure(json, verbose, quiet)
    if simulator not in _simulators():
        raise UsageError(f"--with {simulator}: there is no such simulator; give one of {', '.join(_simulators())}")
    from snnb.stages import crosscheck as stage

    run = opened(run_dir, console.say)
    with console.bar("crosscheck") as progress:
        checked = stage.crosscheck(
            run,
            simulator,  # type: ignore[arg-type]
            samples=samples,
            graph=graph,
            say=console.say,
            progress=progress,
        )
    rows = [["population", "pairs", "differing", "spikes"]]
    rows += [[p.population, f"{p.pairs:,}", f"{p.differing:,}", f"{p.spikes:,}"] for p in checked.populations]
    console.result(output.table_lines(rows, right=(1, 2, 3)), {"simulator": simulator, **asdict(checked)})
