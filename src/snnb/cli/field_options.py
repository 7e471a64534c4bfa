"""Options of the command line made from the fields of a model of options."""

import inspect
from pathlib import Path
from typing import (
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
from pydantic.fields import FieldInfo
from typer.core import TyperOption
from typer.models import TyperPath
from typing_extensions import Annotated, get_args, get_origin

from snnb.core.options import (
    Options,
    default_in_words,
    flag_of,
    option_name,
    own_flags,
    typed,
)

Command = Callable[..., None]
LARGEST_SHOWN = 1_000_000  # bounds from it on are limits of the implementation
BRACKETS = {"ge": "[", "gt": "(", "le": "]", "lt": ")"}  # by name of a bound
METAVARS = {int: "N", float: "X"}


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


def with_field_options(
    options: Iterable[TyperOption], *, after: int
) -> Callable[[Command], Command]:
    """Return a decorator that declares options in place of `**options` of a command.

    They follow the first `after` parameters of the command. `HelpfulCommand` adds them;
    typer sees the other parameters only.
    """

    def declare(command: Command) -> Command:
        signature = inspect.signature(command)
        parameters = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.field_options = (after, list(options))  # type: ignore[attr-defined]
        return command

    return declare


def field_options(model: Type[Options]) -> Dict[str, TyperOption]:
    """Return an option for each field of a model that the command line has, by name.

    An option that is not given has the value None.
    """
    return {name: _field_option(model, name) for name in own_flags(model)}


def options_given(
    model: Type[Options], values: Mapping[str, object], names: Iterable[str]
) -> Dict[str, object]:
    """Return the given options among `names`, with the types of the fields.

    `values` are those of all parameters of a command.
    """
    options: Dict[str, object] = {}
    for name in names:
        value = values.get(name)
        if value is None or value == ():
            continue
        flag = flag_of(model, name)
        if flag.repeated and flag.parse is not None:
            value = flag.parse(value)
        options[name] = value
    return typed(model, options)


def _field_option(model: Type[Options], name: str) -> TyperOption:
    flag = flag_of(model, name)
    field = model.model_fields[name]
    value_type = _plain_type(field.annotation)
    choices = get_args(value_type) if get_origin(value_type) is Literal else ()
    is_switch = value_type is bool
    declaration = option_name(model, name)
    if is_switch:
        declaration += f"/--no-{declaration[2:]}"
    return TyperOption(
        param_decls=[name, declaration],
        type=_click_type(value_type, choices, flag.parse, is_list=flag.repeated),
        required=False,
        is_flag=is_switch or None,
        multiple=flag.repeated,
        metavar=flag.metavar or ("NAME" if choices else METAVARS.get(value_type)),
        help=_help_text(field, choices, default_in_words(model, name)),
        envvar=flag.environment,
        show_default=True,
        rich_help_panel=flag.panel,
        shell_complete=_completion(flag.complete, choices),
    )


def _click_type(
    value_type: Any,
    choices: Sequence[str],
    parse: Optional[Callable[[Any], Any]],
    *,
    is_list: bool,
) -> Optional[click.ParamType]:
    """Return the type that converts the text of an option; None for a switch."""
    if is_list:
        return click.STRING
    if parse is not None:
        return ParsedText(parse)
    if choices:
        return click.Choice(choices)
    if value_type is Path:
        return TyperPath()
    types = {int: click.INT, float: click.FLOAT, str: click.STRING, bool: None}
    return types[value_type]


def _completion(
    names: Optional[Callable[[], Sequence[str]]], choices: Sequence[str]
) -> Optional[Callable[..., List[str]]]:
    """Return a function that completes a value; without it a shell completes paths."""
    if names is None and not choices:
        return None

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> List[str]:
        values = choices if names is None else names()
        return [value for value in values if value.startswith(incomplete)]

    return complete


def _plain_type(annotation: Any) -> Any:
    """Return the type of a field without its bounds, and without Optional."""
    is_annotated = isinstance(annotation, type(Annotated[int, 0]))
    if not is_annotated and get_origin(annotation) is not Union:
        return annotation
    members = [part for part in get_args(annotation) if part is not type(None)]
    return _plain_type(members[0])


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
