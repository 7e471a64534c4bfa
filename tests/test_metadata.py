"""The licence and the version are written in several files, which have to agree."""

import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml

import snnb

REPOSITORY = Path(__file__).parents[1]


def test_the_citation_and_the_package_name_this_version_and_its_licence():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == snnb.__version__
    assert (
        (REPOSITORY / "LICENSE")
        .read_text()
        .startswith(f"{citation['license']} License\n")
    )
    (author,) = citation["authors"]
    assert author["name"] in (REPOSITORY / "LICENSE").read_text()
    installed_metadata = metadata("snnb")
    assert installed_metadata["Version"] == snnb.__version__
    assert installed_metadata["License"] == "MIT"
    assert "License :: OSI Approved :: MIT License" in installed_metadata.get_all(
        "Classifier"
    )


@pytest.mark.parametrize(
    "command",
    [["-c", "from snnb import Run; print(Run.__name__)"], ["-m", "snnb", "--version"]],
)
def test_imports_from_the_folder_that_holds_the_clone(tmp_path, command):
    """Python would take a folder `snnb` without a package in it as a namespace package."""
    (tmp_path / "snnb").symlink_to(REPOSITORY)
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() in ("Run", f"snnb {snnb.__version__}"), done.stderr
