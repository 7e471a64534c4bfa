"""Load a command when it is called, lay out its help, and check how it is called."""

import os
from copy import copy
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from typing import Any, Callable, List, Optional, Sequence, Tuple

import click
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.command_table import (
    COMMANDS,
    COMMON_PARAMETERS,
    EXAMPLES,
    HELP_PARAMETERS,
    ON_STAGES,
    OPTION_NOTES,
    OPTIONS_NOTE,
)
from snnb.cli.parameters import (
    RUN_DIR,
    join_run_parameters,
    output_options,
    run_argument,
)
from snnb.version import __version__

COMMON_PANEL = "Common"  # of the help


class HelpfulCommand(TyperCommand):
    """A command whose help has panels, notes and examples."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        name = self.name or ""
        after, options = getattr(self.callback, "field_options", (0, []))
        self.params[after:after] = options
        self.params += output_options()
        self.notes = _notes(name)
        # typer joins lines that are not separated by a blank line
        self.epilog = "\n\n".join([*self.notes, *_example_lines(name)])
        for parameter in self.params:
            if isinstance(parameter, TyperOption):
                parameter.show_envvar = False
                if parameter.name in COMMON_PARAMETERS:
                    parameter.rich_help_panel = COMMON_PANEL
                elif name in HELP_PARAMETERS:
                    parameter.rich_help_panel = None
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.name == RUN_DIR:
                self.params.insert(0, run_argument(parameter.help or ""))
                break

    def parse_args(self, context: click.Context, arguments: List[str]) -> List[str]:
        """Read the options into the context, and configure the output of the process.

        Refuse an option that is given twice, and environment variables of options that
        do not exist.
        """
        is_completing = context.resilient_parsing  # a word for a shell
        if not is_completing:
            parser = self.make_parser(context)
            _, _, parameters_in_order = parser.parse_args(list(arguments))
            _refuse_repeated(context, parameters_in_order)
        remaining_arguments = super().parse_args(context, arguments)
        params = context.params
        output.configure(params.pop("json"), params.pop("verbose"), params.pop("quiet"))
        join_run_parameters(context)
        if not is_completing:
            _refuse_unknown_variables(context)
        return remaining_arguments

    def help_parameters(self) -> List[click.Parameter]:
        """Return the parameters that the help lists: RUN, but not `--run-dir`."""
        parameters = [p for p in self.params if p.name != RUN_DIR]
        if self.name not in HELP_PARAMETERS:
            return parameters
        names = (*HELP_PARAMETERS[self.name], *COMMON_PARAMETERS)
        listed_parameters = []
        for parameter in parameters:
            if parameter.name in names or isinstance(parameter, click.Argument):
                listed_parameters.append(parameter)
        return listed_parameters

    def format_help(
        self,
        context: click.Context,
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the help, with `--[no-]flag` for a flag and its opposite.

        They would take two wide columns.
        """
        params = self.params
        self.params = [_join_opposites(p) for p in self.help_parameters()]
        try:
            super().format_help(context, formatter)
        finally:
            self.params = params

    def get_help_option(self, context: click.Context) -> Optional[click.Option]:
        """Return the option `--help`, in the panel of the options of all commands."""
        option = super().get_help_option(context)
        if option is not None:
            option.rich_help_panel = COMMON_PANEL  # type: ignore[attr-defined]
        return option


def _notes(command: str) -> List[str]:
    """Return the notes about the options of a command."""
    notes = []
    if command in OPTION_NOTES:
        notes.append(OPTION_NOTES[command])
    if command in HELP_PARAMETERS or COMMANDS[command].module == ON_STAGES:
        notes.append(OPTIONS_NOTE)
    return notes


def _example_lines(command: str) -> List[str]:
    """Return the examples of a command as lines of its help."""
    examples = EXAMPLES.get(command, ())
    lines = [f"  {example}" for example in examples]
    return ["Examples:", *lines] if examples else []


def _join_opposites(parameter: click.Parameter) -> click.Parameter:
    """Return a parameter that is shown as `--[no-]flag` if it has an opposite."""
    if not parameter.secondary_opts:
        return parameter
    joined_parameter = copy(parameter)
    joined_parameter.opts = [f"--[no-]{parameter.opts[0][2:]}"]
    joined_parameter.secondary_opts = []
    return joined_parameter


def _refuse_repeated(
    context: click.Context,
    parameters_in_order: Sequence[click.Parameter],
) -> None:
    """Raise `click.UsageError` for an option of one value that is given several times.

    A flag and its opposite are the same option.
    """
    for position, option in enumerate(parameters_in_order):
        if not isinstance(option, click.Option) or option.multiple:
            continue
        is_switch = option.is_flag and not option.secondary_opts
        if not is_switch and option in parameters_in_order[:position]:
            names = " or ".join([option.opts[0], *option.secondary_opts])
            raise click.UsageError(
                f"{names} is given several times; give it once", context
            )


def _refuse_unknown_variables(context: click.Context) -> None:
    """Raise `click.UsageError` for an environment variable without an option.

    Such a variable is SNNB_TRAIN_EPOCH: the command `train` has no option `--epoch`.
    """
    prefix = f"{context.auto_envvar_prefix}_"
    option_names = set()
    for parameter in context.command.get_params(context):
        if isinstance(parameter, click.Option):
            option_names.add((parameter.name or "").upper())
    for variable in sorted(os.environ):
        name = variable[len(prefix) :]
        if not variable.startswith(prefix) or name in option_names:
            continue
        similar_names = get_close_matches(name, option_names, n=1)
        hint = "docs/cli.md lists them"
        if similar_names:
            hint = f"did you mean {prefix}{similar_names[0]}?"
        raise click.UsageError(
            f"the environment variable {variable} is not an option of "
            f"{context.info_name}; {hint}",
            context,
        )


class Commands(TyperGroup):
    """All commands with their help texts. Only the called command is imported."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.commands = {}
        for name, entry in COMMANDS.items():
            self.commands[name] = TyperCommand(
                name,
                help=entry.help,
                rich_help_panel=entry.panel,
            )

    def resolve_command(
        self,
        context: click.Context,
        arguments: List[str],
    ) -> Tuple[Optional[str], Optional[click.Command], List[str]]:
        """Return the name of the called command, the command, and its arguments."""
        name, entry, command_arguments = super().resolve_command(context, arguments)
        command = None if entry is None else load(entry.name or "")
        return name, command, command_arguments


commands = typer.Typer(
    name="snnb",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={
        "auto_envvar_prefix": "SNNB",
        "help_option_names": ["-h", "--help"],
    },
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"snnb {__version__}")
        raise typer.Exit


@commands.callback()
def snnb(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            allow_from_autoenv=False,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Convert networks (Keras, ONNX) or read spiking ones (NIR), simulate them, and map them onto a chip.

    To begin: `snnb run --model digits_example`
    """


@lru_cache(maxsize=None)
def load(name: str) -> HelpfulCommand:
    """Import a command and make its options."""
    entry = COMMANDS[name]
    function: Callable[..., None]
    if entry.module == ON_STAGES:
        from snnb.cli.stage_command import stage_command

        function = stage_command(name)
    else:
        function = getattr(import_module(f"snnb.cli.{entry.module}"), name)
    application = typer.Typer(add_completion=False)
    application.command(name, cls=HelpfulCommand, help=entry.help)(function)
    command = typer.main.get_command(application)
    assert isinstance(command, HelpfulCommand)
    return command
