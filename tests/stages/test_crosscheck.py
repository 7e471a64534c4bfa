"""`snnb crosscheck` on the recorded run and on a mapping, and the exports of mappings to SANA-FE and Noxim."""

import json
import re
import shlex
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import yaml

from snnb import Run, read_spikes
from snnb.core.errors import InputError, ResourceError, UsageError, VerificationError
from snnb.crosscheck.sanafe_chip import ChipTrace
from snnb.graph.synapse_graph import seal
from snnb.mapping.files import Mapping
from snnb.mapping.time_costs import RecordedSteps
from snnb.results.crosscheck import (
    compare_costs,
    crosscheck,
    refuse_differences,
    simulate_again,
)
from snnb.stages.open_run import open_run
from tests.crosscheck.test_sanafe_chip import CHIP
from tests.end_to_end.conftest import RECORDED
from tests.stages.test_map import NEURONS

STAMP = next((RECORDED / "graphs").iterdir()).name


def alter_one_weight(run):
    """One weight of the second convolution, in a graph that is sealed again."""
    path = run.path / "graphs" / STAMP / "mini_network_graph.h5"
    with h5py.File(path, "r+") as file:
        kernel = file["connections/0003/kernel"]
        kernel[0, 0, 0, 0] = kernel[0, 0, 0, 0] + 0.5
    seal(path)


@pytest.mark.parametrize(
    "simulator", ["scipy", "sanafe", pytest.param("brian2", marks=pytest.mark.slow)]
)
def test_the_recorded_run_agrees_until_one_weight_is_altered(run, simulator, snnb):
    check_document = json.loads(
        snnb("crosscheck", "--run-dir", run.path, "--with", simulator, "--json").stdout
    )
    assert check_document["passed"] is True
    assert (
        check_document["simulator"],
        check_document["stamp"],
        check_document["samples"],
    ) == (
        simulator,
        STAMP,
        2,
    )
    names = "00Conv2D_8x8x4 01AveragePooling2D_4x4x4 02Conv2D_2x2x8"
    assert [p["population"] for p in check_document["populations"]] == names.split()
    assert all(
        p["differing"] == 0 and p["spikes"] > 0 for p in check_document["populations"]
    )
    alter_one_weight(run)
    said = (
        snnb("crosscheck", "--run-dir", run.path, "--with", simulator, code=5)
        .stderr.strip()
        .splitlines()[-1]
    )
    assert f"crosscheck: failed (02Conv2D_2x2x8 differs in {simulator}" in said


def test_all_samples_are_compared_by_their_sums(run):
    said = []
    check_document = crosscheck(run, "scipy", samples=60, say=said.append)
    assert said[0] == f"crosscheck: graph {STAMP}"
    assert all(message.startswith("crosscheck: ") for message in said)
    assert check_document.samples == 60
    assert [p.pairs for p in check_document.populations] == [60 * 256, 60 * 64, 60 * 32]
    with np.load(run.path / "simulations" / STAMP / "spike_rate_sums.npz") as sums:
        assert [p.spikes for p in check_document.populations] == [
            sums[p.population].sum() for p in check_document.populations
        ]
    alter_one_weight(run)
    with pytest.raises(VerificationError, match="02Conv2D_2x2x8 differs"):
        crosscheck(run, "scipy", samples=60)


def test_samples_without_recorded_spikes_are_simulated_again(run):
    again = simulate_again(run, STAMP, 3)
    recorded_spikes = read_spikes(run.path / "simulations" / STAMP)
    assert again.samples == range(3)
    assert sorted(again.spikes) == sorted(recorded_spikes)
    for name, rows in again.spikes.items():
        np.testing.assert_array_equal(rows[rows[:, 0] < 2], recorded_spikes[name])
    check_document = crosscheck(run, "scipy", samples=7)
    assert (check_document.samples, check_document.recorded) == (7, True)
    assert all(p.differing == 0 and p.spikes > 0 for p in check_document.populations)
    alter_one_weight(run)
    with pytest.raises(VerificationError, match="02Conv2D_2x2x8 differs"):
        crosscheck(run, "scipy", samples=7)


def test_a_small_error_adds_up_over_the_samples(run):
    """One bias, in a way that moves no potential of a sample by more than a few thresholds, but all of them up."""
    path = run.path / "graphs" / STAMP / "mini_network_graph.h5"
    steps = run.records_of("simulate")[STAMP].params.duration
    with h5py.File(path, "r+") as file:
        name = next(
            name
            for name in file["populations"]
            if file["populations"][name].attrs["name"] == "02Conv2D_2x2x8"
        )
        bias = file["populations"][name]["bias"]
        bias[...] = bias[...] + 1.0 / steps
    seal(path)
    with pytest.raises(VerificationError, match="02Conv2D_2x2x8 differs in scipy"):
        crosscheck(run, "scipy", samples=60)


def test_a_file_that_is_not_the_recorded_one_is_said_though_its_spikes_agree(run):
    path = run.path / "graphs" / STAMP / "mini_network_graph.h5"
    with h5py.File(path, "r+") as file:
        file.attrs["note"] = "x"
    seal(path)
    words = f"the spikes agree, but .* has been modified; .* --simulation {STAMP}` recreates it"
    with pytest.raises(VerificationError, match=words):
        crosscheck(run, "scipy")


@pytest.mark.parametrize("simulator", ["brian2", "sanafe"])
def test_without_the_simulator(run, monkeypatch, simulator):
    monkeypatch.setitem(sys.modules, simulator, None)
    with pytest.raises(UsageError, match=r"pip install '\.\[crosscheck\]'"):
        crosscheck(run, simulator)


def test_too_little_memory(run, monkeypatch):
    monkeypatch.setattr(
        "psutil.virtual_memory",
        lambda: SimpleNamespace(available=2_000_000, total=1 << 34),
    )
    with pytest.raises(
        ResourceError,
        match=r"sanafe takes about 3\.1 MB of memory .*, 2\.0 MB are free",
    ):
        crosscheck(run, "sanafe")
    assert crosscheck(run, "scipy").samples == 2


def test_recorded_spikes_are_those_of_the_pictures_from_there_on(run):
    """Another simulator is shown the same pictures."""
    face = Run(path=run.path)
    made_result = face.simulate(
        samples=3, first=100, record_spikes=2, duration=20, engine="tensorflow"
    )
    assert set(
        np.concatenate(
            [rows[:, 0] for rows in read_spikes(made_result.directory).values()]
        )
    ) == {100, 101}
    with pytest.raises(InputError, match="holds the samples 100 to 101"):
        read_spikes(made_result.directory, sample=102)
    with pytest.raises(InputError, match="record_spikes=K"):
        read_spikes(made_result.directory.parent)
    face.graph()
    check_document = crosscheck(open_run(run.path), "scipy")
    assert (
        check_document.samples,
        [p.differing for p in check_document.populations],
    ) == (
        2,
        [0, 0, 0],
    )
    assert all(p.spikes for p in check_document.populations)
    assert crosscheck(open_run(run.path), "scipy", samples=3).samples == 3
    spikes = face.export("spinemap", run.path.parent / "net").path / "spike_info.txt"
    steps = [
        int(word)
        for line in spikes.read_text().splitlines()
        for word in line.split()[1:]
    ]
    assert 20 <= max(steps) < 40  # the second recorded sample begins at step 20


# Keys that Noxim reads without a default (src/ConfigurationManager.cpp, `loadConfiguration`)
REQUIRED = """
verbose_mode trace_mode trace_filename mesh_dim_x mesh_dim_y r2r_link_length r2h_link_length buffer_depth flit_size
min_packet_size max_packet_size routing_algorithm routing_table_filename selection_strategy packet_injection_rate
probability_of_retransmission traffic_distribution traffic_table_filename traffic_hardcoded_filename clock_period_ps
simulation_time n_virtual_channels reset_time stats_warm_up_time detailed dyad_threshold max_volume_to_be_drained
show_buffer_stats use_winoc use_wirxsleep Hubs RadioChannels
"""


@pytest.fixture
def mapped_run(run, tmp_path):
    """A mapping of the run on several cores."""
    (tmp_path / "chip.yaml").write_text(yaml.safe_dump(CHIP))
    result = Run(path=run.path).map(
        hardware=str(tmp_path / "chip.yaml"), method="sequential"
    )
    return Mapping.open(result.directory)


SSCANF = re.compile(
    r"\s*([+-]?\d+)\s+([+-]?\d+)(?:\s+([+-]?\d+\.?\d*(?:[eE][+-]?\d+)?))?"
)


def read_traffic_table(path):
    """The pairs of a traffic table with their rates, by the rules of Noxim's GlobalTrafficTable::load."""
    rates = []
    for line in path.read_bytes().split(b"\n"):
        assert len(line) < 511  # a longer line ends the reading
        if line and not line.startswith(b"%"):
            source, target, pir = SSCANF.fullmatch(line.decode("ascii")).groups()
            assert (
                0 <= float(pir) <= 1
            )  # otherwise the rate of the configuration is taken
            rates.append((int(source), int(target), float(pir)))
    return rates


@pytest.mark.parametrize("scale", [None, 0.001])
def test_noxim_reads_the_rates_between_routers(run, mapped_run, tmp_path, scale, snnb):
    """A mapping with tiles and times: cycles are ns by default."""
    options = [
        "--output",
        tmp_path / "net",
        *(() if scale is None else ("--scale", scale)),
    ]
    snnb(
        "export", run.path, "--format", "noxim", "--map", mapped_run.path.name, *options
    )
    configuration = yaml.safe_load((tmp_path / "net/mesh.yaml").read_text())
    width, height = configuration["mesh_dim_x"], configuration["mesh_dim_y"]
    assert (width, height) == mapped_run.hardware.routers != mapped_run.hardware.mesh
    assert configuration["traffic_table_filename"] == "traffic.txt"
    assert (configuration["topology"], configuration["routing_algorithm"]) == (
        "MESH",
        "XY",
    )
    assert not set(REQUIRED.split()) - set(configuration)
    step = mapped_run.cost.step
    expected_rates, factor = {}, 1 / step.step_ns if scale is None else scale
    steps = step.sample_ns / step.step_ns
    for (source, target), spikes in np.ndenumerate(mapped_run.traffic.toarray()):
        ends = tuple(
            y // 2 * width + x // 2
            for x, y in (mapped_run.place_of(source), mapped_run.place_of(target))
        )
        if spikes and ends[0] != ends[1]:
            expected_rates[ends] = expected_rates.get(ends, 0) + spikes / steps * factor
    found_rates = read_traffic_table(tmp_path / "net/traffic.txt")
    assert (
        {(source, target): pytest.approx(rate) for source, target, rate in found_rates}
        == expected_rates
        != {}
    )
    assert len(found_rates) == len(expected_rates)
    stated_figures = json.loads((tmp_path / "net/description.json").read_text())[
        "noxim"
    ]
    assert stated_figures["mapping"] == {
        "stamp": mapped_run.path.name,
        "hardware": "small",
    }
    assert (stated_figures["pairs"], stated_figures["scale"]) == (
        len(found_rates),
        pytest.approx(factor),
    )


def test_more_than_a_packet_per_cycle_is_refused_with_the_largest_scale(
    run, mapped_run, tmp_path, snnb
):
    line = [
        "export",
        run.path,
        "--format",
        "noxim",
        "--map",
        mapped_run.path.name,
        "--output",
        tmp_path / "net",
    ]
    said = snnb(*line, "--scale", "1000", code=2).stderr
    (scale,) = re.findall(
        r"would send .* at most 1 is possible; give --scale .*, at most (\S+)", said
    )
    snnb(*line, "--scale", scale)
    spikes_sent = {}
    for source, _, rate in read_traffic_table(tmp_path / "net/traffic.txt"):
        spikes_sent[source] = spikes_sent.get(source, 0) + rate
    assert 0.98 < max(spikes_sent.values()) <= 1


def test_a_stale_mapping_is_made_again_by_the_command_of_the_message(
    run, mapped_run, tmp_path, snnb
):
    chip = tmp_path / "chip.yaml"
    chip.write_text(chip.read_text() + "\n")
    snnb("map", run.path, "--hardware", "spinemap_5x5")
    line = [
        "export",
        run.path,
        "--format",
        "sanafe",
        "--map",
        mapped_run.path.name,
        "--output",
        tmp_path / "x",
    ]
    (command,) = re.findall("map again with `snnb (.*)`", snnb(*line, code=4).stderr)
    snnb(*shlex.split(command))
    snnb(*line)


def test_costs_are_those_of_sanafe(run, mapped_run, snnb):
    line = ["crosscheck", run.path, "--with", "sanafe", "--map", mapped_run.path.name]
    chip = json.loads(snnb(*line, "--json").stdout)["chip"]
    assert (chip["mapping"], chip["hardware"], chip["differing_steps"]) == (
        mapped_run.path.name,
        "small",
        0,
    )
    assert chip["steps"] == 2 * 63  # three layers begin one after the other
    assert [figure["name"] for figure in chip["figures"] if figure["differing"]] == []
    recorded_document = json.loads((mapped_run.path / "cost.json").read_text())[
        "recorded"
    ]
    energies = sum(
        figure["sanafe"] or figure["cost"]
        for figure in chip["figures"]
        if figure["unit"] == "pJ"
    )
    assert energies == pytest.approx(
        sum(recorded_document["energy_by_event_pj"].values())
    )
    assert chip["figures"][-1]["sanafe"] == pytest.approx(
        np.mean(recorded_document["step_ns"])
    )
    for words, message in (
        (["--samples", "1"], "omit --samples"),
        (["--graph", "weights"], "omit --graph weights"),
    ):
        assert message in snnb(*line, *words, code=2).stderr


def test_a_mapping_without_figures_of_events_has_nothing_to_compare(run, snnb):
    stamp = (
        Run(path=run.path)
        .map(hardware="spinemap_5x5", method="sequential")
        .directory.name
    )
    refused_output = snnb(
        "crosscheck", run.path, "--with", "sanafe", "--map", stamp, code=2
    )
    assert "has no costs of recorded samples" in refused_output.stderr


def test_differences_are_errors_unless_they_are_explained():
    energy = {
        "synapse": 2.0,
        "spike": 3.0,
        "axon_out": 4.0,
        "link_x": 1.0,
        "router": 9.0,
    }
    components = {"synapse": 1.5, "dendrite": 0.5, "soma": 3.0, "network": 5.0}
    step_record, said = (
        RecordedSteps(
            samples=[0], events={}, energy_by_event_pj=energy, step_ns=[[7.0, 8.0]]
        ),
        [],
    )
    same = compare_costs(
        "s", "c", step_record, ChipTrace([components], [[7.0, 8.0]], [[9.0, 9.0]])
    )
    refuse_differences(same, step_record, spikes_differ=False, say=said.append)
    untimed_costs = compare_costs(
        "s",
        "c",
        step_record.model_copy(update={"step_ns": None}),
        ChipTrace([components], [[7.0, 8.0]], [[9.0, 9.0]]),
    )
    assert (
        untimed_costs.steps,
        "mean step" in {figure.name for figure in untimed_costs.figures},
    ) == (
        0,
        False,
    )
    slower = compare_costs(
        "s", "c", step_record, ChipTrace([components], [[7.0, 8.1]], [[9.0, 9.0]])
    )
    assert (slower.differing_steps, slower.steps, said) == (1, 2, [])
    with pytest.raises(VerificationError, match="mean step of mapping s differ"):
        refuse_differences(slower, step_record, spikes_differ=False, say=said.append)
    refuse_differences(slower, step_record, spikes_differ=True, say=said.append)
    other_trace = ChipTrace(
        [{**components, "network": 6.0}], [[7.0, 8.0]], [[9.0, 9.0]]
    )
    step_record = step_record.model_copy(
        update={"energy_by_event_pj": {**energy, "between_chips": 0.5}}
    )
    between = compare_costs("s", "c", step_record, other_trace)
    refuse_differences(between, step_record, spikes_differ=False, say=said.append)
    assert ["spikes do" in said[0], "links between chips" in said[1]] == [True, True]


def test_a_mapping_with_more_neurons_than_a_core_takes_is_refused(run, tmp_path, snnb):
    (tmp_path / "chip.yaml").write_text(yaml.safe_dump(CHIP))
    (tmp_path / "one").write_text("0\n" * NEURONS)
    options = {"partition": tmp_path / "one", "allow_overfull": True}
    stamp = (
        Run(path=run.path)
        .map(hardware=str(tmp_path / "chip.yaml"), **options)
        .directory.name
    )
    refused_output = snnb(
        "export", run.path, "--format", "sanafe", "--map", stamp, code=2
    )
    assert "neurons, and small takes 40; give a valid mapping" in refused_output.stderr
