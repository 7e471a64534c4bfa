"""`--figures`: what is drawn where, what runs again for it, and what stays."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from snnb import Run
from snnb.cli.main import main
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run
from snnb.stages.plan import state_of_stages

pytestmark = pytest.mark.usefixtures("drawn_figures")
QUICK = {"epochs": 1, "steps_per_epoch": 2}


def drawn(result):
    """Names of the figures that the manifest records of a result."""
    names = [file.path.rsplit("/", 1)[1] for file in result.record.outputs]
    return {name for name in names if name.endswith((".png", ".svg", ".pdf"))}


def words(path):
    """Texts of an SVG picture, which are texts in it too."""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    return {"".join(item.itertext()).strip() for item in root.iter("{http://www.w3.org/2000/svg}text")}


@pytest.mark.slow
def test_each_stage_draws_in_the_format_asked_for_and_keeps_to_it(run):
    face = Run(path=run.path)
    trained = face.train(figures="svg", **QUICK)
    assert drawn(trained) == {"training_plot.svg"}
    assert {"epoch", "accuracy"} <= words(trained.directory / "training_plot.svg")
    small = {"samples": 4, "duration": 10, "record_spikes": 1}
    simulated = face.simulate(figures="pdf", **small)
    plots = {"accuracy_by_timestep", "rate_histogram", "raster"}
    assert drawn(simulated) == {"training_plot.svg", *(f"{name}.pdf" for name in plots)}
    assert (simulated.directory / "raster.pdf").read_bytes().startswith(b"%PDF")
    assert drawn(face.simulate(**small)) == drawn(simulated)  # as before, where nothing is said
    mapped = face.map(hardware="spinemap_5x5", method="sequential", figures="svg")
    assert drawn(mapped) == {"mapping.svg", "traffic.svg"}
    assert "x" in words(mapped.directory / "traffic.svg")
    assert drawn(face.map(hardware="truenorth", method="sequential")) == drawn(mapped)  # a new mapping, as before
    assert {state.reason for state in state_of_stages(open_run(run.path)) if state.name.startswith("maps")} == {None}
    assert verify_run(open_run(run.path)).problems == []


def test_another_format_alone_makes_nothing_again_and_says_what_does(run, capsys):
    assert main(["train", "--run-dir", str(run.path), "--figures", "svg"]) == 0
    said = capsys.readouterr()
    assert "its figures are unchanged; --force runs it again with figures as svg" in said.err
    assert "up to date" in said.out
    assert main(["simulate", "--run-dir", str(run.path), "--figures", "svg", "--samples", "3", "--duration", "5"]) == 0
    told = capsys.readouterr().out
    assert "rate_histogram.svg" in told
    assert re.search(r"\n  per sample: [\d,]+ additions, [\d.]+ nJ \(trained: 3,664 MACs, ", told)
