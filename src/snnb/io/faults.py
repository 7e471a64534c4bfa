"""Faults that pydantic finds in a document, in the words of snnb."""

import json
from difflib import get_close_matches
from typing import Any, Dict, Iterator, List, Tuple, Type

from pydantic import BaseModel, ValidationError
from typing_extensions import get_args

LONGEST_PLACE, LONGEST_FAULT, LONGEST_VALUE = 200, 1000, 60  # characters
MOST_FAULTS = 30  # faults in a message, at most
# By pydantic's type of a fault: `{value}` is the value in the document, other names are
# in the context of the fault.
WORDS = {
    "missing": "missing",
    "invalid_key": "a key that is not text",
    "greater_than": "{value} is not above {gt:.16g}",
    "greater_than_equal": "{value} is below {ge:.16g}",
    "less_than": "{value} is not below {lt:.16g}",
    "less_than_equal": "{value} is above {le:.16g}",
    "finite_number": "{value} is not a finite number",
    "literal_error": "{value} is not {expected}",
    "string_too_short": "{value} is too short (at least {min_length:,})",
    "string_too_long": "{value} is too long (at most {max_length:,})",
    "string_pattern_mismatch": "{value} does not match the pattern {pattern}",
    "too_short": "too few entries (at least {min_length:,})",
    "too_long": "too many entries (at most {max_length:,})",
    "value_error": "{error}",
    **dict.fromkeys(
        ("int_type", "int_from_float", "int_parsing", "int_parsing_size"),
        "{value} is not an integer",
    ),
    **dict.fromkeys(("float_type", "float_parsing"), "{value} is not a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "{value} is not true or false"),
    **dict.fromkeys(("string_type", "path_type"), "{value} is not text"),
    **dict.fromkeys(("list_type", "tuple_type"), "{value} is not a list"),
    **dict.fromkeys(
        ("dict_type", "model_attributes_type", "model_type"), "{value} is not a mapping"
    ),
}
Place = Tuple[Any, ...]  # keys and indices


def faults_in_words(
    error: ValidationError,
    kind: Type[BaseModel] = BaseModel,
    data: object = None,
    unknown_text: str = "",
) -> str:
    """Return the faults of a document, of type `kind` and content `data`, in one line, each with its place.

    Without `data`, pydantic's names of the members of a union remain in the places.
    `unknown_text` are words for an unknown key, by default the key that is meant, or
    all keys of its mapping.
    """
    faults: Dict[Place, List[str]] = {}
    for wrong in error.errors(include_url=False):
        place = (
            wrong["loc"]
            if data is None
            else _place(wrong["loc"], data, wrong["type"] == "missing")
        )
        words = WORDS.get(wrong["type"])
        text = (
            wrong["msg"]
            if words is None
            else words.format(value=_shown(wrong["input"]), **wrong.get("ctx", {}))
        )
        if wrong["type"] == "extra_forbidden":
            text = unknown_text or f"unknown key{_meant(place, kind)}"
        if text not in faults.setdefault(place, []):
            faults[place].append(text[:LONGEST_FAULT])
    inner = {place[:length] for place in faults for length in range(len(place))}
    lines = [  # without the faults of a union whose member is at fault further in
        ": ".join(
            filter(
                None, [".".join(map(str, place))[:LONGEST_PLACE], " and ".join(texts)]
            )
        )
        for place, texts in faults.items()
        if place not in inner
    ]
    more = (
        [f"and {len(lines) - MOST_FAULTS:,} more"] if len(lines) > MOST_FAULTS else []
    )
    return "; ".join([*lines[:MOST_FAULTS], *more])


def _place(location: Place, data: Any, is_missing: bool) -> Place:
    """Return the keys and indices of a location in the data, without pydantic's names of the members of a union.

    `is_missing` says whether the last key or index is not in the data.
    """
    if location[-1:] == (
        "[key]",
    ):  # the key itself is at fault; pydantic may write it as text
        location, is_missing = location[:-1], True
    place: List[Any] = []
    for part in location[:-1] if is_missing else location:
        known_names = (
            part in data
            if isinstance(data, dict)
            else isinstance(data, list) and part in range(len(data))
        )
        if known_names:
            data = data[part]
            place.append(part)
    return (*place, *(location[-1:] if is_missing else ()))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _meant(place: Place, kind: Type[BaseModel]) -> str:
    """Return a hint for an unknown key: the most similar key of a document of `kind`, or all keys."""
    kinds = [kind]
    for part in place[:-1]:
        fields = [one.model_fields[part] for one in kinds if part in one.model_fields]
        kinds = [
            model for field in fields for model in _models(field.annotation)
        ] or kinds
    keys = [key for one in kinds for key in one.model_fields]
    near = get_close_matches(str(place[-1]), keys, n=1)
    return (
        f" (did you mean {near[0]}?)" if near else f" (the keys are {', '.join(keys)})"
    )


def _models(annotation: Any) -> Iterator[Type[BaseModel]]:
    """Yield the models in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
