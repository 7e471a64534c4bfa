"""The command line `snnb`: its commands, and the one place where errors become a line and an exit code."""

import signal
import sys
import traceback
from typing import List, Optional, Tuple

import click
import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.compare import compare
from snnb.cli.crosscheck import crosscheck
from snnb.cli.datasets import datasets
from snnb.cli.doctor import doctor
from snnb.cli.export import export
from snnb.cli.hardware import hardware
from snnb.cli.help import HelpfulCommand
from snnb.cli.interruption import EXIT_CODES, interruption_message
from snnb.cli.models import models
from snnb.cli.remove import remove
from snnb.cli.report import report
from snnb.cli.stage_command import stage_command
from snnb.cli.status import status
from snnb.cli.sweep import sweep
from snnb.cli.verify import verify
from snnb.core.errors import InputError, ResourceError, SnnbError, out_of_memory
from snnb.pipeline.all import CHAIN, STAGES
from snnb.version import __version__

INTERRUPTED = EXIT_CODES[signal.SIGINT]
failures: List[BaseException] = []  # kept until the process ends, with the frames that hold open files
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


for _name, _stage in STAGES.items():
    commands.command(_name, cls=HelpfulCommand, help=_stage.text)(stage_command(_name, [_name], by_name=True))
commands.command("run", cls=HelpfulCommand, help="Run all five stages in order.")(
    stage_command(CHAIN[-1], CHAIN, by_name=False)
)
_others = (models, datasets, hardware, status, verify, report, compare, sweep, export, crosscheck, remove, doctor)
for _command in _others:
    commands.command(cls=HelpfulCommand)(_command)


def _described(error: BaseException) -> Tuple[int, str]:
    """Return the exit code of an error (see README.md) and the message for the user."""
    from snnb.io.files import FULL, describe_os_error

    if isinstance(error, click.ClickException):
        # typer has added its suggestion to the message; click 8.4 and later append another one
        reason = error.message if "Did you mean" in error.message else error.format_message()
        return 2, f"{reason} (`snnb --help` and `snnb COMMAND --help` list commands and options)"
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED, interruption_message(output.at_work)
    if isinstance(error, SnnbError):
        from snnb.pipeline.open_run import described_with_repair

        return error.exit_code, described_with_repair(error)
    if out_of_memory(error):
        batches = "give a smaller --batch-size, or " if output.at_work in ("train", "parse", "simulate") else ""
        return ResourceError.exit_code, f"out of memory; {batches}use a machine with more memory"
    if isinstance(error, OSError):
        kind = ResourceError if error.errno in FULL else InputError
        return kind.exit_code, describe_os_error(error)
    if type(error).__name__ == "InvalidArgumentError":  # TensorFlow's: shapes of a model's arrays do not match
        reason = str(error).strip().splitlines()[0]
        advice = "change the model, or its settings (--set)"
        return InputError.exit_code, f"TensorFlow cannot compute this model ({reason}); {advice}"
    return 1, f"a bug: {type(error).__name__}: {error}; please report it with what --verbose prints"


def main(arguments: Optional[List[str]] = None) -> int:
    """Run a command and return its exit code; `arguments` are by default the arguments of the process."""
    try:
        result = typer.main.get_command(commands).main(arguments, prog_name="snnb", standalone_mode=False)
        if result == INTERRUPTED:  # typer catches KeyboardInterrupt
            raise KeyboardInterrupt
    except SystemExit:
        raise
    except BaseException as error:
        if output.current.verbose:
            output.print_line(sys.stderr, traceback.format_exc())
        if isinstance(error, SnnbError) and hasattr(error, "traceback_text"):  # raised by the user's own code
            output.print_line(sys.stderr, error.traceback_text)
        if isinstance(error, click.UsageError) and "--json" in (sys.argv[1:] if arguments is None else arguments):
            output.configure(True, False, False)  # no command has configured it
        code, message = _described(error)
        output.current.error(message, code)
        failures.append(error)
        return code
    return result if isinstance(result, int) else 0
