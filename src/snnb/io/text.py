"""Read text, JSON and YAML from files with limits; and make text safe for a terminal."""

import json
import re
import unicodedata
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml

from snnb.core.errors import InputError
from snnb.io.files import read_regular

LONGEST = 32 << 20  # bytes
DEEPEST_YAML = 32  # levels of YAML
DEEPEST_JSON = 100  # levels of JSON; a Keras model in a model has four more
LONGEST_NAME = 200
JsonValue = Any  # numbers, text, lists and mappings, whose structure is checked where they are used
RAISED_BY_PARSERS = (ValueError, OverflowError, TypeError, AttributeError, LookupError)


def read_text(path: Path, remedy: str, *, longest: int = LONGEST) -> str:
    """Read a text file in UTF-8.

    Raises
    ------
    InputError
        It is no regular file, longer than `longest` bytes, or not text.
    """
    return decoded(read_regular(path, longest, remedy), str(path), remedy)


def decoded(content: bytes, where: str, remedy: str) -> str:
    """Decode UTF-8 that was found in `where`; raise `InputError` when it is no UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{where} is not text; {remedy}") from None


def load_json(path: Path, remedy: str, *, longest: int = LONGEST) -> JsonValue:
    """Read a JSON file; raise `InputError` when it is no JSON, too long, or has too many levels."""
    return parse_json(read_text(path, remedy, longest=longest), str(path), remedy)


def parse_json(text: str, where: str, remedy: str) -> JsonValue:
    """Read JSON text that was found in `where`, after a look at its structure.

    More than `DEEPEST_JSON` levels are refused. Python's own limit cannot be relied on: it is the caller's, who may
    have raised it so far that the stack overflows, and garbage that is collected near it ends Python 3.8 ("Cannot
    recover from stack overflow").

    Raises
    ------
    InputError
        The text is no JSON, or has too many levels.
    """
    if _json_levels(text) > DEEPEST_JSON:
        raise InputError(f"{where} is not valid JSON (more than {DEEPEST_JSON} levels deep); {remedy}")
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not valid JSON ({str(error).splitlines()[0]}); {remedy}") from None


def _json_levels(text: str) -> int:
    """Return how many lists and mappings are open at most, up to where the text is no JSON any more."""
    if text.count("[") + text.count("{") <= DEEPEST_JSON:
        return 0
    unescaped = text.replace("\\\\", "").replace('\\"', "")
    brackets = re.sub(r"[^][{}]+", "", re.sub('"[^"]*"', "", unescaped))
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0)


def load_yaml(path: Path, remedy: str, *, longest: int = LONGEST) -> JsonValue:
    """Read a YAML file with a safe loader, after a look at its structure, as `parse_yaml` does.

    Raises
    ------
    InputError
        The file is not such YAML. The message names the line if it can.
    """
    return parse_yaml(read_text(path, remedy, longest=longest), str(path), remedy)


def parse_yaml(text: str, where: str, remedy: str) -> JsonValue:
    """Read YAML text that was found in `where`, with a safe loader, after a look at its structure.

    Aliases are refused, because a few lines of them can stand for gigabytes. So are more than `DEEPEST_YAML` levels,
    at which the C loader would overflow its stack.

    Raises
    ------
    InputError
        The file is not such YAML. The message names the line if it can.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise InputError(f"{where}: line {event.start_mark.line + 1} has an alias; {remedy}")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST_YAML:
                raise InputError(
                    f"{where}: line {event.start_mark.line + 1} is more than {DEEPEST_YAML} levels deep; {remedy}"
                )
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InputError(f"{where} is not valid YAML{line}; {remedy}") from None
    except RAISED_BY_PARSERS as error:  # PyYAML makes numbers and dates without checking their values
        raise InputError(f"{where} holds a value that is not valid ({str(error).splitlines()[0]}); {remedy}") from None


def printable(text: str) -> str:
    """Return text that is safe on a terminal: control characters, direction marks and invalid bytes are escaped.

    Line ends stay.
    """
    return "".join(char if char == "\n" or not _is_control(char) else _escaped(char) for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(char: str) -> str:
    return (
        char.encode("unicode_escape").decode()
        if ord(char) < 0xD800 or ord(char) > 0xDFFF
        else f"\\x{ord(char) & 0xFF:02x}"
    )


def is_name(text: str) -> bool:
    """Whether a text can be shown and written to a file as the name of a layer."""
    return 0 < len(text) <= LONGEST_NAME and "\n" not in text and printable(text) == text
