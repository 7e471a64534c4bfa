"""Files of a mapping: content, reading, damage."""

import csv
import json
import shutil
import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import load_npz

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import InputError
from snnb.core.quantities import number
from snnb.io.figures import layer_colours, save
from snnb.mapping.files import Mapping, MappingCost
from snnb.mapping.map_network import map_network
from snnb.mapping.placement import place
from snnb.mapping.traffic import MappableNetwork
from snnb.plots.mapping import plot_mapping, plot_traffic
from tests.mapping.brute_force import Expected, total_hops
from tests.mapping.conftest import QUICK
from tests.mapping.test_foreign import chip

HARDWARE = chip(mesh=(6, 5), neurons=20, axons=90)


@pytest.fixture(scope="module")
def mapping(graphs):
    graph, _ = graphs("chained", "spikes")
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(
            "snnb.mapping.map_network.place", partial(place, settings=QUICK)
        )
        patches.setitem(sys.modules, "mtkahypar", None)  # which takes seconds
        return map_network(MappableNetwork.of(graph), HARDWARE)


@pytest.fixture(scope="module")
def written(mapping, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    Mapping.of(mapping, MappingCost.of(mapping, seed=3, seconds=0.5)).write(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "mapping")


def test_cost_json_has_the_figures_by_their_definition(mapping, written, graphs):
    graph, edges = graphs("chained", "spikes")
    document = json.loads((written / "cost.json").read_text())
    expected_figures = Expected(graph, edges, mapping.core, HARDWARE, mapping.place)
    units = {
        "traffic": {
            "connectivity": "spikes/sample",
            "cut": "spikes/sample",
            "outside_spikes": "spikes/sample",
        },
        "routes": {"hops_unicast": "links/sample", "hops_multicast": "links/sample"},
        "energy": {"network_energy_pj": "pJ/sample"},
        "cores": {"reuse": "synapses/axon"},
    }
    for part, unit_by_name in units.items():
        for name, unit in unit_by_name.items():
            assert document[part][name] == pytest.approx(
                getattr(expected_figures, name)
            ), name
            assert document["units"][name] == unit
    assert "energy_pj" not in {
        **document["energy"],
        **document["units"],
    }  # of a chip without figures of neurons
    sequential = mapping.partition.sequential
    assert document["sequential"] == {
        "sequential_cores": sequential.cores,
        "sequential_connectivity": sequential.connectivity,
        "connectivity_ratio": expected_figures.connectivity / sequential.connectivity,
    }
    assert document["seed"] == 3
    assert document["hardware"] == HARDWARE.model_dump(mode="json")
    keys = "name mesh neurons_per_core axons_per_core synapses_per_core energy_pj latency_ns source"
    assert list(document["hardware"]) == keys.split()  # absent keys are not stated
    absent = {
        "chips",
        "step",
        "step_ns",
        "sample_ns",
        "axons_out",
        "memory_bits",
        "events",
    }
    assert (
        not {*document, *document["cores"], *document["units"], *document["per_core"]}
        & absent
    )
    assert document["limits"] == {"neurons": 20, "axons": 90, "synapses": None}
    assert document["cores"]["cores"] == len(np.unique(mapping.core))
    assert document["neurons_per_core"]["max"] == np.bincount(mapping.core).max() <= 20
    assert (
        document["neurons_per_core"]["share"]
        == document["neurons_per_core"]["max"] / 20
    )
    assert sum(document["per_core"]["synapses"]) == sum(
        p.number_of_edges for p in graph.projections
    )
    assert [p["source"] for p in document["per_projection"]] == [
        p.source.name for p in graph.projections
    ]


def test_cores_csv_has_a_row_a_core(mapping, written):
    with (written / "cores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (
        ",".join(rows[0])
        == "core,x,y,neurons,axons,synapses,spikes_in,spikes_out,synaptic_operations"
    )
    assert [int(row["core"]) for row in rows] == list(range(len(mapping.place)))
    assert [(int(row["x"]), int(row["y"])) for row in rows] == [
        tuple(position) for position in mapping.place.tolist()
    ]
    for name in list(rows[0])[3:]:
        assert [float(row[name]) for row in rows] == mapping.cost.per_core[
            name
        ].tolist()


def test_reading_returns_what_was_written(mapping, written):
    found_mapping = Mapping.open(written)
    assert found_mapping.hardware == HARDWARE
    assert (found_mapping.core == mapping.core).all()
    assert (found_mapping.place == mapping.place).all()
    assert (found_mapping.traffic != mapping.partition.best.matrix).nnz == 0
    assert (load_npz(written / "traffic.npz") != mapping.partition.best.matrix).nnz == 0
    for part in ("cores", "traffic", "routes", "energy"):
        assert getattr(found_mapping.cost, part) == getattr(mapping.cost, part)
    assert found_mapping.cost.routes.hops_unicast == pytest.approx(
        total_hops(found_mapping.traffic, found_mapping.place)
    )
    assert found_mapping.first == 100
    assert found_mapping.core_of(100) == mapping.core[0]
    assert found_mapping.core_of(99 + mapping.core.size) == mapping.core[-1]
    assert (
        found_mapping.neurons_of(2).tolist()
        == (np.flatnonzero(mapping.core == 2) + 100).tolist()
    )
    assert found_mapping.place_of(1) == tuple(mapping.place[1].tolist())
    assert repr(found_mapping).endswith(
        f"{mapping.core.size} neurons on {len(mapping.place)} cores of chip>"
    )


def test_a_node_or_core_that_is_not_there_is_an_index_error(mapping, written):
    found_mapping = Mapping.open(written)
    for node in (99, -1, 10_000):
        with pytest.raises(IndexError, match=f"node {node} is not placed"):
            found_mapping.core_of(node)
    for look_up, core in (
        (found_mapping.neurons_of, -1),
        (found_mapping.place_of, 999),
    ):
        with pytest.raises(
            IndexError,
            match=f"no core {core}: the mapping has {len(mapping.place)} cores",
        ):
            look_up(core)


def replace_text(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "partition.txt").unlink(),
            "partition.txt: no such file; give a directory maps/",
        ),
        (
            lambda folder: replace_text(folder / "partition.txt", "0\n", "1\n"),
            "a file is damaged",
        ),
        (
            lambda folder: replace_text(folder / "cores.csv", "\n1,", "\n7,"),
            "a file is damaged",
        ),
        (
            lambda folder: replace_text(folder / "links.csv", "\n0,", "\n7,"),
            "a file is damaged",
        ),
        (
            lambda folder: replace_text(
                folder / "cost.json", '"connectivity": ', '"connectivity": 9'
            ),
            "a file is damaged",
        ),
        (lambda folder: cut(folder / "cost.json"), "cost.json: not valid JSON"),
        (lambda folder: (folder / "cost.json").write_text("[]"), "cost.json"),
        (lambda folder: cut(folder / "traffic.npz"), "a file is damaged"),
    ],
)
def test_a_damaged_file_is_one_line(folder, damage, message):
    damage(folder)
    with pytest.raises(InputError, match=message) as error_info:
        Mapping.open(folder)
    assert "\n" not in str(error_info.value)


def test_the_same_mapping_is_written_as_the_same_bytes_and_pictures_show_every_layer(
    mapping, tmp_path, drawn_figures
):
    first_path, again = tmp_path / "first", tmp_path / "again"
    for folder in (first_path, again):
        folder.mkdir()
        Mapping.of(mapping, MappingCost.of(mapping, seed=3, seconds=0.5)).write(folder)
        save(plot_mapping(Mapping.open(folder)), folder / "mapping.png")
        save(plot_traffic(Mapping.open(folder)), folder / "traffic.png")
    for file in first_path.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name
    wanted_colours = np.rint(
        layer_colours(len(mapping.network.populations)) * 255
    ).astype(int)
    shown_values = np.unique(
        np.asarray(Image.open(first_path / "mapping.png").convert("RGB"), int).reshape(
            -1, 3
        ),
        axis=0,
    )
    assert all(
        np.abs(shown_values - colour).max(axis=1).min() <= 1
        for colour in wanted_colours
    )


@pytest.mark.parametrize(
    "name",
    [None, "spinemap_5x5", pytest.param("jin_1024x1024", marks=pytest.mark.slow)],
)
def test_pictures_of_meshes_of_any_size(graphs, tmp_path, drawn_figures, name):
    network = MappableNetwork.of(graphs("chained", "current")[0])
    one_chip = chip(mesh=(1, 1), neurons=1000)
    mapping = map_network(
        network, one_chip if name is None else read_hardware(name), method="sequential"
    )
    Mapping.of(mapping, MappingCost.of(mapping)).write(tmp_path)
    save(plot_mapping(Mapping.open(tmp_path)), tmp_path / "mapping.png")
    save(plot_traffic(Mapping.open(tmp_path)), tmp_path / "traffic.png")
    assert Image.open(tmp_path / "mapping.png").width < 2000


def test_the_log_says_how_full_the_cores_are_and_what_it_costs(mapping):
    text = "\n".join(MappingCost.of(mapping).log_lines(mapping.warnings))
    cost, (neurons, axons, _) = mapping.cost, mapping.cost.contents.values()
    assert (
        f"{mapping.core.size} neurons on {len(mapping.place)} of the 30 cores of chip, 6×5"
        in text
    )
    assert (
        f"20: {neurons.max() / 20:.0%} full (core {neurons.argmax()} has most)" in text
    )
    assert f"90: {axons.max() / 90:.0%} full (core {axons.argmax()} has most)" in text
    connectivity = cost.traffic.connectivity
    assert f" {number(connectivity).value}  spikes/sample\n" in text
    ratio = connectivity / mapping.partition.sequential.connectivity
    assert f"{ratio:.2f} × the connectivity of the sequential" in text
