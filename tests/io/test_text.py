import json
import os
import subprocess
import sys

import pytest

from snnb.core.errors import InputError
from snnb.io.text import decoded, load_json, load_yaml, parse_json, printable, read_text


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_text_is_read_with_a_limit(file):
    assert read_text(file("fünf\n"), "") == "fünf\n"
    assert read_text(file("x" * 100), "", longest=100) == "x" * 100
    with pytest.raises(InputError, match="file is longer than 0 MiB; shorten it"):
        read_text(file("x" * 101), "shorten it", longest=100)
    with pytest.raises(InputError, match="file is not text; write it again"):
        read_text(file(b"caf\xe9"), "write it again")
    with pytest.raises(InputError, match="notes is not text"):
        decoded(b"\xff", "notes", "")


@pytest.mark.parametrize(("make", "what"), [(os.mkfifo, "a FIFO"), (os.mkdir, "a directory")])
@pytest.mark.parametrize("load", [read_text, load_json, load_yaml])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, load, make, what):
    make(tmp_path / "x")
    with pytest.raises(InputError, match=f"x is {what}"):
        load(tmp_path / "x", "")


def test_json_is_read(file):
    assert load_json(file('{"a": [1, 2.5, "\\u00e9", null]}'), "") == {"a": [1, 2.5, "é", None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Expecting value: line 1"),
        ("{", "Expecting property name"),
        ("[" * 100_000, "more than 100 levels deep"),
        ('{"a":' * 100_000, "more than 100 levels deep"),
        ("[" + "9" * 100_000 + "]", "4300"),
        ("\ufeff{}", "BOM"),
    ],
    ids=range(6),
)
def test_what_is_no_json_is_named(file, content, message):
    with pytest.raises(InputError, match=f"file is not valid JSON .*{message}.*; write it again") as caught:
        load_json(file(content), "write it again")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="the attribute is not valid JSON"):
        parse_json(content, "the attribute", "")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100 + "]" * 100,
        '{"a":' * 98 + "[1, {}]" + "}" * 98,
        "[" + ", ".join(["[]", '{"a": 1}'] * 1000) + "]",
        json.dumps(["[" * 200, '"' + "{" * 200, "\\" + "[" * 200, '\\"' + "[" * 200, "\\\\" * 3 + '"[' * 200]),
    ],
    ids=range(4),
)
def test_100_levels_of_json_are_read_and_brackets_in_a_text_are_none(content):
    assert parse_json(content, "", "") == json.loads(content)
    with pytest.raises(InputError, match="more than 100 levels deep"):
        parse_json(f'["\\\\", "\\"", {"[" * 100}{content}{"]" * 100}]', "", "")


def test_deep_json_ends_no_process_whatever_python_allows():
    """Its stack holds 60,000 levels, and json.loads goes as deep as the caller's limit lets it."""
    program = (
        "import sys; from snnb.io.text import parse_json; from snnb.core.errors import InputError\n"
        "sys.setrecursionlimit(10**6)\n"
        "try: parse_json('[' * 10**6, 'it', 'x')\n"
        "except InputError as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "it is not valid JSON (more than 100 levels deep); x\n")


def test_yaml_is_read(file):
    assert load_yaml(file("a: [1, 2.5, é]\nb:\n  c: null\n"), "") == {"a": [1, 2.5, "é"], "b": {"c": None}}
    assert load_yaml(file(""), "") is None
    deep = "[" * 32 + "]" * 32
    assert load_yaml(file(deep), "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", r"is not valid YAML \(line 2"),
        ("a: 1\n b: 2", r"is not valid YAML \(line 2"),
        ("a: &x [1]\nb: *x\n", "line 2 has an alias"),
        ("[" * 33, "more than 32 levels deep"),
        ("[" * 1_000_000, "more than 32 levels deep"),
        ("a: 2026-13-45", "a value that is not valid"),
        ("a: !!int ''", "a value that is not valid"),
        ("a: !!bool ''", "a value that is not valid"),
        ("a: " + "9" * 100_000, "a value that is not valid"),
        ("{[a]: 1}", "is not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("a: \x00", "is not valid YAML"),
        ("a: 1\n---\nb: 2", "is not valid YAML"),
    ],
    ids=range(13),
)
def test_what_is_no_yaml_is_named(file, content, message):
    with pytest.raises(InputError, match=f"file.*{message}.*; write it again") as caught:
        load_yaml(file(content), "write it again")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ünïcödé 漢字 🙂\n", "plain ünïcödé 漢字 🙂\n"),
        ("\x1b[31mred\x07\r\t", "\\x1b[31mred\\x07\\r\\t"),
        ("\x9b1m\x85", "\\x9b1m\\x85"),
        ("a\u202eb\u2066c\u200bd\u2028e", "a\\u202eb\\u2066c\\u200bd\\u2028e"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_would_change_a_terminal_is_escaped(text, expected):
    assert printable(text) == expected
    printable(text).encode("utf-8")
