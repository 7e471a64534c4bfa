"""The command line `snnb`: its commands, and the one place where errors become a line and an exit code."""

import os
import signal
import sys
import traceback
from typing import Callable, Dict, List, Optional

import click
import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.datasets import datasets
from snnb.cli.doctor import doctor
from snnb.cli.export import export
from snnb.cli.graph import graph
from snnb.cli.models import models
from snnb.cli.parse import parse
from snnb.cli.prepare import prepare
from snnb.cli.simulate import simulate
from snnb.cli.stage_command import stage_command
from snnb.cli.status import status
from snnb.cli.train import train
from snnb.cli.verify import verify
from snnb.errors import ResourceError, SnnbError
from snnb.version import __version__

INTERRUPTED = 130
failures: List[BaseException] = []  # kept, with the frames that hold open files, until the process ends
STAGES: Dict[str, Callable[..., None]] = {
    "prepare": prepare,
    "train": train,
    "parse": parse,
    "simulate": simulate,
    "graph": graph,
}

commands = typer.Typer(
    name="snnb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "SNNB", "help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"snnb {__version__}")
        raise typer.Exit


@commands.callback()
def snnb(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, allow_from_autoenv=False, help="Print the version."
        ),
    ] = False,
) -> None:
    """Synapse graphs of real spiking networks: train, convert, simulate, and write every synapse with its traffic."""


for _name, _declaration in STAGES.items():
    commands.command(_name)(stage_command(_name, {_name: _declaration}, _declaration.__doc__, by_name=True))
commands.command("run")(stage_command("graph", STAGES, "Run all five stages in order.", by_name=False))
for _command in (models, datasets, status, verify, export, doctor):
    commands.command()(_command)


def exit_code_of(error: BaseException) -> int:
    """Exit code of the contract for an error."""
    if isinstance(error, SnnbError):
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        return 2
    if isinstance(error, OSError):
        from snnb.files import FULL

        return 6 if error.errno in FULL else 3
    return 6 if isinstance(error, MemoryError) else 1


def message_of(error: BaseException) -> str:
    """One line for a person."""
    from snnb.files import describe_os_error

    if isinstance(error, click.ClickException):
        return f"{error.format_message()} (`snnb --help` and `snnb COMMAND --help` tell what there is)"
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted; nothing half-written is left, the same command goes on from here"
    if isinstance(error, SnnbError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory; give a smaller --batch-size or use a machine with more memory"
    if isinstance(error, OSError):
        return describe_os_error(error)
    return f"a bug: {type(error).__name__}: {error}; please report it with what --verbose prints"


def main(arguments: Optional[List[str]] = None) -> int:
    """Run a command and return its exit code."""
    try:
        result = typer.main.get_command(commands).main(arguments, prog_name="snnb", standalone_mode=False)
        if result == INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if output.current.verbose:
            traceback.print_exc()
        if isinstance(error, SnnbError) and hasattr(error, "traceback_text"):  # of the user's own code
            click.echo(error.traceback_text, err=True)
        code = exit_code_of(error)
        output.current.error(message_of(error), code)
        failures.append(error)
        return code
    return result if isinstance(result, int) else 0


def _hide(*_: object) -> None:
    """Drop what a library prints of errors that it cannot raise; the error itself is told in one line."""


def app() -> None:
    """Entry point of the installed command.

    SIGTERM, which a cluster or `docker stop` sends, is an interruption like Ctrl-C: process 1 of a container would
    ignore it otherwise.

    When HDF5 could not write a file (a full disk), h5py prints more errors while it cleans up, and HDF5 crashes when
    its objects are freed or the process ends normally. So may TensorFlow, interrupted in the middle of a batch. What
    was half-written is removed by then: just end.
    """
    sys.excepthook = sys.unraisablehook = _hide
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:  # as in the background of a shell script
            signal.signal(number, output.interrupt)
    code = main()
    if code in (ResourceError.exit_code, INTERRUPTED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
