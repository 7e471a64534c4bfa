"""docs/cli.md names every command and option as they are now."""

import runpy
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.skipif(sys.version_info >= (3, 9), reason="newer typer words `--help` otherwise; `make docs` uses 3.8")
def test_the_reference_is_that_of_the_commands():
    made = runpy.run_path(str(DOCS / "make_cli_reference.py"))["reference"]()
    assert (DOCS / "cli.md").read_text() == made, "run `make docs`"
