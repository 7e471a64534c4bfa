"""Options of several commands, options made from fields, and the run of a command."""

import inspect
import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Literal,
    Mapping,
    Optional,
    Sequence,
    Type,
    Union,
)

import click
import typer
from click.core import ParameterSource
from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperOption
from typing_extensions import Annotated, get_args, get_origin

from snnb.cli import output
from snnb.core.errors import UsageError
from snnb.core.options import (
    Flag,
    Options,
    default_in_words,
    flag_of,
    own_flags,
    typed,
)

if TYPE_CHECKING:
    from snnb.rundir.directory import RunDirectory

Names = Callable[[], Iterable[str]]
Command = Callable[..., None]  # a function with the parameters of a command
METAVARS = {int: "N", float: "X"}
LARGEST_SHOWN = 1_000_000  # bounds from it on are limits of the implementation
# By name of a bound of pydantic: its bracket in an interval
BRACKETS = {"ge": "[", "gt": "(", "le": "]", "lt": ")"}
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


class ParsedText(click.ParamType):
    """A text that the function `parse` of an option turns into its value."""

    name = "value"

    def __init__(self, parse: Callable[[Any], Any]) -> None:
        self._parse = parse

    def convert(
        self,
        value: object,
        parameter: Optional[click.Parameter],
        context: Optional[click.Context],
    ) -> object:
        """Return the value of the text `value`."""
        try:
            return self._parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None


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


def stage_options(kind: Type[Options]) -> List[inspect.Parameter]:
    """Return the parameters that typer turns into options.

    There is one for each field that is an option of the command line. An option that is
    not given has the value None, or an empty list if it can be repeated.
    """
    return [_parameter(kind, name, flag) for name, flag in own_flags(kind).items()]


def _parameter(kind: Type[Options], name: str, flag: Flag) -> inspect.Parameter:
    """Return the parameter of a field for typer."""
    field = kind.model_fields[name]
    value_type: Any = _plain_type(field.annotation)
    choices: Sequence[str] = ()
    if get_origin(value_type) is Literal:
        choices = get_args(value_type)
    metavar = flag.metavar or ("NAME" if choices else METAVARS.get(value_type))
    properties: Dict[str, Any] = {
        "help": _help_text(field, choices, default_in_words(kind, name)),
        "metavar": metavar,
        "envvar": flag.environment,
        "rich_help_panel": flag.panel,
    }
    if flag.complete is not None:  # otherwise a shell completes paths
        properties["autocompletion"] = complete_from(flag.complete)
    elif choices:
        properties["autocompletion"] = complete_from(lambda: choices)
    if flag.repeated:
        value_type = List[str]
    elif flag.parse is not None:
        value_type = str
        properties["click_type"] = ParsedText(flag.parse)
    option_names = [flag.name] if flag.name else []
    option = typer.Option(*option_names, **properties)
    annotation: Any = Annotated[Optional[value_type], option]
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=annotation,
    )


def _help_text(field: FieldInfo, choices: Sequence[str], default: Optional[str]) -> str:
    """Return the description of a field with its choices, bounds and default."""
    sentences = [field.description or ""]
    if choices:
        sentences.append(f"One of {', '.join(choices)}.")
    interval = _interval(field)
    if interval:
        sentences.append(f"In {interval}.")
    if default:
        sentences.append(f"Default: {default}.")
    return " ".join(filter(None, sentences))


def _interval(field: FieldInfo) -> str:
    """Return the interval of a field: `(0, 100]`.

    The text is empty for a field with fewer than two bounds, for a fraction, and for an
    upper bound of `LARGEST_SHOWN` or more.
    """
    metadata = list(field.metadata)
    for member in get_args(field.annotation):
        metadata += get_args(member)
    bounds: Dict[str, float] = {}
    for item in metadata:
        for name in BRACKETS:
            if hasattr(item, name):
                bounds[name] = getattr(item, name)
    if len(bounds) < 2 or not 1 < max(bounds.values()) < LARGEST_SHOWN:
        return ""
    (low_name, low), (high_name, high) = bounds.items()
    return f"{BRACKETS[low_name]}{low}, {high}{BRACKETS[high_name]}"


def _plain_type(annotation: Any) -> Any:
    """Return the type of a field without its bounds, and without Optional."""
    is_annotated = isinstance(annotation, type(Annotated[int, 0]))
    if get_origin(annotation) is not Union and not is_annotated:
        return annotation
    members = [part for part in get_args(annotation) if part is not type(None)]
    return _plain_type(members[0])


def with_options(
    options: Iterable[inspect.Parameter],
    *,
    after: int,
) -> Callable[[Command], Command]:
    """Return a decorator that declares options in place of `**options` of a command.

    They follow the first `after` parameters of the command.
    """
    return partial(_declare_options, options=list(options), after=after)


def _declare_options(
    command: Command,
    options: Sequence[inspect.Parameter],
    after: int,
) -> Command:
    """Set the signature that typer reads, and return the command."""
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            parameters.append(parameter)
    parameters[after:after] = options
    signature = inspect.Signature(parameters)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def options_given(
    values: Mapping[str, object],
    kind: Type[Options],
    names: Iterable[str],
) -> Dict[str, object]:
    """Return the given options among `names`, with the types of their fields in `kind`.

    `values` has all parameters of the command: None or an empty list where an option is
    not given.
    """
    options: Dict[str, object] = {}
    for name in names:
        value = values.get(name)
        if value is None or value == []:
            continue
        flag = flag_of(kind, name)
        if flag.repeated and flag.parse is not None:
            value = flag.parse(value)
        options[name] = value
    return typed(kind, options)


def output_options() -> List[TyperOption]:
    """Return the options of every command, in the order of `output.configure`."""
    return [
        _switch("--json", help="Print one JSON document on stdout."),
        _switch("--verbose", "-v", help="Print debug messages and tracebacks."),
        _switch("--quiet", "-q", help="Print nothing but results and errors."),
    ]


def _switch(*names: str, help: str) -> TyperOption:
    return TyperOption(param_decls=[*names], is_flag=True, default=False, help=help)


def open_recovered(run_dir: Optional[Path]) -> "RunDirectory":
    """Open an existing run and recover it after a killed stage.

    A message says why it cannot be recovered now.
    """
    if run_dir is None:
        raise UsageError(
            "give the directory of a run, as in `snnb status runs/lenet_mnist`",
        )
    from snnb.stages.open_run import open_run

    run = open_run(run_dir)
    run.settle(output.current.say)
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
