"""Each number of a document is a quantity or is named as none, and the tables of the documentation are current."""

import importlib
import runpy
from pathlib import Path
from typing import Union

import pytest
from typing_extensions import get_args, get_origin

import snnb
from snnb.chips.hardware import Hardware, LayerHardware
from snnb.core.quantities import Quantity, quantities_of
from snnb.io.text import Document
from snnb.mapping.files import MappingCost
from snnb.mapping.layers.layer_cost import LayerCost
from snnb.results.compare import Compared
from snnb.results.sweep_table import SweepPoint
from snnb.simulation.statistics import SimulationStatistics
from snnb.stages.all import STAGES
from snnb.training.history import TrainingMetrics

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENTS = [
    SimulationStatistics,
    MappingCost,
    LayerCost,
    Compared,
    SweepPoint,
    TrainingMetrics,
    *(stage.details for stage in STAGES.values()),
]
# Numbers that are no quantities: options, counts that a table of their own shows, and positions
NO_QUANTITIES = {
    "SimulationStatistics": {"first_sample", "duration", "warm_up", "dt_ms", "seed"},
    "TrainingMetrics": {
        "levels",
        "epochs_run",
        "kept_epoch",
        "best_epoch",
        "training_pictures",
        "validation_pictures",
    },
    "PrepareDetails": {"scale", "outside"},
    "TrainDetails": {"epochs_run"},
    "ParseDetails": {"verified_samples"},
    "Fidelity": {"samples", "trained"},
    "GraphDetails": {"nodes"},
    "MappingCost": {"first_id", "seed", "neurons", "samples"},
    "LayerCost": {"neurons", "samples"},
    "StepBound": {"ns", "core"},
    "Contents": {"core", "limit", "max", "mean", "share"},
    "StepLoads": {"peak_step"},
    "BusiestCore": {"core", "sample", "step", "mean"},
    "MapDetails": {"neurons", "overfull_cores"},
}
CHIPS = (Hardware, LayerHardware)  # descriptions by users
WIDEST_TITLE = 32  # beside a value and its unit on 80 columns


def is_number(annotation: object) -> bool:
    """Whether a field has a number, or None instead of one."""
    if get_origin(annotation) is Union:
        return any(is_number(member) for member in get_args(annotation))
    return annotation in (int, float)


def documents_in(kind: type) -> "list[type[Document]]":
    """Return a kind of document, and those in its fields."""
    found_documents = [kind]
    for field in kind.model_fields.values():
        members = (
            get_args(field.annotation)
            if get_origin(field.annotation) is Union
            else [field.annotation]
        )
        for member in members:
            if (
                isinstance(member, type)
                and issubclass(member, Document)
                and member not in CHIPS
            ):
                found_documents += documents_in(member)
    return found_documents


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_each_number_is_a_quantity_or_named_as_none(kind):
    for document in documents_in(kind):
        undeclared_names = {
            name
            for name, field in document.model_fields.items()
            if is_number(field.annotation)
            and not any(isinstance(item, Quantity) for item in field.metadata)
        }
        assert undeclared_names == NO_QUANTITIES.get(document.__name__, set()), (
            document.__name__
        )


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_a_key_has_one_title_and_titles_fit_a_table(kind):
    for key, quantity in quantities_of(kind).items():
        assert quantity.title.strip() == quantity.title, key
        assert len(quantity.title) <= WIDEST_TITLE, key


def test_a_key_stands_for_one_quantity_in_all_documents():
    declared_keys = {}
    for kind in DOCUMENTS:
        for key, quantity in quantities_of(kind).items():
            assert declared_keys.setdefault(key, quantity) == quantity, key


def test_tables_of_quantities_in_the_documentation_are_current():
    made_namespace = runpy.run_path(str(DOCS / "make_quantities.py"))
    for name, kinds in made_namespace["PAGES"].items():
        text = (DOCS / name).read_text(encoding="utf-8")
        assert made_namespace["with_tables"](text, kinds) == text, (
            f"{name}: run `make docs`"
        )


def test_no_module_declares_a_view_of_an_unknown_key():
    """A view raises where it is declared, so that importing the modules with a view is the test."""
    package = Path(snnb.__file__).parent
    declaring = [
        path
        for path in package.rglob("*.py")
        if "= view(" in path.read_text(encoding="utf-8")
    ]
    assert len(declaring) > 8
    for path in declaring:
        importlib.import_module(
            ".".join(["snnb", *path.relative_to(package).with_suffix("").parts])
        )
