"""The site that `make site` makes: every page is in its navigation, and it loads nothing from elsewhere."""

import html
import inspect
import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

import snnb
from snnb.core.quantities import Quantity, documents_of

REPOSITORY = Path(__file__).parents[1]
FROM_ELSEWHERE = {"index.md", "containers.md", "contributing.md", "changelog.md"}


def _pages(entry):
    if isinstance(entry, str):
        return [entry]
    return [
        page
        for inner in (entry.values() if isinstance(entry, dict) else entry)
        for page in _pages(inner)
    ]


def test_the_navigation_holds_every_page():
    pages = _pages(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"])
    docs = REPOSITORY / "docs"
    assert sorted(pages) == sorted(
        FROM_ELSEWHERE | {str(path.relative_to(docs)) for path in docs.rglob("*.md")}
    )


def _check_definitions(pages):
    """Check that the tables of quantities show each definition whole, as its field declares it."""
    documents = runpy.run_path(str(REPOSITORY / "docs/make_quantities.py"))["PAGES"]
    num_definitions = 0
    for name, kinds in documents.items():
        page = pages[f"{Path(name).stem}.html"]
        shown_cells = {
            html.unescape(re.sub(r"<[^>]+>", "", cell)).strip()
            for cell in re.findall(r"<td>(.*?)</td>", page, re.DOTALL)
        }
        for definition in _definitions(kinds):
            # Links and code become tags, which are removed above
            text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", definition).replace("`", "")
            assert text in shown_cells, name
            num_definitions += 1
    assert num_definitions > 40


def _definitions(kinds):
    for kind in kinds:
        for field in kind.model_fields.values():
            if any(isinstance(item, Quantity) for item in field.metadata):
                yield (field.description or "").strip()
            yield from _definitions(documents_of(field.annotation))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    subprocess.run(
        ["make", "--silent", ".venv-site/ready"], cwd=str(REPOSITORY), check=True
    )
    built = subprocess.run(
        [
            ".venv-site/bin/mkdocs",
            "build",
            "--strict",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        cwd=str(REPOSITORY),
        env={
            **os.environ,
            "NO_MKDOCS_2_WARNING": "1",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    pages = {path.name: path.read_text() for path in (tmp_path / "site").glob("*.html")}
    assert {f"{path.stem}.html" for path in (REPOSITORY / "docs").glob("*.md")} < set(
        pages
    )
    loaded_urls = [
        tag
        for text in pages.values()
        for tag in re.findall(r"<(?:link|script|img|iframe)\b[^>]*>", text)
    ]
    assert len(loaded_urls) > 100
    assert [
        tag
        for tag in loaded_urls
        if re.search(r"(?:href|src)=[\"']?(?:https?:)?//", tag)
    ] == []
    assert "every synapse of a spiking network" in pages["index.html"]
    _check_definitions(pages)
    for name in set(snnb.__all__) - {"__version__"}:
        thing = getattr(snnb, name)
        members = []
        if inspect.isclass(thing):
            # Fields are in a table of attributes, without anchors
            fields = getattr(thing, "__dataclass_fields__", {})
            names = [member for member in vars(thing) if member not in fields]
            members = [f".{member}" for member in names if not member.startswith("_")]
        for member in ["", *members]:
            # The functions are in the section of `snnb.api`, the classes in their own
            anchors = (f'id="{place}.{name}{member}"' for place in ("snnb", "snnb.api"))
            assert any(anchor in pages["api.html"] for anchor in anchors), name
