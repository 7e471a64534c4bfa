"""The command line `snnb`: its commands, their help, and the conversion of errors to messages and exit codes."""

import os
import signal
import sys
import traceback
from copy import copy
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import click
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.interruption import interruption_message
from snnb.cli.parameters import RUN_DIR, join_run_parameters, output_options, run_argument
from snnb.core.errors import (
    SIGNAL_EXIT_CODES,
    TOO_MANY_FILES,
    InputError,
    ResourceError,
    SnnbError,
    has_too_many_files,
    out_of_memory,
)
from snnb.version import __version__

ON_STAGES = "stage_command"


class CommandEntry(NamedTuple):
    """A command in the help of `snnb`."""

    panel: str
    module: str  # in snnb.cli; has a function with the name of the command
    help: str


STAGES, LISTS, RESULTS, TOOLS = "Stages", "Lists", "Results", "Tools"  # panels
# The commands in the order of the help. The module of a command is imported when the
# command is called: `snnb --help` imports none of them, nor the stages.
COMMANDS: Dict[str, CommandEntry] = {
    "prepare": CommandEntry(STAGES, ON_STAGES, "Convert a data set to arrays; write dataset/."),
    "train": CommandEntry(STAGES, ON_STAGES, "Train the Keras network; write train/."),
    "parse": CommandEntry(
        STAGES,
        ON_STAGES,
        "Convert and normalise the trained network; write parse/.",
    ),
    "simulate": CommandEntry(
        STAGES,
        ON_STAGES,
        "Simulate the converted network and count its spikes; write a new directory in simulations/.",
    ),
    "graph": CommandEntry(STAGES, ON_STAGES, "Write the synapse graph to a directory in graphs/."),
    "map": CommandEntry(
        STAGES,
        ON_STAGES,
        "Map a graph onto the cores of a chip and estimate the cost; write a directory in maps/.",
    ),
    "run": CommandEntry(STAGES, ON_STAGES, "Run prepare, train, parse, simulate and graph in order."),
    "sweep": CommandEntry(
        STAGES,
        "sweep",
        "Simulate each point of a grid of options; stages common to several points run once.",
    ),
    "models": CommandEntry(
        LISTS,
        "lists",
        "List the models with data set, input shape, and numbers of neurons and synapses.",
    ),
    "datasets": CommandEntry(LISTS, "lists", "List the data sets and their availability on this machine."),
    "hardware": CommandEntry(LISTS, "lists", "List the hardware descriptions for `snnb map --hardware`."),
    "instances": CommandEntry(
        LISTS,
        "lists",
        "List the benchmark graphs for mapping algorithms (`snnb graph --from instance:NAME`).",
    ),
    "status": CommandEntry(
        RESULTS,
        "status",
        "Show the state of each stage of a run, and the differing parameters of its simulations.",
    ),
    "report": CommandEntry(
        RESULTS,
        "report",
        "Write an HTML report of a run: network, training, accuracy, rates, traffic, mapping, provenance.",
    ),
    "compare": CommandEntry(
        RESULTS,
        "compare",
        "Compare simulations: differing parameters, accuracy, firing rates, operations, mapping cost.",
    ),
    "export": CommandEntry(RESULTS, "export", "Export the graph to the format of another program."),
    "crosscheck": CommandEntry(
        RESULTS,
        "crosscheck",
        "Simulate the exported graph in another simulator and compare the spike counts of all neurons.",
    ),
    "verify": CommandEntry(TOOLS, "verify", "Compare all files with the hashes in the manifest."),
    "remove": CommandEntry(
        TOOLS,
        "remove",
        "Remove simulations, graphs or mappings from a run and its manifest.",
    ),
    "doctor": CommandEntry(
        TOOLS,
        "doctor",
        "Show the versions of Python and packages, and GPU, memory and disk space of this machine.",
    ),
}
LISTED = "`snnb --help` and `snnb COMMAND --help` list commands and options"
COMMON = "Common"
_COMMON = ("force", "defaults", "no_upstream", "no_wait", "yes", "json", "verbose", "quiet", "help")
# Options in the help of the commands that take the options of several stages, besides the options of `COMMON`
_SHOWN = {
    "run": ("model", "dataset", "epochs", "percentile", "samples", "duration", "engine", "input", "seed"),
    "sweep": ("grid", "model", "dataset", "samples", "duration", "workers", "scheduler"),
}
_OTHERS = {
    "run": "All options of prepare, train, parse, simulate and graph are accepted (`snnb STAGE --help`); "
    "each applies to every stage that has it.",
    "sweep": "All options of train, parse and simulate are accepted (`snnb STAGE --help`), in --grid or as one value.",
}
_KEPT = "A run remembers the options that are given; --defaults forgets them."
EXAMPLES: Dict[str, Sequence[str]] = {
    "prepare": ("snnb prepare --model lenet_mnist", "snnb prepare --model lenet_cifar10 --source ~/cifar --limit 1000"),
    "train": ("snnb train --model lenet_mnist --epochs 5", "snnb train runs/lenet_mnist --set dropout=0.3"),
    "parse": ("snnb parse --model lenet_mnist", "snnb parse runs/lenet_mnist --percentile 99"),
    "simulate": (
        "snnb simulate --model lenet_mnist --samples 100 --duration 50",
        "snnb simulate runs/lenet_mnist --input poisson --record-spikes 2",
    ),
    "graph": ("snnb graph --model lenet_mnist", "snnb graph runs/lenet_mnist --pool-weight one"),
    "map": (
        "snnb map runs/lenet_mnist --hardware loihi",
        "snnb map runs/lenet_mnist --hardware my_chip.yaml --partition cores.txt",
    ),
    "run": ("snnb run --model digits_example", "snnb run --model lenet_mnist --epochs 5 --samples 200 --duration 100"),
    "sweep": (
        "snnb sweep --model lenet_mnist --grid percentile=99,99.9 --grid duration=50,100,200",
        "snnb sweep --model lenet_mnist --input poisson --grid seed=0,1,2 --workers 2",
    ),
    "export": (
        "snnb export runs/lenet_mnist --format hmetis --output lenet.hgr",
        "snnb export runs/lenet_mnist --format csv",
    ),
    "status": ("snnb status runs/lenet_mnist", "snnb status runs/lenet_mnist --json"),
    "report": ("snnb report runs/lenet_mnist", "snnb report runs/lenet_mnist --output lenet.html"),
    "compare": ("snnb compare runs/lenet_mnist", "snnb compare runs/lenet_mnist runs/lenet_cifar10 --figure both.svg"),
    "crosscheck": (
        "snnb crosscheck runs/lenet_mnist --with scipy",
        "snnb crosscheck runs/lenet_mnist --with sanafe --map 20260101T000000Z",
    ),
    "remove": ("snnb remove runs/lenet_mnist 20260102T030405Z", "snnb remove runs/lenet_mnist 20260102T030405Z --yes"),
    "verify": ("snnb verify runs/lenet_mnist", "snnb verify runs/lenet_mnist --json"),
}


class HelpfulCommand(TyperCommand):
    """A command whose help has panels, notes and examples."""

    def __init__(self, *arguments: Any, **words: Any) -> None:
        super().__init__(*arguments, **words)
        self.params += output_options()
        examples = EXAMPLES.get(self.name or "", ())
        self.notes = [_OTHERS[name] for name in (self.name,) if name in _OTHERS]
        self.notes += [_KEPT] if self.name in _SHOWN or COMMANDS[self.name or ""].module == ON_STAGES else []
        # typer joins lines that are not separated by a blank line
        self.epilog = "\n\n".join(
            [*self.notes, *(["Examples:"] if examples else []), *(f"  {line}" for line in examples)]
        )
        for parameter in self.params:
            if isinstance(parameter, TyperOption):
                parameter.show_envvar = False
                if parameter.name in _COMMON:
                    parameter.rich_help_panel = COMMON
                elif self.name in _SHOWN:
                    parameter.rich_help_panel = None
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.name == RUN_DIR:
                self.params.insert(0, run_argument(parameter.help or ""))
                break

    def parse_args(self, context: click.Context, arguments: List[str]) -> List[str]:
        """Read the options; refuse an option given twice, and environment variables of options that do not exist."""
        if not context.resilient_parsing:  # which is set while a shell completes a word
            _refuse_repeated(context, self.make_parser(context).parse_args(list(arguments))[2])
        left = super().parse_args(context, arguments)
        output.configure(*(context.params.pop(name) for name in ("json", "verbose", "quiet")))
        join_run_parameters(context)
        if not context.resilient_parsing:
            _refuse_unknown_variables(context)
        return left

    def shown(self) -> List[click.Parameter]:
        """Return the parameters that the help lists: RUN, but not `--run-dir`."""
        names = _SHOWN.get(self.name or "")
        return [
            p
            for p in self.params
            if p.name != RUN_DIR and (names is None or p.name in (*names, *_COMMON) or isinstance(p, click.Argument))
        ]

    def format_help(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, with `--[no-]flag` for a flag and its opposite, which otherwise take two wide columns."""
        params = self.params
        self.params = [_joined(parameter) for parameter in self.shown()]
        try:
            super().format_help(context, formatter)
        finally:
            self.params = params

    def get_help_option(self, context: click.Context) -> Optional[click.Option]:
        """Return the option `--help`, in the panel of the options of all commands."""
        option = super().get_help_option(context)
        if option is not None:
            option.rich_help_panel = COMMON  # type: ignore[attr-defined]
        return option


def _joined(parameter: click.Parameter) -> click.Parameter:
    if not parameter.secondary_opts:
        return parameter
    shown = copy(parameter)
    shown.opts, shown.secondary_opts = [f"--[no-]{parameter.opts[0][2:]}"], []
    return shown


def _refuse_repeated(context: click.Context, order: Sequence[click.Parameter]) -> None:
    """Raise `click.UsageError` for an option that takes one value and is given several times, or with its opposite."""
    for number, option in enumerate(order):
        if not isinstance(option, click.Option) or option.multiple or (option.is_flag and not option.secondary_opts):
            continue
        if option in order[:number]:
            names = " or ".join([option.opts[0], *option.secondary_opts])
            raise click.UsageError(f"{names} is given several times; give it once", context)


def _refuse_unknown_variables(context: click.Context) -> None:
    """Raise `click.UsageError` for a variable such as SNNB_TRAIN_EPOCH: the command `train` has no such option."""
    prefix = f"{context.auto_envvar_prefix}_"
    parameters = context.command.get_params(context)
    known = {(parameter.name or "").upper() for parameter in parameters if isinstance(parameter, click.Option)}
    for variable in sorted(os.environ):
        name = variable[len(prefix) :]
        if variable.startswith(prefix) and name not in known:
            near = get_close_matches(name, known, n=1)
            raise click.UsageError(
                f"the environment variable {variable} is not an option of {context.info_name}; "
                + (f"did you mean {prefix}{near[0]}?" if near else "docs/cli.md lists them"),
                context,
            )


class Commands(TyperGroup):
    """All commands. Only the called command is imported (`load`); the others have a name and a help text."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.commands = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel) for name, entry in COMMANDS.items()
        }

    def resolve_command(
        self, context: click.Context, arguments: List[str]
    ) -> Tuple[Optional[str], Optional[click.Command], List[str]]:
        """Return the name of the command that is called, the command, and its arguments."""
        name, command, left = super().resolve_command(context, arguments)
        return name, command and load(command.name or ""), left


INTERRUPTED = SIGNAL_EXIT_CODES[signal.SIGINT]
failures: List[BaseException] = []  # kept until the process ends, since their frames hold open files
commands = typer.Typer(
    name="snnb",
    cls=Commands,
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
    """Convert networks (Keras, ONNX) or read spiking ones (NIR), simulate them, and map them onto a chip.

    To begin: `snnb run --model digits_example`
    """


@lru_cache(maxsize=None)
def load(name: str) -> HelpfulCommand:
    """Import a command and make its options."""
    entry = COMMANDS[name]
    call: Callable[..., None]
    if entry.module == ON_STAGES:
        from snnb.cli.stage_command import stage_command

        call = stage_command(name)
    else:
        call = getattr(import_module(f"snnb.cli.{entry.module}"), name)
    alone = typer.Typer(add_completion=False)
    alone.command(name, cls=HelpfulCommand, help=entry.help)(call)
    command = typer.main.get_command(alone)
    assert isinstance(command, HelpfulCommand)
    return command


def _options_of(command: click.Command) -> List[str]:
    return [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]


def _no_such_option(name: str, command: click.Command) -> str:
    """Return the message for an unknown option of a command: the option that is meant, or the commands that have it."""
    from snnb.stages.synonyms import SYNONYMS

    meant, options = SYNONYMS.get(name, name), _options_of(command)
    if meant not in options:
        others = [f"`snnb {other}`" for other in COMMANDS if meant in _options_of(load(other))]
        if others:
            return f"no such option: {name}; {'it' if meant == name else meant} is an option of {', '.join(others)}"
    near = [meant] if meant in options else get_close_matches(name, options, n=1)
    return f"no such option: {name}; " + (f"did you mean {near[0]}?" if near else LISTED)


def _described(error: BaseException) -> Tuple[int, str]:
    """Return the exit code of an error (see docs/interruptions.md) and the message for the user."""
    from snnb.io.files import class_of, describe_os_error

    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        return 2, _no_such_option(error.option_name, error.ctx.command)
    if isinstance(error, click.ClickException):
        # typer has added its suggestion to the message; click 8.4 and later append another one
        reason = error.message if "Did you mean" in error.message else error.format_message()
        return 2, f"{reason} ({LISTED})"
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED, interruption_message(output.current_stage)
    if isinstance(error, SnnbError):
        from snnb.stages.open_run import described_with_repair

        return error.exit_code, described_with_repair(error)
    if out_of_memory(error):
        batches = "give a smaller --batch-size, or " if output.current_stage in ("train", "parse", "simulate") else ""
        return ResourceError.exit_code, f"out of memory; {batches}use a machine with more memory"
    if has_too_many_files(error):
        return InputError.exit_code, TOO_MANY_FILES
    if isinstance(error, OSError):
        return class_of(error).exit_code, describe_os_error(error)
    if type(error).__name__ == "InvalidArgumentError":  # TensorFlow's: shapes of a model's arrays do not match
        reason = str(error).strip().splitlines()[0]
        advice = "change the model, or its settings (--set)"
        return InputError.exit_code, f"TensorFlow cannot compute this model ({reason}); {advice}"
    return 1, f"internal error: {type(error).__name__}: {error}; please report it with the output of --verbose"


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
