"""Read text, JSON and YAML, and escape text for a terminal."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from snnb.core.errors import InputError

LONGEST_NAME = 200  # characters
JsonValue = Any  # numbers, text, lists and mappings, whose structure is checked where they are used


def read_text(path: Path, remedy: str) -> str:
    """Read a text file in UTF-8; raise `InputError` if the file is not UTF-8."""
    return decoded(path.read_bytes(), str(path), remedy)


def decoded(content: bytes, where: str, remedy: str) -> str:
    """Decode UTF-8; raise `InputError`, which begins with `where`, if the content is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{where} is not text; {remedy}") from None


def load_json(path: Path, remedy: str) -> JsonValue:
    """Read a JSON file; `InputError` if it is not valid JSON (see `read_text` for the parameters)."""
    return parse_json(read_text(path, remedy), str(path), remedy)


def parse_json(text: str, where: str, remedy: str) -> JsonValue:
    """Parse JSON; `InputError` if it is not valid (see `decoded` for the parameters)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not valid JSON ({str(error).splitlines()[0]}); {remedy}") from None


def load_yaml(path: Path, remedy: str) -> JsonValue:
    """Read a YAML file; `InputError` if it is not valid YAML (see `read_text` for the parameters)."""
    return parse_yaml(read_text(path, remedy), str(path), remedy)


def parse_yaml(text: str, where: str, remedy: str) -> JsonValue:
    """Parse YAML with a safe loader; `InputError` if it is not valid (see `decoded` for the parameters)."""
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InputError(f"{where} is not valid YAML{line}; {remedy}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:  # of numbers and dates
        raise InputError(f"{where} holds a value that is not valid ({str(error).splitlines()[0]}); {remedy}") from None


def printable(text: str) -> str:
    """Escape control characters, direction marks and invalid bytes in text, but for line ends."""
    return "".join(char if char == "\n" or not _is_control(char) else _escaped(char) for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(char: str) -> str:
    surrogate = 0xD800 <= ord(char) <= 0xDFFF  # an invalid byte
    return f"\\x{ord(char) & 0xFF:02x}" if surrogate else char.encode("unicode_escape").decode()


def is_name(text: str) -> bool:
    """Whether a text is valid as the name of a layer: not empty, at most `LONGEST_NAME` printable characters."""
    return 0 < len(text) <= LONGEST_NAME and "\n" not in text and printable(text) == text
