"""Options that several commands share, options made from fields, and the run that a command works on."""

import inspect
import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Literal, Mapping, Optional, Type, Union

import click
import typer
from click.core import ParameterSource
from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperOption
from typing_extensions import Annotated, get_args, get_origin

from snnb.cli import output
from snnb.core.errors import UsageError
from snnb.core.options import Flag, Options, default_in_words, flag_of, own_flags, typed

if TYPE_CHECKING:
    from snnb.rundir.directory import RunDirectory

METAVARS = {int: "N", float: "X"}
LARGEST_SHOWN = 1_000_000  # bounds beyond it are limits of the implementation
BRACKETS = {"ge": "[", "gt": "(", "le": "]", "lt": ")"}
RUN_DIR, _ARGUMENT = "run_dir", "run"


def beginning(names: Callable[[], Iterable[str]]) -> Callable[[str], List[str]]:
    """Return a function that completes the beginning of a name. `names` is called then, and imports what it needs."""

    def complete(incomplete: str) -> List[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


ModelOption = Annotated[
    Optional[str],
    typer.Option(
        help="Name (`snnb models`), FILE.py:FUNCTION, .h5, .keras, .onnx, .nir.",
        autocompletion=beginning(lambda: import_module("snnb.architectures").names()),
    ),
]
DatasetOption = Annotated[
    Optional[str],
    typer.Option(
        help="Name (`snnb datasets`), or folder:, arrays:, events:, steps:PATH.",
        autocompletion=beginning(lambda: import_module("snnb.datasets.catalogue").dataset_names()),
    ),
]


class NonEmptyPath(click.ParamType):
    """A path that is not empty: a shell passes an empty text for a variable that is not set."""

    name = "path"

    def convert(self, value: object, parameter: Optional[click.Parameter], context: Optional[click.Context]) -> Path:
        """Return `value` as a `Path`."""
        if not str(value) or "\0" in str(value):
            self.fail("is empty; give a path", parameter, context)
        return Path(str(value))


path_option: Any = partial(typer.Option, click_type=NonEmptyPath())
RunDir = Annotated[
    Optional[Path],
    path_option(help="Run directory (or --run-dir RUN). Default: $SNNB_RUNS/MODEL or runs/MODEL."),
]
ExistingRun = Annotated[Optional[Path], path_option("--run-dir", help="Run directory (or --run-dir RUN).")]
Directory = Annotated[Path, typer.Argument(help="Run directory.", click_type=NonEmptyPath())]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail if another process has locked the run.")]
Force = Annotated[bool, typer.Option("--force", help="Run again even if the results are up to date.")]
Defaults = Annotated[bool, typer.Option("--defaults", help="Forget the options that were given before.")]
NoUpstream = Annotated[bool, typer.Option("--no-upstream", help="Fail if an earlier stage has to run first.")]


def stage_options(kind: Type[Options]) -> List[inspect.Parameter]:
    """Return the parameters that typer turns into options, one for each field; an option that is not given is None."""
    return [_parameter(kind, name, flag) for name, flag in own_flags(kind).items()]


def _parameter(kind: Type[Options], name: str, flag: Flag) -> inspect.Parameter:
    field = kind.model_fields[name]
    wanted: Any = _plain(field.annotation)
    choices, default = get_args(wanted) if get_origin(wanted) is Literal else (), default_in_words(kind, name)
    interval = _interval(field)
    notes = [
        f"One of {', '.join(choices)}." if choices else "",
        f"In {interval}." if interval else "",
        f"Default: {default}." if default else "",
    ]
    words: Dict[str, Any] = {
        "help": " ".join(filter(None, [field.description, *notes])),
        "metavar": flag.metavar or ("NAME" if choices else METAVARS.get(wanted)),
        "envvar": flag.environment,
        "rich_help_panel": flag.panel,
    }
    if flag.complete or choices:  # otherwise a shell completes paths
        words["autocompletion"] = beginning(flag.complete or (lambda: choices))
    if flag.repeated:
        wanted = List[str]
    elif flag.parse is not None:
        wanted, words["parser"] = str, _parser(flag.parse)
    names = [flag.name] if flag.name else []
    annotation: Any = Annotated[Optional[wanted], typer.Option(*names, **words)]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _interval(field: FieldInfo) -> str:
    """Return the interval of a field that has two bounds and is not a fraction: `(0, 100]`."""
    metadata = [*field.metadata, *(item for part in get_args(field.annotation) for item in get_args(part))]
    bounds = {name: getattr(item, name) for item in metadata for name in BRACKETS if hasattr(item, name)}
    if len(bounds) < 2 or not 1 < max(bounds.values()) < LARGEST_SHOWN:
        return ""
    low, high = bounds.items()
    return f"{BRACKETS[low[0]]}{low[1]}, {high[1]}{BRACKETS[high[0]]}"


def _plain(annotation: Any) -> Any:
    """Return the type of a field without its bounds, and without Optional."""
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Union or isinstance(annotation, type(Annotated[int, 0])):
        return _plain(parts[0])
    return annotation


def _parser(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def value(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return value


def with_options(options: Iterable[inspect.Parameter], *, after: int) -> Callable[[Callable[..., None]], Callable]:
    """Return a decorator that puts `options`, which replace `**options`, after a command's first parameters."""

    def decorated(call: Callable[..., None]) -> Callable[..., None]:
        def command(**values: object) -> None:
            call(**values)

        signature = inspect.signature(call).parameters.values()
        named = [parameter for parameter in signature if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
        parameters = [*named[:after], *options, *named[after:]]
        command.__name__, command.__doc__ = call.__name__, call.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorated


def chosen(values: Mapping[str, object], kind: Type[Options], names: Iterable[str]) -> Dict[str, object]:
    """Return the given options among `names`, with the types of their fields in `kind`.

    `values` has all parameters of the command: None or an empty list where an option is not given.
    """
    given: Dict[str, object] = {}
    for name in names:
        value, flag = values.get(name), flag_of(kind, name)
        if value is None or value == []:
            continue
        if flag.repeated and flag.parse is not None:
            value = flag.parse(value)
        given[name] = value
    return typed(kind, given)


def output_options() -> List[TyperOption]:
    """Return the options of every command that `snnb.cli.output.configure` takes, in its order."""
    flags = {
        ("--json",): "Print one JSON document on stdout.",
        ("--verbose", "-v"): "Print debug messages and tracebacks.",
        ("--quiet", "-q"): "Print nothing but results and errors.",
    }
    return [TyperOption(param_decls=[*names], is_flag=True, default=False, help=text) for names, text in flags.items()]


def opened(run_dir: Optional[Path]) -> "RunDirectory":
    """Open an existing run and recover it after a killed stage, or print why it cannot be recovered now."""
    if run_dir is None:
        raise UsageError("give the directory of a run, as in `snnb status runs/lenet_mnist`")
    from snnb.stages.open_run import open_run

    run = open_run(run_dir)
    run.settle(output.current.say)
    return run


def run_argument(help: str) -> TyperArgument:
    """Return the argument of every command with the option `--run-dir`.

    The help of the command shows it in place of that option.
    """
    return TyperArgument(param_decls=[_ARGUMENT], required=False, type=NonEmptyPath(), help=help)


def take_run(context: click.Context) -> None:
    """Set `run_dir` from the argument or the option; raise `click.UsageError` if they name two runs."""
    argument, option = context.params.pop(_ARGUMENT, None), context.params.get(RUN_DIR)
    if argument is None:
        return
    if context.get_parameter_source(RUN_DIR) is ParameterSource.ENVIRONMENT:
        option = None  # the command line takes precedence
    if option is not None and os.path.abspath(argument) != os.path.abspath(option):  # noqa: PTH100 - a link stays
        raise click.UsageError(f"conflicting runs {argument} and {option}; give one", context)
    context.params[RUN_DIR] = argument
