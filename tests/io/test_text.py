import os
from pathlib import Path

import pytest

from snnb.core.errors import InputError
from snnb.io.text import (
    decoded,
    is_name,
    load_json,
    load_yaml,
    parse_json,
    printable,
    read_lines,
    read_text,
)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_text_json_and_yaml_are_read(file):
    assert read_text(file("fünf\n")) == "fünf\n"
    assert load_json(file('{"a": [1, 2.5, "\\u00e9", null]}')) == {
        "a": [1, 2.5, "é", None]
    }
    assert load_yaml(file("a: [1, 2.5, é]\nb:\n  c: null\n")) == {
        "a": [1, 2.5, "é"],
        "b": {"c": None},
    }
    assert load_yaml(file("")) is None
    with pytest.raises(InputError, match="file: not text"):
        read_text(file(b"caf\xe9"))
    with pytest.raises(InputError, match="notes: not text"):
        decoded(b"\xff", Path("notes"))
    with pytest.raises(InputError, match="notes: not text"):
        decoded(b"a\0", Path("notes"))


@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n", "\n \n\t\n"])
def test_tabs_at_the_end_of_the_last_line_are_empty_cells(file, end):
    rows = [["id", "spikes", "note"], ["0", "5", "x"], ["1", "6", ""], ["2", "", ""]]
    content = "\n".join("\t".join(row) for row in rows) + end
    assert [line.split("\t") for line in read_lines(file(content))] == rows


def test_a_file_of_blank_lines_has_no_lines(file):
    for content in ("", "\n", "\ufeff \n\t\n\n"):
        assert read_lines(file(content)) == []


def test_yaml_is_read_to_a_depth_of_50(file):
    inner = load_yaml(file("[" * 50 + "1" + "]" * 50))
    for _ in range(50):
        (inner,) = inner
    assert inner == 1
    for content in ("[" * 51 + "]" * 51, "- " * 100_000 + "a", "{" * 100_000):
        with pytest.raises(InputError, match=r"file: .*YAML"):
            load_yaml(file(content))


@pytest.mark.parametrize(
    ("content", "key", "line"),
    [
        ("a: 1\nb: 2\na: 1\n", "a", 3),
        ("a:\n- {b: 1, c: {d: 1,\n  d: 2}}\n", "d", 3),
        ("a: &n {b: 1, b: 2}\nc: *n\n", "b", 1),
        ("? 'a'\n: 1\n\"a\": 2\n", "a", 3),
    ],
)
def test_a_repeated_key_of_yaml_is_refused_with_its_line(file, content, key, line):
    with pytest.raises(
        InputError,
        match=f"file: the key {key} is given several times, again in line {line}; keep one",
    ):
        load_yaml(file(content))


def test_keys_of_yaml_that_only_look_repeated_are_read(file):
    content = "a: &n {<<: &m {b: 1}, b: 2}\nc: {<<: *n, b: 3}\n1: x\n'1': y\nd: [{b: 4}, {b: 5}]\n"
    read = load_yaml(file(content))
    assert read == {
        "a": {"b": 2},
        "c": {"b": 3},
        1: "x",
        "1": "y",
        "d": [{"b": 4}, {"b": 5}],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "Expecting value: line 1"), ("{", "Expecting property name")],
)
def test_invalid_json_is_refused(file, content, message):
    with pytest.raises(InputError, match=f"file: not valid JSON .*{message}") as caught:
        load_json(file(content))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="notes: the attribute is not valid JSON"):
        parse_json(content, Path("notes"), "the attribute is ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plain ünïcödé 漢字 🙂\n", "plain ünïcödé 漢字 🙂\n"),
        ("\x1b[31mred\x07\r\t", "\\x1b[31mred\\x07\\r\\t"),
        ("\x9b1m\x85", "\\x9b1m\\x85"),
        ("a\u202eb\u2066c\u200bd\u2028e", "a\\u202eb\\u2066c\\u200bd\\u2028e"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_control_characters_are_escaped(text, message):
    assert printable(text) == message
    printable(text).encode("utf-8")
    assert is_name(text) == (text == message and "\n" not in text)
