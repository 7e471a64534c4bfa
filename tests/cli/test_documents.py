"""docs/cli.md, what each command prints with `--json`, held against its schema by another library, and README.md."""

import json
import re
import runpy
import shutil
import sys
from importlib.metadata import metadata
from pathlib import Path

import jsonschema
import pytest

from snnb.cli.command_table import COMMANDS
from snnb.cli.commands import load
from snnb.cli.main import main
from snnb.cli.output import Failure
from tests.end_to_end.conftest import RECORDED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = runpy.run_path(str(ROOT / "docs" / "make_cli_reference.py"))
DOCUMENTS, schema_of = REFERENCE["DOCUMENTS"], REFERENCE["schema_of"]
STAMP = next((RECORDED / "simulations").iterdir()).name
SMALL = ("--samples", "4", "--duration", "8", "--label", "a label")
LINES = {
    "prepare": ["--run-dir", "{run}"],
    "train": ["--run-dir", "{run}"],
    "parse": ["--run-dir", "{run}"],
    "simulate": ["--run-dir", "{run}", *SMALL],
    "graph": ["--run-dir", "{run}", "--rate-unit", "hz"],
    "map": [
        "--run-dir",
        "{run}",
        "--hardware",
        "spinemap_5x5",
        "--method",
        "sequential",
    ],
    "run": ["--run-dir", "{run}"],
    "sweep": ["--run-dir", "{run}", "--grid", "duration=6,8", "--samples", "4"],
    "status": ["{run}"],
    "compare": ["{run}", "--figure", "{run}/../compared.svg"],
    "verify": ["{run}"],
    "report": ["{run}", "--output", "{run}/../page.html"],
    "export": ["{run}", "--format", "csv", "--output", "{run}/../edges.csv"],
    "crosscheck": ["--run-dir", "{run}", "--with", "scipy", "--graph", STAMP],
    "models": [],
    "datasets": [],
    "hardware": [],
    "instances": [],
    "doctor": [],
    "remove": ["{run}", STAMP, "--with-dependents", "--yes"],
}


@pytest.mark.skipif(
    sys.version_info >= (3, 9),
    reason="newer typer words `--help` otherwise; `make docs` uses 3.8",
)
def test_the_page_is_that_of_the_commands():
    assert (
        REFERENCE["TARGET"].read_text(encoding="utf-8") == REFERENCE["reference"]()
    ), "run `make docs`"


@pytest.fixture(scope="module")
def run_copy(tmp_path_factory):
    return shutil.copytree(RECORDED, tmp_path_factory.mktemp("documents") / "run")


@pytest.mark.parametrize("name", LINES)
def test_the_document_is_as_its_schema_says(run_copy, name, capsys):
    """In this order on one run: the last command removes the simulation that it came with."""
    assert (
        main([name, *(word.format(run=run_copy) for word in LINES[name]), "--json"])
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema_of(name))
    validator = jsonschema.Draft202012Validator(schema_of(name))
    assert [error.message[:500] for error in validator.iter_errors(document)] == []
    some_document = document[0] if isinstance(document, list) else document
    some_document["one_more"] = 1
    assert not validator.is_valid(document)
    del some_document["one_more"]
    some_document.pop(next(iter(some_document)))
    assert not validator.is_valid(document)


def test_every_command_that_prints_json_has_a_schema():
    printing = [
        name
        for name in COMMANDS
        if any(parameter.name == "json" for parameter in load(name).params)
    ]
    assert set(printing) == set(DOCUMENTS) == set(LINES), (
        "add it to docs/make_cli_reference.py and to LINES here"
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status", "none"], 3),
        (["simulate", "--first", "-1"], 2),
        (["status", "--nosuch"], 2),
    ],
)
def test_a_failure_is_a_document_too(words, code, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert set(document) == set(Failure.model_fields)
    assert document["exit_code"] == code


def test_targets_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    needed_targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test", "setup", "image"} <= needed_targets
    assert needed_targets <= {*re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)}


def test_the_extras_are_the_packages():
    named_names = {*metadata("snnb").get_all("Provides-Extra")} - {
        "dev",
        "gpu",
        "newest",
    }
    assert [extra for extra in named_names if f"`{extra}`" not in README] == []
    assert {
        word
        for words in re.findall(r"pip install '\.\[(.*?)\]'", README)
        for word in words.split(",")
    } <= named_names
    code = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")
    )
    assert set(re.findall(r"how_to_install\(['\"](\w+)", code)) == named_names


def test_no_page_or_message_installs_a_package_that_is_on_no_index():
    texts = [
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "docker" / "README.md",
        ROOT / "README.md",
    ]
    assert [
        str(path)
        for path in texts
        if re.search(r"snnb\[", path.read_text(encoding="utf-8"))
    ] == []


def test_the_python_of_the_page_runs_as_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace = {}
    exec(
        compile(block.replace("epochs=10", "epochs=1"), "README.md", "exec"), namespace
    )
    assert namespace["graph"].number_of_edges() == int(
        re.search(r"number_of_edges\(\) +# (\d+)", block)[1]
    )
    assert (
        sum(len(batch.source) for batch in namespace["graph"].edge_batches(1_000_000))
        == namespace["graph"].number_of_edges()
    )
