"""`snnb map`: what runs again and what does not, what is recorded, also of each step, and bad input in one line."""

import json
import shutil

import numpy as np
import pytest

from snnb import Run, SynapseGraph
from snnb.chips.read_hardware import DESCRIPTIONS
from snnb.core.errors import InputError, UsageError
from snnb.core.quantities import number
from snnb.mapping.files import Mapping
from snnb.mapping.map_network import map_network
from snnb.report.write_report import write_report
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import RECORDED
from tests.stages.test_up_to_date import stale

NEURONS = 362
FILES = {
    "partition.txt",
    "cores.csv",
    "links.csv",
    "messages.npz",
    "cost.json",
    "traffic.npz",
    "log.txt",
}
FILES |= {"mapping.png", "traffic.png"}
CHIP = """
name: chip
mesh: [4, 4]
neurons_per_core: 64
axons_per_core: 300
energy_pj: {router: 1, link: 2}
latency_ns: {router: 1, link: 2}
source: a test
"""


def stamp_of(run):
    return next(iter(run.records_of("graph")))


@pytest.fixture
def partition(tmp_path):
    path = tmp_path / "partition.txt"
    path.write_text("".join(f"{neuron // 30}\n" for neuron in range(NEURONS)))
    return path


def test_a_mapping_is_recorded_and_up_to_date_until_the_graph_changes(run):
    face = Run(path=run.path)
    first_mapping = face.map(hardware="spinemap_5x5", method="sequential")
    assert {path.name for path in first_mapping.directory.iterdir()} == FILES
    record = first_mapping.record
    stamp = stamp_of(run)
    names = [
        f"graphs/{stamp}/mini_network_graph.h5",
        f"simulations/{stamp}/spike_times.npz",
    ]
    names.append(str(DESCRIPTIONS / "spinemap_5x5.yaml"))
    assert [file.path for file in record.inputs] == names
    assert (
        record.metrics["connectivity"]
        == Mapping.open(first_mapping.directory).cost.traffic.connectivity
    )
    assert record.details.cores.cores == len(
        np.unique(Mapping.open(first_mapping.directory).core)
    )
    assert verify_run(open_run(run.path)).problems == []
    assert stale(run.path) == {}
    again = face.map(hardware="spinemap_5x5", method="sequential")
    assert again.record.timing == record.timing
    face.graph(pool_weight="mean")
    (name, reason), *other_reasons = stale(run.path).items()
    assert (name, reason) == (
        f"maps/{first_mapping.directory.name}",
        f"{record.inputs[0].path} has changed",
    )
    assert other_reasons == []
    third_mapping = face.map(hardware="spinemap_5x5", method="sequential")
    assert (
        third_mapping.directory == first_mapping.directory
    )  # the one that was stale is replaced
    assert third_mapping.record.timing != record.timing
    assert stale(run.path) == {}


def test_the_graph_is_printed_with_its_samples_and_steps(run, snnb):
    first_stamp = stamp_of(run)
    options = (
        "--run-dir",
        run.path,
        "--hardware",
        "spinemap_5x5",
        "--method",
        "sequential",
    )
    said = snnb("map", *options).stderr.splitlines()
    assert f"map: graph {first_stamp}, 60 samples of 60 time steps" in said
    assert (
        f"map: up to date, of graph {first_stamp}"
        in snnb("map", *options).stderr.splitlines()
    )
    snnb("simulate", "--run-dir", run.path, "--samples", 5, "--duration", 20)
    said = snnb("map", *options).stderr.splitlines()
    (second_stamp,) = set(open_run(run.path).records_of("graph")) - {first_stamp}
    assert (
        f"map: graph {second_stamp}, 5 samples of 20 time steps; others, for --graph: {first_stamp}"
        in said
    )


def test_currents_and_weights_that_the_chip_does_not_have_are_printed(run, snnb):
    """Of a first layer of 4 kernels of 3 × 3 on 8 × 8 pixels with zero padding: borders have fewer synapses."""
    synapses = run.records_of("graph")[stamp_of(run)].metrics["synapses"]
    exclusion_note = (
        f"the cost excludes {4 * (3 * 8 - 2) ** 2:,} of {synapses:,} synapses"
    )
    for chip, advice in (
        ("loihi", "--weight-bits 9"),
        ("speck2f", "--weight-bits 8"),
        ("spinemap_5x5", None),
    ):
        lines = snnb(
            "map", "--run-dir", run.path, "--hardware", chip
        ).stderr.splitlines()
        assert f"map: input sends currents: {exclusion_note}" in lines
        assert [advice in line for line in lines if "floating-point" in line] == [
            True
        ] * (advice is not None)


def test_max_pooling_that_the_chip_does_not_have_is_printed(tmp_path, snnb):
    from snnb.model_files.keras import keras

    layers = keras.layers
    keras.Sequential(
        [
            layers.Conv2D(2, 3, activation="relu", input_shape=(8, 8, 1)),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    ).save(str(tmp_path / "net.h5"))
    options = ("--run-dir", tmp_path / "run")
    simulation = ("--samples", 3, "--duration", 5, "--engine", "event")
    mapping = ("--hardware", "loihi", "--method", "sequential")
    snnb(
        "simulate",
        "--model",
        tmp_path / "net.h5",
        "--dataset",
        "digits",
        *options,
        *simulation,
    )
    said = snnb("map", *options, *mapping).stderr.splitlines()
    (line,) = (line for line in said if "max pooling" in line)
    assert line.startswith("map: 01MaxPooling2D_3x3x2: ")
    assert (
        "neurons of loihi integrate and fire: `snnb parse RUN --max-pool average`"
        in line
    )
    snnb("parse", *options, "--max-pool", "average")
    snnb("simulate", *options, *simulation)
    assert "max pooling" not in snnb("map", *options, *mapping).stderr


@pytest.mark.parametrize("weight", [3, 0.5])
def test_weights_of_an_external_graph_that_are_not_whole_are_named(
    tmp_path, snnb, weight
):
    (tmp_path / "net.csv").write_text(f"source,target,weight\n0,1,-1\n1,2,{weight}\n")
    snnb("graph", "--from", tmp_path / "net.csv", "--run-dir", tmp_path / "run")
    said = snnb(
        "map",
        "--run-dir",
        tmp_path / "run",
        "--hardware",
        "loihi",
        "--method",
        "sequential",
    ).stderr
    assert ("floating-point weights; loihi has 9 bits\n" in said) == (weight == 0.5)
    assert "currents" not in said


def test_other_options_make_another_mapping_and_each_is_found_again(run):
    face = Run(path=run.path)
    small = face.map(hardware="spinemap_5x5", method="sequential").directory
    large = face.map(hardware="loihi", method="sequential", seed=4).directory
    assert large != small
    assert face.map(hardware="spinemap_5x5", method="sequential").directory == small
    again = face.map(hardware="loihi", method="sequential", seed=4)
    assert again.directory == large
    assert sorted(open_run(run.path).records_of("map")) == sorted(
        [small.name, large.name]
    )


def test_force_replaces_it_with_the_same_bytes_but_for_the_seconds(run):
    face = Run(path=run.path)
    first_mapping = face.map(hardware="spinemap_5x5", method="sequential")
    before = {
        path.name: path.read_bytes() for path in first_mapping.directory.iterdir()
    }
    written = (first_mapping.directory / "cost.json").stat().st_mtime_ns
    again = face.map(hardware="spinemap_5x5", method="sequential", force=True)
    assert again.directory == first_mapping.directory
    assert (again.directory / "cost.json").stat().st_mtime_ns > written
    after = {path.name: path.read_bytes() for path in again.directory.iterdir()}
    costs = [json.loads(content.pop("cost.json")) for content in (before, after)]
    assert before == after
    assert {**costs[0], "seconds": 0} == {**costs[1], "seconds": 0}


def test_files_from_outside_are_recorded_by_their_hash(run, tmp_path, partition):
    (tmp_path / "chip.yaml").write_text(CHIP)
    placement = tmp_path / "placement.txt"
    placement.write_text("".join(f"{core % 4} {core // 4}\n" for core in range(13)))
    face = Run(path=run.path)
    options = {
        "hardware": str(tmp_path / "chip.yaml"),
        "partition": partition,
        "placement": placement,
    }
    face.map(hardware="loihi", method="sequential", objective="hops")
    result = face.map(**options)
    assert [file.path for file in result.record.inputs if file.external] == sorted(
        str(tmp_path / name) for name in ("chip.yaml", "partition.txt", "placement.txt")
    )
    found_mapping = Mapping.open(result.directory)
    assert found_mapping.core.tolist() == [neuron // 30 for neuron in range(NEURONS)]
    assert (result.directory / "partition.txt").read_text() == partition.read_text()
    assert found_mapping.place.tolist() == [[core % 4, core // 4] for core in range(13)]
    assert found_mapping.hardware.name == result.record.details.hardware == "chip"
    assert result.record.details.method == "file"
    assert result.record.params.objective == found_mapping.cost.objective == "spikes"
    assert face.map(**options).record.timing == result.record.timing
    placement.write_text(placement.read_text() + "3 3\n")
    assert stale(run.path) == {
        f"maps/{result.directory.name}": f"{placement} has changed"
    }
    longer = face.map(**options)
    assert longer.directory == result.directory
    assert len(Mapping.open(longer.directory).place) == 14
    placement.unlink()
    assert stale(run.path) == {}  # it may be on another machine


def test_an_objective_holds_for_one_mapping(run):
    face = Run(path=run.path)
    face.map(hardware="loihi", method="groups", objective="step")
    params = face.map(hardware="spinemap_5x5", method="groups").record.params
    assert params.objective == "spikes"
    with pytest.raises(UsageError, match="has no time_ns in its description"):
        face.map(hardware="spinemap_5x5", objective="step")


def test_a_description_that_is_edited_during_the_mapping_makes_it_stale(
    run, tmp_path, monkeypatch
):
    chip, face = tmp_path / "chip.yaml", Run(path=run.path)
    chip.write_text(CHIP)

    def slow_map(*arguments, **options):
        chip.write_text(CHIP.replace("router: 1", "router: 9"))
        return map_network(*arguments, **options)

    monkeypatch.setattr("snnb.mapping.map_graph.map_network", slow_map)
    before = face.map(hardware=str(chip), method="sequential")
    after = face.map(hardware=str(chip), method="sequential")
    assert after.reason == f"{chip} has changed"
    energies = [
        mapping.record.details.energy.network_energy_pj for mapping in (before, after)
    ]
    assert energies[1] > energies[0]


def test_unavailable_cores_hold_until_another_chip_is_given(run, tmp_path):
    face = Run(path=run.path)
    failed_path = tmp_path / "failed.txt"
    failed_path.write_text("1 1\n2 1\n")
    mapping = face.map(
        hardware="spinemap_5x5", method="sequential", unavailable=failed_path
    )
    described_hardware = Mapping.open(mapping.directory).hardware
    assert described_hardware.unavailable == ((1, 1), (2, 1))
    places = Mapping.open(mapping.directory).place.tolist()
    assert [1, 1] not in places
    assert [2, 1] not in places
    failed_path.write_text("0 0\n")
    assert [reason for _, reason in stale(run.path).items()] == [
        f"{failed_path} has changed"
    ]
    other_mapping = face.map(hardware="truenorth")
    assert Mapping.open(other_mapping.directory).hardware.unavailable is None
    assert other_mapping.record.options == {"hardware": "truenorth"}


def test_a_list_of_unavailable_cores_that_is_wrong_changes_nothing(run, tmp_path, snnb):
    failed_path = tmp_path / "failed.txt"
    options = ("--hardware", "spinemap_5x5", "--unavailable", failed_path)
    missing_output = snnb("map", "--run-dir", run.path, *options, code=3)
    assert f"{failed_path}: no such file" in missing_output.stderr
    failed_path.write_text("1 1\n1 5\n")
    wrong = snnb("map", "--run-dir", run.path, *options, code=3)
    assert f"{failed_path}: line 2: 1 5 is not one of the 5 × 5 cores" in wrong.stderr
    assert open_run(run.path).records_of("map") == {}


def test_the_cost_of_an_event_input_is_printed(tmp_path, snnb):
    run_dir = tmp_path / "run"
    snnb("graph", "--from", "instance:spiking_digits", "--run-dir", run_dir)
    chip = tmp_path / "chip.yaml"
    chip.write_text(CHIP)
    exclusion_note = snnb("map", "--run-dir", run_dir, "--hardware", chip).stderr
    spikes = number(Mapping.open(latest_map(run_dir)).cost.traffic.outside_spikes).value
    assert f"input: {spikes} spikes per sample to cores, which" in exclusion_note
    ports = "input_ports: [[3, 3]]\nsources: {input_ports: a test}\n"
    chip.write_text(CHIP + ports)
    inclusion_note = snnb("map", "--run-dir", run_dir, "--hardware", chip).stderr
    cost = Mapping.open(latest_map(run_dir)).cost
    hops = number(cost.input.input_hops_unicast).value
    assert f"enter at 1 port, with {hops} hops and" in inclusion_note
    page = write_report(open_run(run_dir)).read_text()
    assert "hops of the input" in page


def latest_map(run_dir):
    run = open_run(run_dir)
    return run_dir / "maps" / run.latest("map")


def test_a_partition_holds_for_one_time(run, partition):
    face = Run(path=run.path)
    foreign = face.map(hardware="loihi", partition=partition)
    computed = face.map(hardware="loihi", method="sequential")
    assert computed.record.params.partition is None
    assert computed.directory != foreign.directory


def test_a_partition_with_overfull_cores_is_costed_and_marked_invalid(
    run, tmp_path, partition, snnb
):
    """Of the 13 cores, 12 have 30 neurons, and the last has 2."""
    face = Run(path=run.path)
    (tmp_path / "chip.yaml").write_text(CHIP)
    large = face.map(hardware=str(tmp_path / "chip.yaml"), partition=partition)
    (tmp_path / "small.yaml").write_text(
        CHIP.replace("64", "29").replace("name: chip", "name: small")
    )
    options = {"hardware": str(tmp_path / "small.yaml"), "partition": partition}
    with pytest.raises(
        InputError,
        match=r"core 0 has 30 neurons of 29 \(and 11 cores .*--allow-overfull",
    ):
        face.map(**options)
    small = face.map(**options, allow_overfull=True)
    document, valid = (
        json.loads((mapping.directory / "cost.json").read_text())
        for mapping in (small, large)
    )
    assert (document["valid"], document["overfull"]) == (
        False,
        {"neurons": list(range(12)), "axons": [], "synapses": []},
    )
    assert (valid["valid"], valid["overfull"]) == (
        True,
        {"neurons": [], "axons": [], "synapses": []},
    )
    assert document["traffic"] == valid["traffic"]
    assert (
        small.record.details.overfull_cores,
        large.record.details.overfull_cores,
    ) == (12, 0)
    log = (small.directory / "log.txt").read_text()
    assert (
        "invalid mapping, it exceeds the limits of small: core 0 has 30 neurons of 29"
        in log
    )
    assert [f"  core {core}: 30 neurons of 29" in log for core in range(13)] == [
        True
    ] * 12 + [False]
    assert "invalid mapping" not in (large.directory / "log.txt").read_text()
    assert (
        "Warning: invalid mapping, it exceeds the limits of small"
        in write_report(open_run(run.path)).read_text()
    )
    assert "up to date, invalid: 12 overfull cores" in snnb("status", run.path).stdout
    assert "13 (invalid: 12 overfull)" in snnb("compare", run.path).stdout
    assert (
        face.map(hardware="loihi", method="sequential").record.params.allow_overfull
        is False
    )
    (tmp_path / "wide.yaml").write_text(
        CHIP.replace("64", "29").replace("[4, 4]", "[5, 5]")
    )
    split = face.map(
        hardware=str(tmp_path / "wide.yaml"), partition=partition, split_overfull=True
    )
    document = json.loads((split.directory / "cost.json").read_text())
    assert (document["valid"], split.record.details.cores.cores) == (True, 25)
    assert document["split_overfull"] == {
        str(core): [core, 13 + core] for core in range(12)
    }
    assert "core 9 into 9, 22 and 2 more, see cost.json" in split.record.warnings[0]


def test_the_command_prints_costs_and_pictures_and_its_partition_can_be_read_again(
    run, snnb, tmp_path
):
    command = ["map", run.path, "--hardware", "spinemap_5x5", "--method", "sequential"]
    first_output = snnb(*command)
    assert "map: running (has not run)" in first_output.stderr
    (directory,) = (run.path / "maps").iterdir()
    lines = first_output.stdout.splitlines()
    assert lines[0] == f"map  ran  {directory}"
    assert lines[-2:] == [
        f"figure: {directory / name}" for name in ("mapping.png", "traffic.png")
    ]
    assert snnb(*command).stdout == first_output.stdout.replace(
        "  ran  ", "  up to date  "
    )
    stage = json.loads(snnb(*command, "--json", "--force").stdout)["stages"][-1]
    assert (stage["stage"], stage["reason"], stage["directory"]) == (
        "map",
        "forced",
        str(directory),
    )
    snnb("export", run.path, "--format", "snn", "--output", tmp_path / "net.snn")
    assert (
        int(np.fromfile(tmp_path / "net.snn", "<u4", 1)[0]) == NEURONS
    )  # numbered as in the partition
    partition = shutil.copy(directory / "partition.txt", tmp_path)
    again = snnb(
        "map",
        run.path,
        "--hardware",
        "spinemap_5x5",
        "--partition",
        partition,
        "--json",
    ).stdout
    details = json.loads(again)["stages"][-1]["details"]
    assert [details[part] for part in ("traffic", "cores")] == [
        stage["details"][part] for part in ("traffic", "cores")
    ]


SAMPLES, STEPS = 3, 23


@pytest.fixture(scope="module")
def simulated_run(tmp_path_factory):
    run = Run(path=shutil.copytree(RECORDED, tmp_path_factory.mktemp("steps") / "run"))
    return run, run.simulate(
        samples=40, duration=STEPS, engine="event", record_spikes=SAMPLES
    )


def test_the_busiest_step_is_in_the_files_the_log_and_the_report(
    simulated_run, tmp_path
):
    """Its figures are checked in tests/mapping/test_events.py."""
    run, _ = simulated_run
    (tmp_path / "chip.yaml").write_text(CHIP.replace("64", "40").replace("300", "400"))
    mapping = run.map(hardware=str(tmp_path / "chip.yaml"), method="sequential")
    cost = json.loads((mapping.directory / "cost.json").read_text())
    found_step, loads = (
        cost["by_step"],
        np.array(cost["by_step"]["link_load_max_per_step"]),
    )
    assert len(loads) == STEPS + 3  # four layers, each a step after the one before
    assert found_step["peak_step"] == loads.argmax() != 0
    assert (
        found_step["link_load_peak"]
        == mapping.record.metrics["link_load_peak"]
        == loads.max()
    )
    assert "recorded" not in cost  # no figures of events
    peak = number(loads.max()).value
    line = f"busiest step: {found_step['peak_step']} of 26: {peak} spikes per sample over the most loaded link"
    assert line in (mapping.directory / "log.txt").read_text()
    assert [file.path.split("/")[-1] for file in mapping.record.inputs][
        1
    ] == "spike_times.npz"
    assert "peak link load" in run.report(tmp_path / "page.html").read_text()


def test_a_mapping_onto_loihi_states_what_each_step_takes(simulated_run):
    run, simulation = simulated_run
    with np.load(
        simulation.directory / "spike_times.npz"
    ) as file:  # by population: rows of sample, neuron, step
        spikes = {name: len(file[name]) for name in file.files if file[name].ndim == 2}
    graph = run.graph(simulation=simulation.directory.name).directory.name
    mapping = run.map(hardware="loihi", method="sequential", graph=graph)
    recorded_document = json.loads((mapping.directory / "cost.json").read_text())[
        "recorded"
    ]
    with SynapseGraph.open(
        run.path / "graphs" / graph / "mini_network_graph.h5"
    ) as opened_file:
        placed_names = [population.name for population in opened_file.populations[1:]]
    assert recorded_document["samples"] == [0, 1, 2]
    assert np.shape(recorded_document["step_ns"]) == (
        SAMPLES,
        STEPS + len(placed_names) - 1,
    )
    assert recorded_document["events"]["spike"] == pytest.approx(
        sum(map(spikes.get, placed_names)) / SAMPLES
    )
    spikes_sent = sum(map(spikes.get, placed_names[:-1]))  # the last layer sends none
    assert recorded_document["events"]["axon_out"] == pytest.approx(
        spikes_sent / SAMPLES
    )  # all on one core
    assert [file.path.split("/")[-1] for file in mapping.record.inputs][1:] == [
        "spike_times.npz",
        "loihi.yaml",
    ]
    assert (
        "3 recorded samples, each alone on the chip: "
        in (mapping.directory / "log.txt").read_text()
    )
    assert (mapping.directory / "events.png").exists()


def test_without_recorded_spikes_the_log_says_how_to_know_the_busiest_step(run):
    face = Run(path=run.path)
    face.simulate(samples=5, duration=9, record_spikes=0)
    mapping = face.map(hardware="spinemap_5x5", method="sequential")
    assert (
        "busiest step: unknown; record spikes with `snnb simulate --record-spikes K`"
    ) in (mapping.directory / "log.txt").read_text()
    assert "by_step" not in json.loads((mapping.directory / "cost.json").read_text())
