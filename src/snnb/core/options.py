"""Declare options once, as fields of pydantic models with type, bounds, default and help.

The command line, `snnb.Run` and the manifest are made from these fields. A field with
`exclude=True` does not change results: it is not recorded and never makes a stage
stale.
"""

import inspect
import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    Hashable,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
    Union,
    cast,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticUndefined
from typing_extensions import Annotated, get_args

from snnb.core.errors import UsageError

F = TypeVar("F", bound=Callable[..., object])
# numpy's legacy generator, which TensorFlow and the toolbox use, takes 32 bits
LARGEST_SEED = 2**32 - 1
MOST = 2**31 - 1
Count = Annotated[int, Field(ge=1, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
AbsolutePath = Annotated[Path, AfterValidator(lambda path: Path(os.path.abspath(path)))]  # noqa: PTH100 - links stay
# Configuration of options, records and documents. A command declares all models and
# uses few, so each is built when it is first used.
STRICT = ConfigDict(
    extra="forbid",
    frozen=True,
    protected_namespaces=(),
    allow_inf_nan=False,
    defer_build=True,
)


@dataclass(frozen=True)
class Flag:
    """Properties of a field on the command line, in addition to its type, bounds and help."""

    # Name of the option if it differs from the name of the field
    name: Optional[str] = None
    metavar: Optional[str] = None  # placeholder for its value in the help
    # Turns the text into the value; raises `ValueError` with the reason
    parse: Optional[Callable[[Any], Any]] = None
    # Environment variable if it is not `SNNB_<COMMAND>_<OPTION>`
    environment: Optional[str] = None
    # Whether the option can be given several times; `parse` receives the list of texts
    repeated: bool = False
    hidden: bool = False  # whether the command line does not have the option
    # Returns the values for shell completion
    complete: Optional[Callable[[], Sequence[str]]] = None
    # Title of its panel in the help; None for the first panel
    panel: Optional[str] = None


class StrictModel(BaseModel):
    """Base class of options and documents: immutable, unknown names are errors.

    A boolean is not a number: pydantic would take true for 1.
    """

    model_config = STRICT

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_boolean_numbers(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name is not None
        refuse_boolean_numbers(value, cls.model_fields[info.field_name].annotation)
        return value


def refuse_boolean_numbers(value: object, annotation: object) -> None:
    """Raise pydantic's error if a boolean stands where the type has only numbers.

    `value` is the value of a field, `annotation` its type. Values of lists and mappings
    are checked too; the error has their index or key as its place.
    """
    entries: Sequence[Tuple[Tuple[Union[int, str], ...], object]] = [((), value)]
    if isinstance(value, (list, tuple)):
        entries = [((index,), item) for index, item in enumerate(value)]
    elif isinstance(value, dict):
        entries = [((), key) for key in value]
        entries += [((key,), item) for key, item in value.items()]
    booleans = [(place, item) for place, item in entries if isinstance(item, bool)]
    types = _types_in(annotation)
    if not booleans or types & {bool, Any, object} or not types & {int, float}:
        return
    fault = "float_type" if float in types else "int_type"
    raise ValidationError.from_exception_data(
        "a boolean is not a number",
        [
            InitErrorDetails(type=fault, loc=place, input=item)
            for place, item in booleans
        ],
    )


def _types_in(annotation: object) -> Set[object]:
    """Return a type with the types that it is made of: `List[int]` and `int`."""
    types = {annotation} if isinstance(annotation, Hashable) else set()
    for part in get_args(annotation):
        types |= _types_in(part)
    return types


class Options(StrictModel):
    """Base class of options: typed and immutable; an unknown name is an error."""

    # By field: a description of its default
    defaults_elsewhere: ClassVar[Mapping[str, str]] = {}

    def changed(self: "Opts", **values: object) -> "Opts":
        """Return a copy with other values of some fields; raise `UsageError` if one is not valid."""
        return validated(type(self), {**dict(self), **values})


Opts = TypeVar("Opts", bound=Options)


def validated(kind: Type[Opts], values: Mapping[str, object]) -> Opts:
    """Return options with the given values; raise `UsageError` if a value is not valid."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _usage_error(kind, error.errors()[0]) from None


def typed(
    kind: Type[Options], options_given: Mapping[str, object]
) -> Dict[str, object]:
    """Convert some of the options to the types of their fields: the text `"3"` for a count becomes 3.

    Raise `UsageError` if an option does not exist, or a value is not valid.
    """
    refuse_bad_values(kind, options_given)
    for name in options_given:
        if flag_of(kind, name).hidden:
            raise _no_such_option(kind, name)
    return {name: value_of(kind, name, value) for name, value in options_given.items()}


def value_of(kind: Type[Options], name: str, value: object) -> object:
    """Convert one option to the type of its field, independently of the others; raise `UsageError` if it is invalid."""
    try:
        return TypeAdapter(
            field_type(kind, name),
            config=ConfigDict(allow_inf_nan=False),
        ).validate_python(value)
    except ValidationError as error:
        raise _usage_error(kind, {**error.errors()[0], "loc": (name,)}) from None


def field_type(kind: Type[Options], name: str) -> Type[object]:
    """Return the type of an option with its bounds and validators."""
    field = kind.model_fields[name]
    annotation: Any = (
        Annotated[(field.annotation, *field.metadata)]
        if field.metadata
        else field.annotation
    )
    return cast("Type[object]", annotation)


def over_defaults(
    defaults: Mapping[str, object], options: Mapping[str, object]
) -> Dict[str, object]:
    """Return the defaults with the values of options in their place.

    In a mapping of settings, the settings that an option does not name keep their
    defaults.
    """
    values = {**defaults, **options}
    for name, value in options.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            values[name] = {**default, **value}
    return values


def valid_defaults(
    kind: Type[Options],
    defaults: Mapping[str, object],
    options: Mapping[str, object],
) -> Dict[str, object]:
    """Return the defaults that are valid together with the options.

    A default momentum of SGD is not valid together with `--optimizer adam`.
    """
    valid = dict(defaults)
    while True:
        try:
            kind.model_validate(over_defaults(valid, options))
        except ValidationError as error:
            names = {
                str(wrong["loc"][0])
                for wrong in error.errors()
                if wrong["type"] != "missing"
            }
            invalid = names.intersection(valid).difference(options)
            if invalid:
                for name in invalid:
                    del valid[name]
                continue
        return valid


def refuse_bad_values(kind: Type[Options], values: Mapping[str, object]) -> None:
    """Raise `UsageError` if one of these `values` of some fields of `kind` is not valid."""
    try:
        kind.model_validate(values)
    except ValidationError as error:
        for wrong in error.errors():
            if wrong["type"] != "missing":
                raise _usage_error(kind, wrong) from None


def from_pairs(pairs: Sequence[str]) -> Dict[str, object]:
    """Parse texts like `dropout=0.3` or `filters=8,16`; raise `UsageError` for a text without `=` or a repeated key."""
    options_given: Dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair}: write it as key=value")
        if key in options_given:
            raise UsageError(
                f"--set {pair}: {key} is given several times; give it once",
            )
        options_given[key] = (
            tuple(_parsed(part) for part in text.split(","))
            if "," in text
            else _parsed(text)
        )
    return options_given


def _parsed(text: str) -> Any:
    """Return a number if the text is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def default_in_words(kind: Type[Options], name: str) -> Optional[str]:
    """Return the default of the field `name` as the help shows it; None if the field is off by default."""
    default = kind.model_fields[name].default
    if name in kind.defaults_elsewhere:
        return kind.defaults_elsewhere[name]
    if default is None or default is False or default is PydanticUndefined:
        return None
    return f"{default:g}" if isinstance(default, float) else str(default)


def changes_result(kind: Type[Options], name: str) -> bool:
    """Whether a result depends on the option, and records it."""
    return not kind.model_fields[name].exclude and not flag_of(kind, name).hidden


def recorded_values(
    kind: Type[Options], options: Mapping[str, object]
) -> Dict[str, object]:
    """Return the options that a result records, as JSON values."""
    values: Dict[str, Any] = {
        name: value for name, value in options.items() if changes_result(kind, name)
    }
    return kind.model_construct(**values).model_dump(mode="json", include=set(values))


def own_flags(kind: Type[Options]) -> Dict[str, Flag]:
    """Return the fields of `kind` that are options of the command line, in order, each with its `Flag`."""
    flags = {name: flag_of(kind, name) for name in kind.model_fields}
    return {name: flag for name, flag in flags.items() if not flag.hidden}


def flag_of(kind: Type[Options], name: str) -> Flag:
    """Return the `Flag` of the field `name`, or a default one."""
    return next(
        (item for item in kind.model_fields[name].metadata if isinstance(item, Flag)),
        Flag(),
    )


def option_name(kind: Type[Options], name: str) -> str:
    """Return the option of the field `name`, such as `--batch-size`."""
    other_name = flag_of(kind, name).name if name in kind.model_fields else None
    return other_name or f"--{name.replace('_', '-')}"


def options_in_words(kind: Type[Options], values: Mapping[str, object]) -> str:
    """Return values of options as on the command line: `--calibrate 8, --least-squares`, `no --weight-bits` if off."""
    words = []
    for name, value in values.items():
        option = option_name(kind, name)
        if value is None or isinstance(value, bool):
            words.append(option if value else f"no {option}")
        elif isinstance(value, tuple) and flag_of(kind, name).repeated:
            words += [f"{option} {item}" for item in value]
        elif isinstance(value, Mapping):
            words += [
                f"{option} {key}={_typed(item, ',')}" for key, item in value.items()
            ]
        else:
            words.append(f"{option} {_typed(value, 'x')}")
    return ", ".join(words)


def command_words(kind: Type[Options], values: Mapping[str, object]) -> List[str]:
    """Return the words of a command with values of options: `--calibrate`, `8`."""
    words: List[str] = []
    for name, value in values.items():
        option = option_name(kind, name)
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, tuple) and flag_of(kind, name).repeated:
            for item in value:
                words += [option, str(item)]
        elif isinstance(value, Mapping):
            for key, item in value.items():
                words += [option, f"{key}={_typed(item, ',')}"]
        elif isinstance(value, float):
            words += [option, str(value)]
        elif value is not None:
            words += [option, _typed(value, "x")]
    return words


def _typed(value: object, between: str) -> str:
    if isinstance(value, tuple):
        return between.join(_typed(item, between) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _no_such_option(kind: Type[Options], name: str) -> UsageError:
    near = get_close_matches(name, own_flags(kind), n=1)
    options = ", ".join(sorted(option_name(kind, field) for field in own_flags(kind)))
    hint = (
        f"did you mean {option_name(kind, near[0])}?"
        if near
        else f"there are {options}"
    )
    return UsageError(f"no such option: {option_name(kind, name)}; {hint}")


def _usage_error(kind: Type[Options], wrong: Mapping[str, Any]) -> UsageError:
    name, reason = str(wrong["loc"][0]), wrong["msg"]
    option = option_name(kind, name)
    if wrong["type"] == "extra_forbidden":
        return _no_such_option(kind, name)
    # Raised by a validator; pydantic prefixes its message
    if wrong["type"] == "value_error":
        reason = wrong["ctx"]["error"]
    # A switch is given without a value
    value = "" if wrong.get("input") is True else f" {wrong.get('input')!r}"
    return UsageError(f"{option}{value}: {str(reason)[:1].lower()}{str(reason)[1:]}")


class _DefaultInWords(str):
    """A default that depends on the run or the samples, in a signature."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{self}>"


def documented(kind: Type[Options], keywords: type) -> Callable[[F], F]:
    """Replace `**options` in the signature of a function, and document the options.

    Parameters
    ----------
    kind : type
        Its fields are the options.
    keywords : type
        TypedDict of the options of the function, with their types.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        parameters = []
        for parameter in signature.parameters.values():
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                parameters.append(parameter)
        lines = []
        for name, hint in keywords.__annotations__.items():
            field = kind.model_fields[name]
            value = field.get_default(call_default_factory=True)
            default = default_in_words(kind, name) or value
            if name in kind.defaults_elsewhere:
                value = _DefaultInWords(default)
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=hint
                )
            )
            hint_text = inspect.formatannotation(hint)
            lines.append(f"{name} : {hint_text}, default: {default}")
            lines.append(f"    {field.description}")
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        function.__doc__ = _add_parameters(function.__doc__ or "", lines)
        return function

    return decorate


def _add_parameters(docstring: str, lines: Sequence[str]) -> str:
    """Append lines to the section Parameters of a docstring, which is made if missing."""
    text = inspect.cleandoc(docstring)
    head, separator, rest = text.partition("\n\nReturns\n---")
    if "\nParameters\n----" in head:
        return "\n".join([head, *lines]) + separator + rest
    title = ["", "Parameters", "----------"]
    return "\n".join([head, *title, *lines]) + separator + rest
