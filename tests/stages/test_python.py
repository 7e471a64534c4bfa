"""The Python face: the blocks of docs/python.md, what type checkers and `help()` see, figures and errors."""

import inspect
import json
import re
import runpy
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

import snnb
from snnb import Run
from snnb.core.errors import InputError, UpstreamError, UsageError
from snnb.core.options import own_flags
from snnb.core.quantities import number
from snnb.io.text import html_table
from snnb.results.verify import verify_run
from snnb.stages.all import STAGES
from snnb.stages.open_run import open_run
from snnb.stages.states import state_of_stages
from tests.conftest import DRAWN, figures
from tests.end_to_end.conftest import RECORDED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
SECTIONS = re.split(r"^##? ", PAGE, flags=re.MULTILINE)[1:]
# Sections that simulate, or read records of the first simulation of the page.
SIMULATED = (
    "snnb from Python",
    "A run directory",
    "Accuracy over dur",
    "Comparing percentiles",
)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the page's blocks leave behind, run one after the other."""
    folder, names = tmp_path_factory.mktemp("python"), {}
    with pytest.MonkeyPatch.context() as patches:
        patches.chdir(folder)
        for block in BLOCKS:
            exec(compile(block, "docs/python.md", "exec"), names)
        names["directory"] = names["simulation"].directory.resolve()
    return names


@pytest.mark.slow
def test_the_page_agrees_with_itself(said):
    graph, edges = said["graph"], said["graph"].number_of_edges()
    assert (
        said["weights"].nnz
        == said["small"].number_of_edges()
        == said["network"].ecount()
        == len(said["frame"])
    )
    assert said["built"].record.details.synapses == edges == len(said["frame"])
    assert said["frame"]["edge"].sum() == pytest.approx(
        said["traffic"].sum(dtype=np.float64), rel=1e-5
    )
    total = sum(p.spikes_per_second for p in graph.summary())
    assert total > 0
    document = json.loads((said["directory"] / "sim_accuracies.json").read_text())
    assert (
        document["snn_accuracy_by_timestep"][-1]
        == said["simulation"].record.metrics["snn_accuracy"]
    )
    assert said["mapping"].traffic.sum() == pytest.approx(
        said["mapped"].record.metrics["connectivity"]
    )


@pytest.fixture(scope="module")
def drawn_run(tmp_path_factory):
    """A run, and results with figures, each drawn by its stage."""
    path = Path(shutil.copytree(RECORDED, tmp_path_factory.mktemp("drawn") / "run"))
    with figures(DRAWN):
        face = snnb.Run(path=path)
        trained_result = face.train(epochs=1, force=True, resume=False)
        simulated_result = face.simulate(
            samples=8, duration=12, record_spikes=2, input="poisson"
        )
        return face, {
            "train": trained_result,
            "simulate": simulated_result,
            "map": face.map(hardware="loihi", method="sequential"),
        }


def test_the_recipes_run_on_the_recorded_run(run, tmp_path, monkeypatch, no_kahypar):
    monkeypatch.chdir(tmp_path)
    face = snnb.Run(path=run.path)
    (simulation,) = face.simulations.values()
    names = {"run": face, "simulation": simulation, "built": face.graph()}
    recipes = [section for section in SECTIONS if not section.startswith(SIMULATED)]
    assert len(recipes) == len(SECTIONS) - len(SIMULATED)
    for block in re.findall(r"```python\n(.*?)```", "".join(recipes), re.DOTALL):
        exec(compile(block, "docs/python.md", "exec"), names)
    assert names["frame"]["edge"].sum() == pytest.approx(
        names["traffic"].sum(dtype=np.float64), rel=1e-5
    )
    assert names["network"].ecount() == names["built"].record.details.synapses


def test_the_keywords_are_those_of_the_options():
    made_namespace = runpy.run_path(str(ROOT / "docs" / "make_keywords.py"))["module"]()
    assert (ROOT / "src" / "snnb" / "run_keywords.py").read_text() == made_namespace, (
        "run `make docs`"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_help_shows_every_option(stage):
    method, params = getattr(snnb.Run, stage), STAGES[stage].params
    fields = own_flags(params)
    assert list(inspect.signature(method).parameters) == [
        "self",
        "force",
        "defaults",
        *fields,
    ]
    for name in fields:
        assert inspect.signature(method).parameters[name].default is not ...
        assert f"\n{name} : " in method.__doc__
        assert params.model_fields[name].description in method.__doc__


@pytest.mark.slow
def test_a_type_checker_sees_the_keywords(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from snnb import Run\n"
        "run = Run('mini_network')\n"
        "run.train(epochs=3, optimizer='adam')\n"
        "run.train(epoch=3)\n"
        "run.simulate(engine='even')\n"
    )
    # In a process of its own: mypy raises the limit of recursion, with which a deeply nested text ends a process.
    command = [sys.executable, "-m", "mypy", str(script), "--no-incremental"]
    found_process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found_process.returncode == 1
    wrong = [line for line in found_process.stdout.splitlines() if ": error:" in line]
    assert [re.search(r":(\d+): error: (\w+)", line).groups() for line in wrong] == [
        ("4", "Unexpected"),
        ("5", "Argument"),
    ]


def test_a_wrong_keyword_is_answered_with_the_right_one(tmp_path):
    with pytest.raises(
        UsageError, match="no such option: --epoch; did you mean --epochs"
    ):
        snnb.Run("mini_network", path=tmp_path / "run").train(epoch=3)
    with pytest.raises(
        UsageError,
        match=r"no such option: --dataset; there are --bin-us, --binary, .*source$",
    ):
        snnb.Run("mini_network", path=tmp_path / "run").prepare(
            dataset="mnist"
        )  # the data set is the run's
    assert {"Run", "SynapseGraph", "Mapping", "read_spikes"} <= set(dir(snnb))


def test_signatures_have_the_defaults():
    parameters = inspect.signature(snnb.Run.simulate).parameters
    assert (parameters["warm_up"].default, parameters["engine"].default) == (0, "auto")
    assert repr(parameters["samples"].default) == "<1000, or the size of the test set>"


def test_results_are_a_line_and_in_notebooks_a_table(run, tmp_path):
    face = snnb.Run(path=run.path)
    (simulation,) = face.simulations.values()
    assert simulation.metrics == simulation.record.metrics
    assert f"SNN accuracy {simulation.metrics['quoted_accuracy']:.2%}" in repr(
        simulation
    )
    assert len(repr(simulation)) < 200 + len(str(simulation.directory))
    mapping = snnb.Mapping.open(
        face.map(hardware="spinemap_5x5", method="sequential").directory
    )
    with snnb.SynapseGraph.open(next((run.path / "graphs").glob("*/*.h5"))) as graph:
        sizes = [f"{population.size:,}" for population in graph.populations]
        cells = [
            [cell.text for cell in row]
            for row in ElementTree.fromstring(graph._repr_html_()).iter("tr")
        ]
    assert [row[-1] for row in cells] == ["neurons", *sizes]
    shown_element = ElementTree.fromstring(mapping._repr_html_())
    table = [[cell.text for cell in row] for row in shown_element.iter("tr")]
    assert ["cores", f"{mapping.cost.cores.cores:,}"] in table
    hops = mapping.cost.routes.hops_unicast
    assert ["hops", f"{number(hops).value} links/sample"] in table
    places = [
        row[0].text for row in ElementTree.fromstring(face._repr_html_()).iter("tr")
    ]
    assert places == ["result", *open_run(run.path).records()]
    hostile = replace(simulation, directory=tmp_path / "<script>&\x1b")
    assert "<script>&\\x1b" in "".join(
        ElementTree.fromstring(hostile._repr_html_()).itertext()
    )


def test_a_table_of_many_rows_is_cut():
    rows = [
        row[0].text
        for row in ElementTree.fromstring(html_table("", zip(range(30)))).iter("tr")
    ]
    assert rows == [*map(str, range(20)), "… 10 more"]


FILES = {
    "training": "training_plot",
    "accuracy": "accuracy_by_timestep",
    "rates": "rate_histogram",
}


@pytest.mark.parametrize("name", [*FILES, "raster", "mapping", "traffic", "events"])
def test_a_plot_is_the_saved_figure(drawn_run, drawn_figures, name):
    face, results = drawn_run
    stage = {
        "training": "train",
        "mapping": "map",
        "traffic": "map",
        "events": "map",
    }.get(name, "simulate")
    saved_path = results[stage].directory / f"{FILES.get(name, name)}.png"
    with matplotlib.rc_context({"font.size": 14}):  # of the user
        figure = face.plot(name)
        drawn_pixels = np.asarray(Image.open(BytesIO(figure._repr_png_())))
    np.testing.assert_array_equal(drawn_pixels, np.asarray(Image.open(saved_path)))


def test_what_cannot_be_plotted_is_refused(run):
    face = snnb.Run(path=run.path)
    with pytest.raises(
        UsageError, match="plot 'loss' is unknown; use one of training, accuracy"
    ):
        face.plot("loss")
    with pytest.raises(UpstreamError, match="no result of map to plot"):
        face.plot("mapping")
    with pytest.raises(UsageError, match="20200101T000000Z: no result of simulate"):
        face.plot("rates", "20200101T000000Z")
    made_result = face.simulate(samples=2, duration=2, record_spikes=0)
    with pytest.raises(InputError, match="simulate with record_spikes=K"):
        face.plot("raster")
    (made_result.directory / "sim_accuracies.json").write_text("{}")
    with pytest.raises(InputError, match=r"sim_accuracies\.json"):
        face.plot("accuracy", made_result.directory.name)


def test_a_run_tells_its_results(run):
    face = snnb.Run(path=run.path)
    (stamp,) = face.simulations
    assert (
        face.simulations[stamp].record.metrics
        == run.record_of("simulate", stamp).metrics
    )
    assert list(face.graphs) == [stamp]
    mapped_mapping = face.map(hardware="spinemap_5x5", method="sequential")
    assert face.mappings == {mapped_mapping.directory.name: mapped_mapping}
    assert (
        repr(face)
        == f"<Run mini_network: {run.path}, 1 simulation, 1 graph, 1 mapping>"
    )
    (comparison,) = face.compare()
    assert (
        comparison.metrics["snn_accuracy"]
        == face.simulations[stamp].record.metrics["snn_accuracy"]
    )
    assert [mapping.stamp for mapping in comparison.mappings] == list(face.mappings)
    assert len(face.compare(face, f"{run.path}:{stamp}")) == 1


def test_methods_see_results_of_other_objects(run, tmp_path):
    """As a notebook has them: two objects of one run, or a command next to it."""
    first_run, second_run = snnb.Run(path=run.path), snnb.Run(path=run.path)
    new = second_run.simulate(samples=4, duration=5, engine="event").directory.name
    files = second_run.verify().files
    assert first_run.export("npz", tmp_path / "graph.npz").graph == new
    assert first_run.verify().files > files  # of the graph too
    assert f"simulation {new}" in first_run.report().read_text()
    assert first_run.remove(new, with_dependents=True).removed == [
        f"simulations/{new}",
        f"graphs/{new}",
    ]


def test_waiting_for_a_locked_run_is_a_warning(run, monkeypatch):
    held = threading.Event()
    release = threading.Event()
    warnings_seen = []

    def hold():
        with run.locked():
            held.set()
            release.wait(60)

    monkeypatch.setattr(
        "warnings.warn",
        lambda message, **_: warnings_seen.append(str(message)) or release.set(),
    )
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    snnb.Run(path=run.path).graph()
    holder.join()
    assert [
        message
        for message in warnings_seen
        if re.match("waiting for .*, in use by process", message)
    ]


QUICK = {"epochs": 1, "steps_per_epoch": 2}


def draw(result):
    """Names of the figures that the manifest records of a result."""
    names = [file.path.rsplit("/", 1)[1] for file in result.record.outputs]
    return {name for name in names if name.endswith((".png", ".svg", ".pdf"))}


def words(path):
    """Texts of an SVG picture, which are texts in it too."""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    return {
        "".join(item.itertext()).strip()
        for item in root.iter("{http://www.w3.org/2000/svg}text")
    }


@pytest.mark.slow
@pytest.mark.usefixtures("drawn_figures")
def test_each_stage_draws_in_the_format_asked_for_and_keeps_to_it(run):
    face = Run(path=run.path)
    trained_result = face.train(figures="svg", **QUICK)
    assert draw(trained_result) == {"training_plot.svg"}
    assert {"epoch", "accuracy"} <= words(
        trained_result.directory / "training_plot.svg"
    )
    small = {"samples": 4, "duration": 10, "record_spikes": 1}
    simulated_result = face.simulate(figures="pdf", **small)
    plots = {"accuracy_by_timestep", "rate_histogram", "raster"}
    assert draw(simulated_result) == {
        "training_plot.svg",
        *(f"{name}.pdf" for name in plots),
    }
    assert (simulated_result.directory / "raster.pdf").read_bytes().startswith(b"%PDF")
    assert draw(face.simulate(**small)) == draw(
        simulated_result
    )  # as before, where nothing is said
    mapping = face.map(hardware="spinemap_5x5", method="sequential", figures="svg")
    assert draw(mapping) == {"mapping.svg", "traffic.svg"}
    assert "x" in words(mapping.directory / "traffic.svg")
    assert draw(face.map(hardware="truenorth", method="sequential")) == draw(
        mapping
    )  # a new mapping, as before
    assert {
        state.reason
        for state in state_of_stages(open_run(run.path))
        if state.name.startswith("maps")
    } == {None}
    assert verify_run(open_run(run.path)).problems == []


@pytest.mark.usefixtures("drawn_figures")
def test_another_format_alone_makes_nothing_again_and_says_what_does(run, snnb):
    said = snnb("train", "--run-dir", run.path, "--figures", "svg")
    assert (
        "its figures are unchanged; --force runs it again with figures as svg"
        in said.stderr
    )
    assert "up to date" in said.stdout
    output = snnb(
        "simulate",
        "--run-dir",
        run.path,
        "--figures",
        "svg",
        "--samples",
        3,
        "--duration",
        5,
    ).stdout
    assert "rate_histogram.svg" in output
    found_match = re.search(
        r"\n  per sample: ([\d,.]+) additions and 1,936 MACs of the input, ([\d.]+) nJ "
        r"\(trained: 3,408 MACs, 15\.68 nJ\)",  # two convolutions and a dense layer
        output,
    )
    additions, nanojoules = (
        float(number.replace(",", "")) for number in found_match.groups()
    )
    assert nanojoules == pytest.approx(0.0009 * additions + 0.0046 * 1_936, rel=1e-3)
