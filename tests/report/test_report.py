"""The page about a run: every section is there, its figures are those of the records, nothing comes from elsewhere."""

import csv
import json
import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from snnb import Run
from snnb.cli.main import main
from snnb.core.errors import UsageError
from snnb.core.quantities import number
from snnb.forward.analogue import Analogue
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.text import printable
from snnb.network.read_network import read_network
from snnb.report.write_report import write_report
from snnb.results.verify import verify_run
from snnb.rundir.manifest import sealed
from snnb.stages.open_run import open_run
from tests.conftest import DRAWN, figures
from tests.end_to_end.conftest import RECORDED
from tests.mapping.test_events import full_chip
from tests.stages.test_map import CHIP

SECTIONS = [
    "overview", "training", "network", "populations", "projections", "degrees", "traffic", "accuracy", "confusion",
    "rates", "operations", "activations", "mapping", "provenance",
]  # fmt: skip
LABEL = '<script>alert("label")</script> & $x$'
CLASS = '"><b>\u202ethree</text>'


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A run with an unusual class name, a labelled simulation, its graph and a mapping; and its page."""
    folder = tmp_path_factory.mktemp("runs & <b>")
    path = shutil.copytree(RECORDED, folder / "a <i> run")
    manifest = yaml.safe_load((path / "manifest.yaml").read_text())
    manifest["stages"]["prepare"]["details"]["class_names"][3] = CLASS
    (path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))
    run = Run(path=path)
    stamp = run.simulate(
        engine="event", samples=60, duration=60, record_spikes=0, label=LABEL
    ).directory.name
    run.graph(simulation=stamp)
    run.map(hardware="spinemap_5x5", method="sequential", graph=stamp)
    with figures(DRAWN):
        run.report()
    return open_run(path), stamp


def test_every_section_is_there_and_nothing_is_loaded_or_run(complete, document):
    run, _ = complete
    text = (run.path / "report.html").read_text()
    page = document(text)
    assert list(page.sections) == SECTIONS
    assert not {"script", "link", "img", "iframe", "object", "embed", "i", "b"} & set(
        page.tags
    )
    loaded_values = [
        value
        for name, value in page.attributes
        if name in ("src", "href", "xlink:href")
    ]
    assert [
        value
        for value in loaded_values
        if not value.startswith(("#", "data:image/png;base64,"))
    ] == []
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert set(re.findall(r"url\((.)", text)) == {"#"}  # clip paths of the page itself
    assert "@import" not in text
    with_pictures = [name for name in SECTIONS if page.sections[name]["svg"]]
    assert with_pictures == [
        name
        for name in SECTIONS
        if name
        not in ("overview", "populations", "projections", "operations", "provenance")
    ]
    links = [value[1:] for name, value in page.attributes if name == "href"]
    assert links == SECTIONS


def test_figures_are_those_of_the_graph(complete, document):
    run, stamp = complete
    page = document((run.path / "report.html").read_text())
    with SynapseGraph.open(
        run.path / "graphs" / stamp / "mini_network_graph.h5"
    ) as graph:
        edges = graph.to_scipy("weight").tocoo()
        rates = np.concatenate(
            [p.rate.ravel() * (p.coding != "current") for p in graph.populations]
        )
        ends = [p.first + p.size for p in graph.populations]
        names = [p.name for p in graph.populations]
        sizes = [p.size for p in graph.populations]
        assert f"{graph.number_of_edges():,} synapses." in page.text("projections")
        assert f"{graph.number_of_neurons():,} neurons" in page.text("populations")
        for p in graph.populations[1:]:
            _, shape, neurons, _, rate, silent, _ = page.rows("populations", p.name)
            assert (shape, neurons) == ("×".join(map(str, p.shape)), f"{p.size:,}")
            assert float(rate) == pytest.approx(p.rate.mean(), rel=1e-3)
            assert silent == f"{(p.rate == 0).mean():.1%}"
    with np.load(run.path / "simulations" / stamp / "spike_rate_sums.npz") as sums:
        current = sums["input"].ravel()
    weighted_with = np.concatenate([current, rates[current.size :]])
    degrees = np.bincount(edges.row, minlength=len(rates))
    traffic = rates * degrees
    source = np.searchsorted(ends, edges.row, side="right")
    for index, name in enumerate(names[:-1]):
        is_source = source == index
        row = next(
            row for row in page.sections["projections"]["rows"] if row[0] == name
        )
        assert row[3] == f"{is_source.sum():,}"
        assert float(row[4]) == pytest.approx(is_source.sum() / sizes[index], rel=1e-3)
        assert float(row[7]) == pytest.approx(
            edges.data[is_source].mean(), rel=1e-3, abs=1e-6
        )
        assert (
            row[10]
            == f"{(edges.data[is_source] * weighted_with[edges.row[is_source]] == 0).mean():.1%}"
        )
        spikes_sent = traffic[ends[index] - sizes[index] : ends[index]].sum()
        assert float(row[11].replace(",", "")) == pytest.approx(spikes_sent, rel=1e-3)
    spiking = traffic[ends[0] : ends[-2]]
    carried_sums = np.cumsum(np.sort(spiking)[::-1]) / spiking.sum()
    shares = [
        f"{((carried_sums < share - 1e-12).sum() + 1) / spiking.size:.1%}"
        for share in (0.5, 0.9)
    ]
    assert re.findall(r"[\d.]+%", page.text("traffic"))[:2] == shares
    assert (
        len([title for title in page.sections["network"]["titles"] if "→" in title])
        == len(names) - 1
    )


def test_figures_are_those_of_the_simulation(complete, document):
    run, stamp = complete
    page = document((run.path / "report.html").read_text())
    stated_document = json.loads(
        (run.path / "simulations" / stamp / "sim_accuracies.json").read_text()
    )
    low, high = stated_document["readout_accuracy_interval_95"]
    rows = page.sections["accuracy"]["rows"]
    assert ["SNN accuracy", f"{stated_document['readout_accuracy']:.2%}"] in rows
    assert ["SNN accuracy, 95 %", f"{100 * low:.2f}–{100 * high:.2f}%"] in rows
    assert ["ANN accuracy", f"{stated_document['ann_accuracy']:.2%}"] in rows
    spikes = f"{stated_document['snn_accuracy']:.2%}"
    assert ["output spike accuracy", spikes] in rows
    assert "the output spikes of a softmax are drawn at random" in page.text("accuracy")
    assert {"spiking network, spikes", "spiking network, read-out"} <= {
        *page.sections["accuracy"]["text"]
    }
    assert page.sections["operations"]["rows"][1:] == [
        [
            "synaptic operations",
            f"{stated_document['synaptic_operations_per_sample']:,.0f} per sample",
        ],
        [
            "MACs of the input",
            f"{stated_document['input_multiply_accumulates_per_sample']:,} per sample",
        ],
        [
            "MACs of the ANN",
            f"{stated_document['ann_multiply_accumulates_per_sample']:,} per sample",
        ],
        [
            "energy at 45 nm",
            f"{stated_document['energy_45nm_pj'] / 1000:#.4g} nJ/sample",
        ],
        [
            "ANN energy at 45 nm",
            f"{stated_document['energy_45nm_ann_pj'] / 1000:#.4g} nJ/sample",
        ],
        ["membrane updates", f"{stated_document['membrane_updates']:,.0f} per sample"],
        ["activation sparsity", f"{stated_document['activation_sparsity']:.2%}"],
        ["connection sparsity", f"{stated_document['connection_sparsity']:.2%}"],
        ["footprint", f"{stated_document['footprint']:,} bytes"],
    ]
    names = list(map(printable, stated_document["class_counts"]))
    cells = stated_document["readout_confusion"]
    wrong = {
        (names[true], names[guess], str(count))
        for true, guess, count in cells
        if true != guess
    }
    right = sum(count for true, guess, count in cells if true == guess)
    assert "predictions of the read-out" in page.text("confusion")
    assert right == round(
        stated_document["readout_accuracy"] * stated_document["num_samples"]
    )
    shown_rows = [tuple(row) for row in page.sections["confusion"]["rows"][1:]]
    assert set(shown_rows) <= wrong
    assert len(shown_rows) == min(10, len(wrong))
    for name, rate in stated_document["mean_rates"].items():
        silent, saturated_share = (
            stated_document[f"{kind}_neurons"][name] for kind in ("silent", "saturated")
        )
        assert page.rows("rates", name) == [
            f"{rate:.3g}",
            f"{silent:.1%}",
            f"{saturated_share:.1%}",
        ]
    assert page.sections["activations"]["svg"] == len(stated_document["mean_rates"])


def test_activations_are_kerass_and_so_is_their_correlation(complete, document):
    from snnb.model_files.keras import keras

    run, stamp = complete
    folder = run.path / "simulations" / stamp
    model = keras.models.load_model(
        str(run.path / "parse" / "mini_network_parsed.h5"), compile=False
    )
    x = np.load(run.path / "dataset" / "x_test.npy")[:60].astype(np.float32) / 16
    first_layer = model.layers[1]
    mean = keras.Model(model.inputs, first_layer.output).predict(x).mean(axis=0).ravel()
    with np.load(folder / "spike_rate_sums.npz") as sums:
        counts = sums[first_layer.name].ravel()
    said = document((run.path / "report.html").read_text()).text("activations")
    assert f"correlation {np.corrcoef(mean, counts)[0, 1]:.4f}" in said


def test_an_output_that_spikes_is_correlated_with_what_its_rates_represent(
    run, document
):
    """Logits are signed, and a neuron's rate is from 0 to 1."""
    opened_run = Run(path=run.path)
    opened_run.parse(calibrate=8)
    folder = opened_run.simulate(
        engine="event", samples=60, record_spikes=0, duration=8
    ).directory
    network = read_network(folder / "mini_network_parsed.h5")
    x = np.load(run.path / "dataset" / "x_test.npy")[:60].astype(np.float32) / 16
    logits = Analogue(network).outputs(x)
    with np.load(folder / "spike_rate_sums.npz") as sums:
        counts = sums[network.output.name]
    signed_correlation, clipped_correlation = (
        np.corrcoef(mean, counts)[0, 1]
        for mean in (logits.mean(axis=0), logits.clip(0, 1).mean(axis=0))
    )
    assert clipped_correlation > signed_correlation + 0.01
    said = document(write_report(open_run(run.path)).read_text()).text("activations")
    assert said.endswith(f"correlation {clipped_correlation:.4f}")
    assert f"Activations of {network.output.name} are clipped to [0, 1]" in said


def test_training_mapping_and_provenance_are_those_of_the_files(complete, document):
    run, stamp = complete
    page = document((run.path / "report.html").read_text())
    with (run.path / "train" / "training_history.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(page.rows("training", "val_accuracy")[0]) == pytest.approx(
        float(last["val_accuracy"]), rel=1e-3
    )
    cost = json.loads(next(run.path.glob("maps/*/cost.json")).read_text())
    connectivity = cost["traffic"]["connectivity"]
    assert page.rows("mapping", "connectivity") == [
        number(connectivity).value,
        "spikes/sample",
    ]
    energy = page.rows(
        "mapping", "network energy"
    )  # of a chip without figures of neurons
    assert energy[1] == "nJ/sample"
    assert float(energy[0]) * 1000 == pytest.approx(
        cost["energy"]["network_energy_pj"], rel=1e-3
    )
    text = page.text("provenance")
    (mapping,) = run.records_of("map").values()
    records = [run.record_of(name) for name in ("prepare", "train", "parse")] + [
        run.records_of("simulate")[stamp]
    ]
    for record in [*records, run.records_of("graph")[stamp], mapping]:
        for file in [*record.inputs, *record.outputs]:
            assert file.sha256 in text
        assert record.environment.snnb in text
    shown_counts = Counter(map(tuple, page.sections["provenance"]["rows"]))
    recorded_stages = yaml.safe_load((run.path / "manifest.yaml").read_text())["stages"]
    stages = [recorded_stages[name] for name in ("prepare", "train", "parse")]
    stages += [
        recorded_stages["simulations"][stamp],
        recorded_stages["graphs"][stamp],
        *recorded_stages["maps"].values(),
    ]
    stated_counts = Counter()
    for stage in stages:
        for name, value in stage["params"].items():
            inner = (
                {f"{name} {key}": item for key, item in value.items()}
                if isinstance(value, dict)
                else {name: value}
            )
            stated_counts.update(
                (key, "" if item is None else str(item)) for key, item in inner.items()
            )
    assert stated_counts["seed", "0"] > 1
    assert {row: shown_counts[row] for row in stated_counts} == stated_counts


def test_what_a_person_gave_is_shown_and_is_no_html(complete, document):
    run, _ = complete
    text = (run.path / "report.html").read_text()
    page = document(text)
    assert LABEL in page.text("overview")
    assert "a &lt;i&gt; run" in text
    assert "<i>" not in text
    assert "b" not in page.tags
    assert (
        verify_run(open_run(run.path)).problems == []
    )  # the page is no part of the run
    assert re.search(
        r">[^<]*…e&lt;/text&gt;<", text
    )  # the class, shortened, in the figure of the confusion matrix


@pytest.mark.parametrize("stages", [0, 1, 3])
def test_an_unfinished_run_has_a_page_that_says_what_comes_next(run, document, stages):
    manifest = yaml.safe_load((run.path / "manifest.yaml").read_text())
    kept_stages = list(manifest["stages"])[:0] + ["prepare", "train", "parse"][:stages]
    manifest["stages"] = {name: manifest["stages"][name] for name in kept_stages}
    if stages == 3:
        fidelity = {
            "samples": 360,
            "classifies": True,
            "trained": 0.9,
            "after": {"average_pooling": 0.75},
        }
        manifest["stages"]["parse"]["details"]["fidelity"] = fidelity
    (run.path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))
    page = document(write_report(open_run(run.path)).read_text())
    assert "snnb simulate --run-dir" in page.text("accuracy")
    change_line = "as trained: 90.00% (360 test samples); accuracy after max pooling → "
    change_line += "average pooling: 75.00% (-15.00 points)"
    assert (change_line in page.text("accuracy")) == (stages == 3)
    assert ("snnb train --run-dir" in page.text("training")) == (stages < 2)
    assert "snnb graph" in page.text("network")


@pytest.mark.parametrize("stages", [0, 3])
def test_commands_of_a_page_can_be_pasted_into_a_shell(run, document, stages):
    path = run.path.rename(run.path.with_name("my run's"))
    manifest = yaml.safe_load((path / "manifest.yaml").read_text())
    names = ("prepare", "train", "parse")[:stages]
    manifest["stages"] = {name: manifest["stages"][name] for name in names}
    (path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))
    page = document(write_report(open_run(path)).read_text())
    text = " ".join(page.text(section) for section in page.sections)
    commands = [shlex.split(command) for command in re.findall("`(snnb [^`]*)`", text)]
    named_commands = {
        command[1]: command[command.index("--run-dir") + 1] for command in commands
    }
    expected_stages = ("simulate", "graph", "map", *(() if stages else ("train",)))
    assert named_commands == dict.fromkeys(expected_stages, str(path))


def test_run_writes_the_page_again_only_after_new_results(run):
    page, command = (
        run.path / "report.html",
        ["run", "--run-dir", str(run.path), "--quiet"],
    )
    assert main(command) == 0
    mapping = (
        Run(path=run.path)
        .map(hardware="spinemap_5x5", method="sequential")
        .directory.name
    )
    assert main(command) == 0
    assert f"maps/{mapping}" in page.read_text()
    written = page.stat()
    assert main(command) == 0
    assert page.stat() == written
    latest = Run(path=run.path).simulate(engine="event", samples=5).directory.name
    assert main(command) == 0
    assert (
        main(["report", str(run.path), "--simulation", min(run.records_of("simulate"))])
        == 0
    )
    assert main(command) == 0
    assert f"simulation {latest}" in page.read_text()


def test_a_sweep_has_its_figure_and_one_of_operations_and_no_column_of_equal_values(
    run, document, drawn_figures
):
    grid = {"duration": [5, 7], "threshold": [0.9, 1.1]}
    swept = Run(path=run.path).sweep(grid, simulate={"samples": 12, "engine": "event"})
    page = document(write_report(open_run(run.path)).read_text())
    assert page.sections["sweep"]["svg"] == 2
    text = page.text("sweep")
    assert (
        "grey: analogue network; bars: 95 % intervals" in text
    )  # of the figure of the grid
    assert "operations: synaptic operations/sample" in text
    assert text.count("synaptic operations per sample") == 1  # of an axis
    assert "Pareto front" in text
    for point in swept:
        assert (
            f"duration {point.values['duration']}, threshold {point.values['threshold']}"
            in text
        )
    head, *rows = page.sections["sweep"]["rows"]
    assert "samples" not in head
    assert "The same for all points: samples 12, ANN" in text
    assert [row[:3] for row in rows] == [
        [
            str(point.values["duration"]),
            str(point.values["threshold"]),
            point.simulation,
        ]
        for point in swept
    ]
    # A table without the rows of a removed simulation is no grid.
    Run(path=run.path).remove(swept[1].simulation)
    page = document(write_report(open_run(run.path)).read_text())
    assert page.sections["sweep"]["svg"] == 1
    assert len(page.sections["sweep"]["rows"]) == 4


@pytest.mark.parametrize("kind", ["file", "link"])
def test_only_a_report_is_replaced_unless_forced(run, tmp_path, kind):
    target, mine = tmp_path / "page.html", tmp_path / "mine"
    mine.write_text("mine")
    target.write_text("mine") if kind == "file" else target.symlink_to(mine)
    with pytest.raises(UsageError):
        write_report(run, output=target)
    for force in (True, False):  # then it is a report
        write_report(run, output=target, force=force)
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert mine.read_text() == "mine"


def test_a_page_that_cannot_be_written_is_an_error_before_it_is_made(run, tmp_path):
    messages, folder = [], tmp_path / "pages"
    folder.mkdir()
    with pytest.raises(OSError, match="/proc/"):
        write_report(
            run,
            output=Path("/proc/page.html"),
            progress=lambda *progress: messages.append(progress),
        )
    with pytest.raises(UsageError, match="is a directory; give the path of a file"):
        write_report(
            run,
            output=folder,
            force=True,
            progress=lambda *progress: messages.append(progress),
        )
    assert messages == []
    write_report(
        run,
        output=folder / "page.html",
        progress=lambda *progress: messages.append(progress),
    )
    assert messages
    assert [path.name for path in folder.iterdir()] == ["page.html"]


def test_another_simulation_can_be_chosen_and_must_be_there(
    complete, tmp_path, document
):
    run, _ = complete
    first_records = min(run.records_of("simulate"))
    page = document(
        write_report(
            run, simulation=first_records, output=tmp_path / "first.html"
        ).read_text()
    )
    assert f"simulations/{first_records}" in page.text("provenance")
    with pytest.raises(UsageError, match="there are: 2"):
        write_report(run, simulation="20200101T000000Z", output=tmp_path / "none.html")


def test_a_changed_test_set_gives_no_activations(run, document):
    x = np.load(run.path / "dataset" / "x_test.npy")
    np.save(run.path / "dataset" / "x_test.npy", x[::-1])
    assert "has changed since the simulation" in document(
        write_report(run).read_text()
    ).text("activations")


def test_latency_and_interval_of_separated_firing_are_stated(run, document):
    face = Run(path=run.path)
    parsed_metrics = face.parse(calibrate=4, calibration_samples=20).metrics
    simulated_result = face.simulate(samples=20)
    face.graph()
    text = document(face.report().read_text()).text("accuracy")
    # Windows of 4 steps: of 4 layers and the input, and of a layer and its source
    assert "20 samples of 20 time steps, one every 8 time steps" in text
    assert (
        parsed_metrics["calibrated_steps"],
        parsed_metrics["latency_steps"],
        parsed_metrics["interval_steps"],
    ) == (4, 20, 8)
    assert (
        simulated_result.metrics["latency_steps"],
        simulated_result.metrics["interval_steps"],
    ) == (20, 8)
    assert simulated_result.record.details.output_coding == "spikes"


def test_rates_of_quantised_activations_are_compared_with_these(run, document):
    """With separated firing and as many steps as levels they are equal, but not in the output."""
    face = Run(path=run.path)
    face.train(activation="qcfs", levels=4, epochs=1)
    face.simulate(samples=20)
    said = document(face.report().read_text()).text("activations")
    assert "mean quantised activation" in said
    assert set(re.findall("correlation [0-9.]+", said)[:-1]) == {"correlation 1.0000"}


def test_a_chip_with_figures_of_events_shows_what_they_cost(run, tmp_path, document):
    chip = tmp_path / "full.yaml"
    limits = {"neurons_per_core": 64, "axons_out_per_core": 100}
    chip.write_text(yaml.safe_dump(full_chip(**limits).model_dump(mode="json")))
    face = Run(path=run.path)
    made_mapping = face.map(hardware=str(chip), method="sequential")
    cost = json.loads((made_mapping.directory / "cost.json").read_text())
    page = document(face.report().read_text())
    assert page.sections["mapping"]["svg"] == 3
    for held in ("axons_out", "memory_bits"):
        stated_cost = cost[f"{held}_per_core"]
        shown_rows = page.rows("mapping", held.replace("_", " "))
        numbers = "{mean:,.1f} {max:,} {limit:,} {share:.0%}".format(**stated_cost)
        assert shown_rows == numbers.split()
    assert "stale" not in page.text("overview")
    chip.write_text(chip.read_text() + "\n")
    assert f"maps/{made_mapping.directory.name} is stale: {chip}" in document(
        face.report().read_text()
    ).text("overview")
    step, unit = page.rows("mapping", "time per step")
    assert float(step) * {"ns": 1, "µs": 1000}[unit] == pytest.approx(
        cost["step"]["step_ns"], rel=1e-3
    )
    between_chips = cost["traffic"]["spikes_between_chips"]
    assert (
        page.rows("mapping", "spikes between chips")[0] == number(between_chips).value
    )


def test_all_mappings_are_listed_and_the_latest_says_what_its_cores_hold(
    run, tmp_path, document
):
    face = Run(path=run.path)
    chip = tmp_path / "small.yaml"
    chip.write_text(CHIP.replace("64", "100"))
    first_directory = face.map(hardware="spinemap_5x5", method="sequential").directory
    last = face.map(hardware=str(chip), method="sequential").directory
    page = document(face.report().read_text())
    costs = [
        json.loads((path / "cost.json").read_text()) for path in (first_directory, last)
    ]
    assert page.rows("mapping", first_directory.name)[1:4] == [
        "spinemap_5x5",
        "sequential",
        str(costs[0]["cores"]["cores"]),
    ]
    assert page.rows("mapping", f"{last.name} (below)")[1] == "chip (small.yaml)"
    for held in ("neurons", "axons", "synapses"):
        stated_cost = costs[1][f"{held}_per_core"]
        limit = (
            "unlimited" if stated_cost["limit"] is None else f"{stated_cost['limit']:,}"
        )
        assert page.rows("mapping", held)[:3] == [
            f"{stated_cost['mean']:,.1f}",
            f"{stated_cost['max']:,}",
            limit,
        ]
    # The first core is full, and has the first neurons of the first layer
    assert page.rows("mapping", "0")[-1] == "00Conv2D_8x8x4 (100)"
