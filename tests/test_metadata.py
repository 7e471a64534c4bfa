"""The licence and the version are written in several files, which have to agree."""

from importlib.metadata import metadata
from pathlib import Path

import yaml

import snnb

REPOSITORY = Path(__file__).parents[1]


def test_the_citation_names_this_version_and_its_licence():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == snnb.__version__
    assert (REPOSITORY / "LICENSE").read_text().startswith(f"{citation['license']} License\n")
    (author,) = citation["authors"]
    assert author["name"] in (REPOSITORY / "LICENSE").read_text()


def test_the_package_says_the_same():
    installed = metadata("snnb")
    assert installed["Version"] == snnb.__version__
    assert installed["License"] == "MIT"
    assert "License :: OSI Approved :: MIT License" in installed.get_all("Classifier")
