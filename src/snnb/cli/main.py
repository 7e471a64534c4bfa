"""Run a command of `snnb`, and turn errors into messages and exit codes."""

import signal
import sys
import traceback
from difflib import get_close_matches
from typing import List, NamedTuple, Optional

import click
import typer

from snnb.cli import output
from snnb.cli.command_table import COMMANDS
from snnb.cli.commands import commands, load
from snnb.cli.interruption import interruption_message
from snnb.cli.streams import print_line
from snnb.core.errors import (
    SIGNAL_EXIT_CODES,
    TOO_MANY_FILES,
    InputError,
    ResourceError,
    SnnbError,
    has_too_many_files,
    out_of_memory,
)

HELP_HINT = "`snnb --help` and `snnb COMMAND --help` list commands and options"
INTERRUPTED = SIGNAL_EXIT_CODES[signal.SIGINT]
STAGES_WITH_BATCHES = ("train", "parse", "simulate")
# Errors of commands until the process ends, since their frames hold open files
failures: List[BaseException] = []


class Ending(NamedTuple):
    """How a command that failed ends: see docs/interruptions.md."""

    exit_code: int
    message: str  # for the user


def main(arguments: Optional[List[str]] = None) -> int:
    """Run a command and return its exit code.

    `arguments` are by default the arguments of the process.
    """
    program = typer.main.get_command(commands)
    try:
        result = program.main(arguments, prog_name="snnb", standalone_mode=False)
        if result == INTERRUPTED:  # typer catches KeyboardInterrupt
            raise KeyboardInterrupt
    except SystemExit:
        raise
    except BaseException as error:
        if output.current.verbose:
            print_line(sys.stderr, traceback.format_exc())
        if isinstance(error, SnnbError) and hasattr(error, "traceback_text"):
            # Raised by the user's own code
            print_line(sys.stderr, error.traceback_text)
        words = sys.argv[1:] if arguments is None else arguments
        if isinstance(error, click.UsageError) and "--json" in words:
            # No command has configured the output
            output.configure(as_json=True, verbose=False, quiet=False)
        ending = _ending_of(error)
        output.current.error(ending.message, ending.exit_code)
        failures.append(error)
        return ending.exit_code
    return result if isinstance(result, int) else 0


def _ending_of(error: BaseException) -> Ending:
    """Return the exit code of an error and the message for the user."""
    from snnb.io.files import class_of, describe_os_error

    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        return Ending(2, _no_such_option(error.option_name, error.ctx.command))
    if isinstance(error, click.ClickException):
        reason = error.message
        if "Did you mean" not in reason:
            # typer has added its suggestion to the message; click 8.4 and later append
            # another one here
            reason = error.format_message()
        return Ending(2, f"{reason} ({HELP_HINT})")
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Ending(INTERRUPTED, interruption_message(output.current_stage))
    if isinstance(error, SnnbError):
        from snnb.stages.open_run import described_with_repair

        return Ending(error.exit_code, described_with_repair(error))
    if out_of_memory(error):
        remedy = "use a machine with more memory"
        if output.current_stage in STAGES_WITH_BATCHES:
            remedy = f"give a smaller --batch-size, or {remedy}"
        return Ending(ResourceError.exit_code, f"out of memory; {remedy}")
    if has_too_many_files(error):
        return Ending(InputError.exit_code, TOO_MANY_FILES)
    if isinstance(error, OSError):
        return Ending(class_of(error).exit_code, describe_os_error(error))
    name = type(error).__name__
    if name == "InvalidArgumentError":
        # Of TensorFlow, which is not imported here: the shapes of a model's arrays do
        # not match
        reason = str(error).strip().splitlines()[0]
        return Ending(
            InputError.exit_code,
            f"TensorFlow cannot compute this model ({reason}); change the model, or "
            "its settings (--set)",
        )
    return Ending(
        1,
        f"internal error: {name}: {error}; please report it with the output of "
        "--verbose",
    )


def _no_such_option(name: str, command: click.Command) -> str:
    """Return the message for an unknown option of a command.

    It names the option that is meant, or else the commands that have it.
    """
    from snnb.stages.synonyms import SYNONYMS

    option = SYNONYMS.get(name, name)  # of snnb
    command_options = _options_of(command)
    fault = f"no such option: {name}"
    if option in command_options:
        return f"{fault}; did you mean {option}?"
    owners = []
    for owner in COMMANDS:
        if option in _options_of(load(owner)):
            owners.append(f"`snnb {owner}`")
    if owners:
        subject = "it" if option == name else option
        return f"{fault}; {subject} is an option of {', '.join(owners)}"
    similar_options = get_close_matches(name, command_options, n=1)
    if similar_options:
        return f"{fault}; did you mean {similar_options[0]}?"
    return f"{fault}; {HELP_HINT}"


def _options_of(command: click.Command) -> List[str]:
    """Return the names of the options of a command: `--force`, `--verbose`, `-v`."""
    options: List[str] = []
    for parameter in command.params:
        options += [*parameter.opts, *parameter.secondary_opts]
    return options
