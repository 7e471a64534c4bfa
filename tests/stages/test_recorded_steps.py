"""Mappings of a simulation that has recorded spikes: the busiest step, and the time and energy of each."""

import json
import shutil

import numpy as np
import pytest

from snnb import Run, SynapseGraph
from tests.end_to_end.conftest import RECORDED
from tests.stages.test_map import CHIP

SAMPLES, STEPS = 3, 23


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    run = Run(path=shutil.copytree(RECORDED, tmp_path_factory.mktemp("steps") / "run"))
    return run, run.simulate(samples=40, duration=STEPS, engine="event", record_spikes=SAMPLES)


def test_the_busiest_step_is_in_the_files_the_log_and_the_report(simulated, tmp_path):
    """Its figures are checked in tests/mapping/test_events.py."""
    run, _ = simulated
    (tmp_path / "chip.yaml").write_text(CHIP.replace("64", "40").replace("300", "400"))
    mapped = run.map(hardware=str(tmp_path / "chip.yaml"), method="sequential")
    cost = json.loads((mapped.directory / "cost.json").read_text())
    found, loads = cost["by_step"], np.array(cost["by_step"]["link_load_max_per_step"])
    assert len(loads) == STEPS + 3  # four layers, each a step after the one before
    assert found["peak_step"] == loads.argmax() != 0
    assert found["link_load_peak"] == mapped.record.metrics["link_load_peak"] == loads.max()
    assert "recorded" not in cost  # no figures of events
    line = f"busiest step: {found['peak_step']} of 26: {loads.max():,.6g} spikes per sample over the most loaded link"
    assert line in (mapped.directory / "log.txt").read_text()
    assert [file.path.split("/")[-1] for file in mapped.record.inputs][1] == "spike_times.npz"
    assert "link load peak" in run.report(tmp_path / "page.html").read_text()


def test_a_mapping_onto_loihi_states_what_each_step_takes(simulated):
    run, made = simulated
    with np.load(made.directory / "spike_times.npz") as file:  # by population: rows of sample, neuron, step
        spikes = {name: len(file[name]) for name in file.files if file[name].ndim == 2}
    graph = run.graph(simulation=made.directory.name).directory.name
    mapped = run.map(hardware="loihi", method="sequential", graph=graph)
    recorded = json.loads((mapped.directory / "cost.json").read_text())["recorded"]
    with SynapseGraph.open(run.path / "graphs" / graph / "mini_network_graph.h5") as opened:
        placed = [population.name for population in opened.populations[1:]]
    assert recorded["samples"] == [0, 1, 2]
    assert np.shape(recorded["step_ns"]) == (SAMPLES, STEPS + len(placed) - 1)
    assert recorded["events"]["spike"] == pytest.approx(sum(map(spikes.get, placed)) / SAMPLES)
    sent = sum(map(spikes.get, placed[:-1]))  # the last layer sends none
    assert recorded["events"]["axon_out"] == pytest.approx(sent / SAMPLES)  # all on one core
    assert [file.path.split("/")[-1] for file in mapped.record.inputs][1:] == ["spike_times.npz", "loihi.yaml"]
    assert "3 recorded samples: " in (mapped.directory / "log.txt").read_text()
    assert (mapped.directory / "events.png").exists()


def test_without_recorded_spikes_the_log_says_how_to_know_the_busiest_step(run):
    face = Run(path=run.path)
    face.simulate(samples=5, duration=9, record_spikes=0)
    mapped = face.map(hardware="spinemap_5x5", method="sequential")
    assert ("busiest step: unknown; record spikes with `snnb simulate --record-spikes K`") in (
        mapped.directory / "log.txt"
    ).read_text()
    assert "by_step" not in json.loads((mapped.directory / "cost.json").read_text())
