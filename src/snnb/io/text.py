"""Read text, JSON, YAML and documents (typed JSON), and escape text for a terminal or a notebook."""

import gzip
import html
import json
import unicodedata
import zlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import (
    IO,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
    cast,
)

import yaml
from pydantic import (
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from snnb.core.errors import DamagedError, first_line
from snnb.core.machine import require_memory
from snnb.core.options import StrictModel
from snnb.core.quantities import number
from snnb.io.faults import faults_in_words
from snnb.io.files import read_text_bytes, refuse_special
from snnb.version import __version__

GZIP = b"\x1f\x8b"  # begin of a file
BLOCK = 1 << 20  # bytes that are read at a time
LONGEST_NAME = 200  # characters
LONGEST_LINE = 100_000  # characters of a line of a table
LINE_BYTES = 70  # of a line in memory, besides its characters
MOST_ROWS = 20  # of a table in a notebook
JSON_BYTES = (
    50  # of memory for a byte of JSON, at most: of short mappings in one another
)
DEEPEST = 50  # lists and mappings of YAML in one another
LONGEST_NUMBER = 100  # characters of a number of YAML
MOST_REPEATED = 100_000  # values of YAML that aliases repeat
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")  # tags
# Numbers, text, lists and mappings, whose structure is checked where they are used
JsonValue = Any


def read_text(path: Path) -> str:
    """Read a text file in UTF-8.

    Raise `DamagedError` if the file is not UTF-8, and the errors of `read_text_bytes`.
    """
    return decoded(read_text_bytes(path), path)


@contextmanager
def unzipped(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes; it may be compressed by gzip, whatever its name."""
    refuse_special(path)
    with path.open("rb") as raw:
        is_gzip = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if is_gzip else raw


def read_lines(path: Path) -> List[str]:
    """Read the lines of a text file in UTF-8, without line ends and without blank lines at the end.

    Tabs at the end of a line remain, since they delimit empty cells of a table. The
    file may be compressed by gzip, whatever its name, and begin with a byte order mark.
    Line k of the file is element k - 1. Raise `DamagedError` if it is not UTF-8, not
    complete, or has a line of `LONGEST_LINE` characters, and `ResourceError` if its
    lines do not fit into memory.
    """
    with unzipped(path) as file:
        try:
            size = lines = 0
            for block in iter(partial(file.read, BLOCK), b""):
                size, lines = size + len(block), lines + block.count(b"\n")
            require_memory(
                3 * size + LINE_BYTES * lines, f"{path}: its {lines:,} lines"
            )
            file.seek(0)
            content = file.read()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DamagedError(
                path, f"not a complete gzip file ({first_line(error)})"
            ) from None
    text = decoded(content, path).lstrip("\ufeff")
    rows = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while rows and not rows[-1].strip():
        rows.pop()
    long = next(
        (number for number, row in enumerate(rows, 1) if len(row) >= LONGEST_LINE), None
    )
    if long is not None:
        raise DamagedError(
            path, f"line {long:,} has {LONGEST_LINE:,} characters or more"
        )
    return rows


def decoded(content: bytes, path: Path) -> str:
    """Decode UTF-8; raise `DamagedError` if the content of `path` is not UTF-8 or contains NUL."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise DamagedError(path, "not text") from None
    if "\0" in text:
        raise DamagedError(path, "not text")
    return text


def load_json(path: Path) -> JsonValue:
    """Read a JSON file; raise `DamagedError` if it is not valid JSON."""
    return parse_json(read_text(path), path)


def parse_json(text: str, path: Path, which: str = "") -> JsonValue:
    """Parse JSON from a file; raise `DamagedError` if it is not valid.

    `which` is a subject and verb that name a part of the file, such as "the attribute x
    is ".
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedError(
            path, f"{which}not valid JSON ({first_line(error)})"
        ) from None


def write_json(path: Path, value: JsonValue) -> None:
    """Write a JSON file that people read."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def load_yaml(path: Path) -> JsonValue:
    """Read a YAML file with a safe loader; raise `DamagedError` if it is not valid, or repeats a key."""
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, path: Path) -> JsonValue:
    """Parse the text of a YAML file; for errors see `load_yaml`."""
    try:
        refuse_deep_yaml(text, path)
        loader = YAML_LOADER(text)
        node = loader.get_single_node()
        _check_nodes(node, path)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise invalid_yaml(error, path) from None
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ):  # of PyYAML, whose messages show Python
        raise DamagedError(
            path, "holds a number, date or key that YAML does not allow"
        ) from None


def _check_nodes(root: Optional[yaml.Node], path: Path) -> None:
    """Raise `DamagedError` for what YAML 1.1 reads otherwise than it is meant.

    That is a mapping with a key twice, of which YAML uses the last, a number in base 60
    (1:30 is 90), and a number that is too long to be read in a short time.
    """
    nodes: List[Optional[yaml.Node]] = [root]
    seen: Set[int] = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.ScalarNode) and node.tag in NUMBERS:
            line, length = node.start_mark.line + 1, len(node.value)
            if length > LONGEST_NUMBER:
                raise DamagedError(
                    path,
                    f"line {line:,}: a number of {length:,} characters; write a "
                    "shorter one",
                )
            if ":" in node.value:
                raise DamagedError(
                    path,
                    f"line {line:,}: {node.value} is a number in base 60 in YAML 1.1; "
                    "write it as a decimal number, or text in quotation marks",
                )
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
            continue
        keys: Set[Tuple[str, str]] = set()
        for key, value in node.value:
            nodes += (key, value)
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in keys:
                name, line = (
                    printable(key.value)[:LONGEST_NAME],
                    key.start_mark.line + 1,
                )
                raise DamagedError(
                    path,
                    f"the key {name} is given several times, again in line {line}; "
                    "keep one",
                )
            keys.add((key.tag, key.value))


def refuse_deep_yaml(text: str, path: Path) -> None:
    """Raise `DamagedError` if YAML is nested too deep, or its aliases repeat too much.

    libyaml composes nested values recursively on the stack of C, and a merge (`<<`)
    copies the values of aliases.
    """
    values = n_repeated = 0
    open_nodes: List[
        Tuple[Optional[str], int]
    ] = []  # anchors of lists and mappings, and the values before
    sizes: Dict[Optional[str], int] = {}  # values of anchors, with repeated ones
    for event in yaml.parse(text, Loader=YAML_LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes[anchor] = values - before
        elif isinstance(event, yaml.AliasEvent):
            values, n_repeated = (
                values + sizes.get(event.anchor, 0),
                n_repeated + sizes.get(event.anchor, 0),
            )
            if n_repeated > MOST_REPEATED:
                raise DamagedError(
                    path, f"aliases of YAML repeat more than {MOST_REPEATED:,} values"
                )
        elif isinstance(event, yaml.NodeEvent):
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, values))
            values, sizes[event.anchor] = values + 1, 1
        if len(open_nodes) > DEEPEST:
            raise DamagedError(path, f"YAML is nested more than {DEEPEST} levels deep")


def invalid_yaml(error: yaml.YAMLError, path: Path) -> DamagedError:
    """Return the error for a file that is not valid YAML, with the line."""
    mark = getattr(error, "problem_mark", None)
    return DamagedError(
        path,
        "not valid YAML"
        + (f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""),
    )


def printable(text: str) -> str:
    """Escape control characters, direction marks and invalid bytes in text.

    Line ends remain.
    """
    return "".join(map(_escape, text))


def _escape(char: str) -> str:
    is_control = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    if char == "\n" or not is_control:
        return char
    is_invalid_byte = 0xD800 <= ord(char) <= 0xDFFF  # a surrogate
    if is_invalid_byte:
        return f"\\x{ord(char) & 0xFF:02x}"
    return char.encode("unicode_escape").decode()


def html_table(
    title: str, rows: Iterable[Sequence[object]], head: Sequence[str] = ()
) -> str:
    """Return a small HTML table for a notebook: escaped text, and at most `MOST_ROWS` rows."""
    cells = [
        [
            number(value).value if isinstance(value, (int, float)) else str(value)
            for value in row
        ]
        for row in rows
    ]
    left_out = len(cells) - MOST_ROWS
    if left_out > 0:
        cells[MOST_ROWS:] = [[f"… {left_out:,} more"]]
    lines = [("th", head), *(("td", row) for row in cells)]
    html_lines = (
        "".join(
            f'<{tag} style="text-align: left">{html.escape(printable(text))}</{tag}>'
            for text in line
        )
        for tag, line in lines
    )
    body = "".join(f"<tr>{line}</tr>" for line in html_lines if line)
    return f"<table><caption>{html.escape(printable(title))}</caption>{body}</table>"


def is_name(text: str) -> bool:
    """Whether a text is valid as the name of a layer: not empty, at most `LONGEST_NAME` printable characters."""
    return (
        0 < len(text) <= LONGEST_NAME and "\n" not in text and printable(text) == text
    )


T = TypeVar("T", bound="Document")


class Document(StrictModel):
    """An immutable JSON object. A field with a default is omitted if it is None."""

    @model_serializer(mode="wrap")
    def _omit_absent(
        self, serialise: SerializerFunctionWrapHandler
    ) -> Dict[str, object]:
        values: Dict[str, object] = serialise(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in values.items()
            if value is not None or fields[name].is_required()
        }

    def write(self, path: Path) -> None:
        """Write the document with one line for each key."""
        values = self.model_dump(mode="json")
        lines = ",\n".join(
            f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()
        )
        path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def read_document(kind: Type[T], path: Path) -> T:
    """Read a document; raise `DamagedError` if the file is not one of this kind."""
    text = read_text(path)
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise DamagedError(
            path,
            faults_in_words(
                error,
                kind,
                parse_json(text, path),
                f"unknown to snnb {__version__}, use the snnb that wrote the file",
            ),
        ) from None
