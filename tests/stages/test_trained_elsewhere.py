"""A model from a file was trained elsewhere: nothing shows the recipe of a training that never was."""

import re

import pytest

from snnb import Run
from snnb.report.write_report import write_report
from snnb.results.compare import compare
from snnb.stages.command_options import CommandOptions
from snnb.stages.open_run import open_run
from snnb.training.recipe import Recipe
from tests.model_files.conftest import DIGITS_NET

pytestmark = pytest.mark.slow
SIMULATION = {"samples": 10, "duration": 10, "engine": "event"}
RECIPE = {*Recipe.model_fields, "validation_split", "steps_per_epoch"} - {
    "batch_size"
}  # simulations have that, too


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A run of the recorded ONNX model, simulated with two foldings of its pixels."""
    path = tmp_path_factory.mktemp("elsewhere") / "run"
    run = Run(str(DIGITS_NET), path=path, dataset="digits")
    run.simulate(**SIMULATION)
    run.train(pixels="mean=1,std=0.1")
    run.simulate(**SIMULATION)
    return open_run(path)


def test_compare_shows_the_recipe_of_the_network_that_was_trained(elsewhere, run, snnb):
    Run(path=run.path).simulate(**SIMULATION)
    *two, _, trained_model = compare([str(elsewhere.path), str(run.path)])
    assert {name for row in two for name in row.differs} & RECIPE == set()
    assert [row.differs["pixels"] for row in two] == [None, "mean=1,std=0.1"]
    assert (
        trained_model.differs["epochs"],
        trained_model.differs["learning_rate"],
    ) == (
        run.record_of("train").params.epochs,
        run.record_of("train").params.learning_rate,
    )
    rows = {
        line.split("  ")[0]
        for line in snnb("compare", elsewhere.path).stdout.splitlines()
    }
    assert "pixels" in rows
    assert rows & RECIPE == set()


def test_status_report_and_log_are_without_it(elsewhere, tmp_path, snnb):
    status = snnb("status", elsewhere.path).stdout
    page = write_report(elsewhere, output=tmp_path / "report.html").read_text()
    logs = [path.read_text() for path in elsewhere.path.glob("simulations/*/log.txt")]
    assert len(logs) == 2
    for text in (status, page, *logs):
        assert [name for name in RECIPE if re.search(rf"\b{name}\b", text)] == []
    assert "trained with another program" in page
    assert "mean=1,std=0.1" in page


def test_the_report_of_a_trained_network_has_it(run, tmp_path):
    page = write_report(run, output=tmp_path / "report.html").read_text()
    assert [name for name in RECIPE if name not in page] == []


def test_the_seed_goes_to_the_stages_that_use_it(elsewhere):
    options_given = {name: {"seed": 3} for name in ("prepare", "train", "simulate")}
    assert CommandOptions.of(elsewhere, options_given).given == {
        **options_given,
        "train": {},
    }
