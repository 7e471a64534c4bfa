"""Options of several commands, and the run of a command."""

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterable,
    List,
    Optional,
)

import click
import typer
from click.core import ParameterSource
from typer.core import TyperArgument, TyperOption
from typing_extensions import Annotated

from snnb.cli import output
from snnb.core.errors import UsageError

if TYPE_CHECKING:
    from snnb.rundir.directory import RunDirectory

Names = Callable[[], Iterable[str]]
DEFAULT_RUN = "$SNNB_RUNS/MODEL or runs/MODEL"
RUN_DIR = "run_dir"  # parameter of the option `--run-dir`
RUN = "run"  # parameter of the argument that names the same run


def complete_from(names: Names) -> Callable[[str], List[str]]:
    """Return a function that lists the names that begin with a text.

    `names` is called when a shell completes a word, and imports what it needs then.
    """

    def complete(incomplete: str) -> List[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


def _model_names() -> Iterable[str]:
    names: Iterable[str] = import_module("snnb.architectures").names()
    return names


def _dataset_names() -> Iterable[str]:
    names: Iterable[str] = import_module("snnb.datasets.catalogue").dataset_names()
    return names


ModelOption = Annotated[
    Optional[str],
    typer.Option(
        help="`snnb models`, FILE.py:FUNCTION, .h5, .keras, .onnx, .nir, .net.",
        autocompletion=complete_from(_model_names),
    ),
]
DatasetOption = Annotated[
    Optional[str],
    typer.Option(
        help="Name (`snnb datasets`), or folder:, arrays:, events:, steps:PATH.",
        autocompletion=complete_from(_dataset_names),
    ),
]


class NonEmptyPath(click.ParamType):
    """A path that is not empty, and has no null character.

    A shell passes an empty text for a variable that is not set.
    """

    name = "path"

    def convert(
        self,
        value: object,
        parameter: Optional[click.Parameter],
        context: Optional[click.Context],
    ) -> Path:
        """Return `value` as a `Path`."""
        if not str(value) or "\0" in str(value):
            self.fail("is empty; give a path", parameter, context)
        return Path(str(value))


path_option: Any = partial(typer.Option, click_type=NonEmptyPath())
RunDir = Annotated[
    Optional[Path],
    path_option(
        help=f"Run directory (or --run-dir RUN). Default: {DEFAULT_RUN}.",
    ),
]
ExistingRun = Annotated[
    Optional[Path],
    path_option("--run-dir", help="Run directory (or --run-dir RUN)."),
]
Directory = Annotated[
    Path,
    typer.Argument(help="Run directory.", click_type=NonEmptyPath()),
]
NoWait = Annotated[
    bool,
    typer.Option("--no-wait", help="Fail if another process has locked the run."),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Run again even if the results are up to date."),
]
Defaults = Annotated[
    bool,
    typer.Option("--defaults", help="Use no options of earlier results."),
]
NoUpstream = Annotated[
    bool,
    typer.Option("--no-upstream", help="Fail if an earlier stage has to run first."),
]


def output_options() -> List[TyperOption]:
    """Return the options of every command, in the order of `output.configure`."""
    return [
        _switch("--json", help="Print one JSON document on stdout."),
        _switch("--verbose", "-v", help="Print debug messages and tracebacks."),
        _switch("--quiet", "-q", help="Print nothing but results and errors."),
    ]


def _switch(*names: str, help: str) -> TyperOption:
    return TyperOption(param_decls=[*names], is_flag=True, default=False, help=help)


def open_existing(run_dir: Optional[Path]) -> "RunDirectory":
    """Open an existing run; a message says if a command was interrupted there."""
    if run_dir is None:
        raise UsageError(
            "give the directory of a run, as in `snnb status runs/lenet_mnist`",
        )
    from snnb.stages.open_run import open_run

    run = open_run(run_dir)
    run.say_if_interrupted(output.current.say)
    return run


def run_argument(help: str) -> TyperArgument:
    """Return the argument of every command with the option `--run-dir`.

    The help of the command shows it in place of that option.
    """
    return TyperArgument(
        param_decls=[RUN],
        required=False,
        type=NonEmptyPath(),
        help=help,
    )


def join_run_parameters(context: click.Context) -> None:
    """Set the parameter `run_dir` of a command from its argument, if that is given.

    Raise `click.UsageError` if the argument and the option name two runs.
    """
    argument = context.params.pop(RUN, None)
    if argument is None:
        return
    option = context.params.get(RUN_DIR)
    if context.get_parameter_source(RUN_DIR) is ParameterSource.ENVIRONMENT:
        option = None  # the command line takes precedence
    if option is not None and _absolute(argument) != _absolute(option):
        raise click.UsageError(
            f"conflicting runs {argument} and {option}; give one", context
        )
    context.params[RUN_DIR] = argument


def _absolute(path: Path) -> str:
    """Return an absolute path, in which a link stays."""
    return os.path.abspath(path)  # noqa: PTH100
