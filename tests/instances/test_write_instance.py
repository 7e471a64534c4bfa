"""The file of an instance: hyperedges by the documented reader, no weights, and the costs of its original."""

import hashlib
import shutil
import struct

import h5py
import numpy as np
import pytest
from write_instance import hyperedges_sha256, traffic, write_instance

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import UsageError
from snnb.graph.synapse_graph import SynapseGraph, seal
from snnb.mapping.files import MappingCost
from snnb.mapping.map_network import cost_partition
from snnb.mapping.traffic import MappableNetwork
from tests.graph.test_graph_format import PROGRAM

GRAPHS = ("graph", "residual_graph", "pruned_graph", "delayed_graph")


@pytest.fixture(params=GRAPHS)
def original(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def instance(original, tmp_path):
    write_instance(original.path, tmp_path / "made.h5", "made-1.0")
    with SynapseGraph.open(tmp_path / "made.h5") as opened_file:
        yield opened_file


def by_the_page(path):
    """SHA-256 of the hyperedges and spikes per sample, from the edges that the reader of the page lists."""
    targets = {}
    digest = hashlib.sha256()
    spikes = 0
    with h5py.File(path, "r") as file:
        are_dropped = file.attrs.get("zeros") == "dropped"
        groups = [file["populations"][name] for name in sorted(file["populations"])]
        current = [group.attrs["coding"] == "current" for group in groups]
        counts = np.concatenate(
            [
                group["spike_count"][()].ravel() * (not c)
                for group, c in zip(groups, current)
            ]
        )
        samples = file.attrs["num_samples"]
    for source, target, weight in PROGRAM["edges"](str(path)):
        if weight != 0 or not are_dropped:
            targets.setdefault(int(source), set()).add(int(target))
    for source in sorted(targets):
        row = [
            source,
            int(counts[source]),
            len(targets[source]),
            *sorted(targets[source]),
        ]
        digest.update(struct.pack(f"<{len(row)}q", *row))
        spikes += int(counts[source])
    return digest.hexdigest(), spikes / samples


def test_hyperedges_and_traffic_are_those_of_the_graph(original, instance):
    expected_page = by_the_page(original.path)
    assert (hyperedges_sha256(original), traffic(original)) == expected_page
    assert (hyperedges_sha256(instance), traffic(instance)) == expected_page
    assert by_the_page(instance.path) == expected_page


def test_weights_and_what_belongs_to_them_are_gone(original, instance):
    with h5py.File(instance.path, "r") as file:
        assert file.attrs["instance"] == "made-1.0"
        weights = [
            group["kernel"][()].ravel()
            for group in file["connections"].values()
            if "kernel" in group
        ]
    values = np.concatenate(weights)
    nonzero_values = values[values != 0]
    assert np.unique(nonzero_values).size == nonzero_values.size
    assert (nonzero_values.size < values.size) == ("zeros" in instance.attributes)
    assert not {"weight_bits", "pixel", "parsed_sha256"} & set(instance.attributes)
    assert all(population.integer_threshold is None for population in instance.layers)


def costs(graph, tmp_path):
    """Cost of a random partition for a chip with energies, times and a memory for synapses."""
    partition = tmp_path / "parts.txt"
    cores = np.random.default_rng(1).integers(0, 6, graph.number_of_neurons())
    partition.write_text("".join(f"{core}\n" for core in cores))
    mapping = cost_partition(
        MappableNetwork.of(graph),
        read_hardware("loihi"),
        partition,
        allow_overfull=True,
    )
    return MappingCost.of(mapping).model_dump(
        exclude={"memory_bits_per_core", "overfull", "sequential", "tried"}
    )


def test_a_mapping_costs_the_same(original, instance, tmp_path):
    """Weights of the small networks repeat, and so do their lists in the memory, unlike those of placeholders."""
    both = [costs(graph, tmp_path) for graph in (original, instance)]
    for cost in both:
        del cost["per_core"]["memory_bits"], cost["least_cores"]["memory_bits"]
    assert both[0] == both[1]
    assert both[0]["energy"]["energy_pj"] > 0


def test_a_memory_that_shares_lists_holds_as_much_as_with_different_weights(
    residual_graph, tmp_path
):
    path, rng = tmp_path / "net_graph.h5", np.random.default_rng(2)
    shutil.copy(residual_graph.path, path)
    with h5py.File(path, "r+") as file:
        for group in file["connections"].values():
            if "kernel" in group:
                group["kernel"][...] = rng.normal(size=group["kernel"].shape)
    seal(path)
    write_instance(path, tmp_path / "made.h5", "made-1.0")
    with SynapseGraph.open(path) as graph, SynapseGraph.open(
        tmp_path / "made.h5"
    ) as instance:
        assert costs(graph, tmp_path) == costs(instance, tmp_path)


def test_a_graph_without_spikes_is_refused(tmp_path):
    path = tmp_path / "net_graph.h5"
    PROGRAM["write_graph"](str(path), {"a": np.ones(3), "b": np.ones(2)}, {})
    with pytest.raises(
        UsageError, match="an instance is made of the graph of a simulation"
    ):
        write_instance(path, tmp_path / "made.h5", "made-1.0")
