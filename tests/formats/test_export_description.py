"""The description of an export: one schema in all formats, ids, the first step of each population."""

import json

import networkx
import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.formats.all import FORMATS
from snnb.formats.export_options import ExportOptions
from snnb.formats.request import Request, Simulated
from snnb.formats.write_export import export
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble
from tests.graph.networks import graph_of, save_spike_times

ORIGIN = {"stamp": "s", "sha256": "0"}
SIMULATED = Simulated(
    0.5, "zero", "constant", None, 255.0, "dataset/x_test.npy", "0" * 64, 30, 2, 7
)


def read_description(target):
    path = (
        target / "description.json"
        if target.is_dir()
        else target.with_name(f"{target.name}.json")
    )
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    "format", sorted(name for name, one in FORMATS.items() if not one.needs_mapping)
)
def test_every_format_states_all_that_a_simulator_needs(
    graph, tmp_path, spike_times, format
):
    target, has_units = tmp_path / "out", "rate_unit" in FORMATS[format].own_options
    options = ExportOptions(rate_unit="hz" if has_units else "step")
    export(
        graph,
        format,
        target,
        Request(options, spike_times, simulated=SIMULATED),
        origin=ORIGIN,
    )
    description = read_description(target)
    per = "second" if has_units else "time step"
    assert (description["rate_unit"], description["edge_unit"]) == (
        f"spikes per {per}",
        f"thresholds per {per}",
    )
    assert [
        description[name]
        for name in ("dt_ms", "num_samples", "num_timesteps", "warm_up")
    ] == [1.0, 4, 25, 5]
    neuron = description["neuron"]
    assert [neuron[name] for name in ("threshold", "reset", "spike_amplitude")] == [
        0.5,
        "zero",
        0.5,
    ]
    assert description["simulation"]["pixel_scale"] == 255.0
    assert description["simulation"]["recorded_samples"] == 2
    assert description["input"] == {"population": "input", "coding": "current"}
    assert description["pool_weight"] == (
        "mean" if FORMATS[format].simulates else "one"
    )
    names = [population["name"] for population in description["populations"]]
    assert names == [
        p.name for p in graph.populations[1 if FORMATS[format].partial else 0 :]
    ]
    assert description["nodes"] == sum(
        population["size"] for population in description["populations"]
    )
    assert description["edges"] == sum(
        projection["edges"] for projection in description["projections"]
    )
    summary = {(s.source, s.target): s.edges for s in graph.summary()}
    for projection in description["projections"]:
        assert (
            projection["edges"] == summary[projection["source"], projection["target"]]
        )


@pytest.mark.parametrize("rule", ["largest_count", "leading_input"])
@pytest.mark.parametrize(
    "format", sorted(name for name, one in FORMATS.items() if not one.needs_mapping)
)
def test_max_pooling_is_stated_or_refused(tmp_path, format, rule):
    """Formats of simulators whose neurons are in the file refuse it; others state its rule."""
    config = {"pool_size": [2, 2], "strides": [2, 2], "rule": rule}
    kernels = {
        "first": np.ones((1, 1, 1, 2), np.float32),
        "out": np.ones((8, 2), np.float32),
    }
    weights = {
        name: {"kernel": kernel, "bias": np.zeros(2, np.float32)}
        for name, kernel in kernels.items()
    }
    first_options = {"filters": 2, "kernel_size": [1, 1], "activation": "relu"}
    entries = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": [None, 4, 4, 1]}, (), {}
        ),
        StoredLayer("first", "Conv2D", first_options, ("input",), weights["first"]),
        StoredLayer("highest", "MaxPooling2D", config, ("first",), {}),
        StoredLayer("flat", "Flatten", {}, ("highest",), {}),
        StoredLayer("out", "Dense", {"units": 2}, ("flat",), weights["out"]),
    ]
    network = assemble(entries)
    target = tmp_path / "out"
    said = []
    counts = {
        volume.name: np.ones(volume.shape)
        for volume in (network.input, *network.populations)
    }
    coding = {"input": "current"}
    with graph_of(
        network, tmp_path, counts, coding, num_samples=4, num_timesteps=25, warm_up=5
    ) as graph:
        times = (
            save_spike_times(graph, tmp_path / "times.npz")
            if format == "spinemap"
            else None
        )
        simulation = Simulated(
            1.0, "subtraction", "constant", None, 1.0, None, None, 30, 2, 7
        )
        request = Request(spike_times=times, simulated=simulation)
        if format in ("nir", "sanafe"):
            with pytest.raises(UsageError, match=r"^highest .* --max-pool average"):
                export(graph, format, target, request)
            return
        export(graph, format, target, request, origin=ORIGIN, say=said.append)
    description = read_description(target)
    assert {p["target"]: p["weights"] for p in description["projections"]}[
        "highest"
    ] == rule
    assert list(description["max_pooling"]) == [rule]
    assert ("largest spike count" in description["max_pooling"][rule]) == (
        rule == "largest_count"
    )
    program = {"pynn": "PyNN", "sonata": "NEST"}.get(format)
    line = f"{program} has no neuron with its rule, which the description states as max_pooling"
    expected_warnings = [f"export: max pooling (highest): {line}"] if program else []
    assert [line for line in said if "max pooling" in line] == expected_warnings


def test_ids_in_the_description_are_those_of_the_files(graph, tmp_path, spike_times):
    firsts = {}
    for format in ("csv", "metis", "sonata"):
        export(graph, format, tmp_path / format, origin=ORIGIN)
        firsts[format] = [
            population["first_id"]
            for population in read_description(tmp_path / format)["populations"]
        ]
    assert firsts == {
        "csv": [0, 84, 120, 144, 164],
        "metis": [0, 36, 60, 80],
        "sonata": [0, 0, 36, 60, 80],
    }


def test_a_table_of_nodes_that_is_no_exports_is_kept(graph, tmp_path):
    (tmp_path / "net.csv.nodes.csv").write_text("mine")
    for force in (False, True):
        with pytest.raises(
            UsageError, match=r"net\.csv\.nodes\.csv was not written by `snnb`"
        ):
            export(graph, "csv", tmp_path / "net.csv", force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["net.csv.nodes.csv"]
    (tmp_path / "net.csv.nodes.csv").unlink()
    export(graph, "csv", tmp_path / "net.csv")
    export(graph, "csv", tmp_path / "net.csv", force=True)


def test_spikes_of_all_paths_meet(residual_graph, tmp_path):
    """The delays along every path from an input that spikes to a population add up to the same."""
    export(residual_graph, "pynn", tmp_path / "net")
    description = read_description(tmp_path / "net")
    delays = {
        (p["source"], p["target"]): p["delay_steps"] for p in description["projections"]
    }
    first_steps = {p["name"]: p["first_step"] for p in description["populations"]}
    assert first_steps == {
        "input": 0,
        "one": 1,
        "two": 2,
        "sum": 3,
        "pool": 4,
        "out": 5,
    }
    assert min(delays.values()) >= 1
    paths = networkx.DiGraph(list(delays))
    for target in first_steps:
        for path in networkx.all_simple_paths(paths, "input", target):
            assert (
                sum(delays[step] for step in zip(path, path[1:])) == first_steps[target]
            )
