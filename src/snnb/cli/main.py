"""The command line `snnb`: its commands, and the one place where errors become a line and an exit code."""

import sys
import traceback
from typing import Dict, List, Optional

import click
import typer
from typing_extensions import Annotated

from snnb.cli import output, signals
from snnb.cli.compare import compare
from snnb.cli.crosscheck import crosscheck
from snnb.cli.datasets import datasets
from snnb.cli.doctor import doctor
from snnb.cli.exit_codes import INTERRUPTED
from snnb.cli.export import export
from snnb.cli.hardware import hardware
from snnb.cli.help import HelpfulCommand
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

_ANEW = "; the same command keeps the results of the stages before {stage} and begins {stage} again"
RESUMPTION_ADVICE: Dict[Optional[str], str] = {
    **{stage: _ANEW.format(stage=stage) for stage in STAGES},
    "train": "; the same command continues after the last complete epoch",
}
_LESS_AT_A_TIME = "out of memory; give a smaller --batch-size, or use a machine or a limit (`ulimit -v`) with more"
OUT_OF_MEMORY_ADVICE: Dict[Optional[str], str] = dict.fromkeys(("train", "parse", "simulate"), _LESS_AT_A_TIME)
failures: List[BaseException] = []  # held until the process ends, with the frames that hold open files
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
    commands.command(_name, cls=HelpfulCommand)(stage_command(_name, [_name], _stage.text, by_name=True))
commands.command("run", cls=HelpfulCommand)(
    stage_command(CHAIN[-1], CHAIN, "Run all five stages in order.", by_name=False)
)
for _command in (
    models,
    datasets,
    hardware,
    status,
    verify,
    report,
    compare,
    sweep,
    export,
    crosscheck,
    remove,
    doctor,
):
    commands.command(cls=HelpfulCommand)(_command)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code for an error, as README.md lists them."""
    if isinstance(error, SnnbError):
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        return 2
    if out_of_memory(error):
        return ResourceError.exit_code
    if isinstance(error, OSError):
        from snnb.io.files import FULL

        return ResourceError.exit_code if error.errno in FULL else InputError.exit_code
    return InputError.exit_code if _is_of_the_model(error) else 1


def _is_of_the_model(error: BaseException) -> bool:
    """Whether the error is TensorFlow's and says that the arrays of a model do not fit together."""
    return type(error).__name__ == "InvalidArgumentError"


def message_of(error: BaseException) -> str:
    """Return the error as one line for a person."""
    from snnb.io.files import describe_os_error

    if isinstance(error, click.ClickException):
        return f"{error.format_message()} (`snnb --help` and `snnb COMMAND --help` list commands and options)"
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return f"interrupted; half-written files are removed{RESUMPTION_ADVICE.get(output.at_work, '')}"
    if isinstance(error, SnnbError):
        return str(error)
    if out_of_memory(error):
        return OUT_OF_MEMORY_ADVICE.get(
            output.at_work, "out of memory; use a machine, or a limit (`ulimit -v`), with more"
        )
    if isinstance(error, OSError):
        return describe_os_error(error)
    if _is_of_the_model(error):
        said = str(error).strip().splitlines()[0]
        return f"TensorFlow cannot compute this model ({said}); change the model, or its settings (--set)"
    return f"a bug: {type(error).__name__}: {error}; please report it with what --verbose prints"


def main(arguments: Optional[List[str]] = None) -> int:
    """Run a command and return its exit code."""
    try:
        result = typer.main.get_command(commands).main(arguments, prog_name="snnb", standalone_mode=False)
        if result == INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
    except BaseException as raised:
        error = raised
        if isinstance(error, SystemExit):
            raise
        if signals.interrupted.is_set():  # whatever a library has made of it
            error = KeyboardInterrupt()
        if output.current.verbose:
            output.print_line(sys.stderr, traceback.format_exc())
        if isinstance(error, SnnbError) and hasattr(
            error, "traceback_text"
        ):  # the error is raised by the user's own code
            output.print_line(sys.stderr, error.traceback_text)
        if isinstance(error, click.UsageError) and "--json" in (sys.argv[1:] if arguments is None else arguments):
            output.configure(True, False, False)  # the command line was not understood, so nothing has configured it
        code = exit_code_of(error)
        output.current.error(message_of(error), code)
        failures.append(error)
        return code
    return result if isinstance(result, int) else 0
