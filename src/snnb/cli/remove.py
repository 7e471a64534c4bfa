"""`snnb remove`: remove a simulation, a graph or a mapping from a run."""

import sys
from typing import List

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import Directory, NoWait, open_existing
from snnb.core.errors import UsageError


def remove(
    directory: Directory,
    stamps: Annotated[
        List[str],
        typer.Argument(
            metavar="STAMP...",
            help=(
                "Stamp of a simulation or mapping, or `graphs/STAMP` (see `snnb "
                "status`)."
            ),
        ),
    ],
    with_dependents: Annotated[
        bool,
        typer.Option(
            "--with-dependents",
            help="Also remove dependent graphs and mappings.",
        ),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            "-y",
            help="Do not ask for confirmation; required without a terminal.",
        ),
    ] = False,
    no_wait: NoWait = False,
) -> None:
    """Run `snnb remove`."""
    console = output.current
    from rich.filesize import decimal

    from snnb.results.remove import Removal, carry_out, plan_removal

    run = open_existing(directory)
    removal = plan_removal(run, stamps, with_dependents=with_dependents)
    description = f"{', '.join(removal.removed)} ({decimal(removal.size_bytes)})"
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():  # None: closed
            raise UsageError(
                "no terminal for the confirmation; give --yes to remove without it",
            )
        if not typer.confirm(f"remove {description} from {run.path}?", err=True):
            nothing = Removal(run_dir=run.path, removed=[], size_bytes=0, exports=[])
            console.result(["nothing removed"], nothing)
            return
    carry_out(run, removal, wait=not no_wait, say=console.say)
    for path in removal.exports:
        console.say(f"{path} is kept, although its graph is removed")
    console.result([f"removed {description}"], removal)
