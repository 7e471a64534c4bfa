"""Patches that fit on a core with their shared lists of synapses."""

import numpy as np
import pytest

from snnb.chips.hardware import Limits
from snnb.graph.projection import targets
from snnb.graph.synapse_graph import SynapseGraph
from snnb.instances.known_instances import find_instance
from snnb.mapping import limits as limits_module
from snnb.mapping.limits import shared_entries
from snnb.mapping.partition.patch_grids import (
    GridCandidate,
    divide_outputs,
    divide_pooling,
    list_grids,
)
from snnb.mapping.partition.patches import cut_into_patches, find_best_chunks
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork, count_traffic
from snnb.network.geometry import window_axis


@pytest.mark.parametrize(
    ("is_mixed", "same_grid"), [(True, False), (False, False), (False, True)]
)
@pytest.mark.parametrize("share", [1, 2, 5])
def test_patches_keep_the_limits(case, share, is_mixed, same_grid):
    """Counted over every synapse, for limits between those of a neuron and of three cores for all."""
    network = case[2]
    axons, synapses = int(network.fan_in.max()), int(network.in_degrees.max())
    limits, axons_out = (
        Limits(-(-network.neurons // (3 * share)), 2 * axons, synapses * share),
        2 * share,
    )
    axons_out *= int(network.fan_out.max())
    room = None if same_grid else axons_out
    group, groups = cut_into_patches(
        network,
        limits,
        SearchSettings(),
        room,
        with_mixed_patches=is_mixed,
        same_grid=same_grid,
    )
    sums = count_traffic(network, group, groups)
    assert same_grid or sums.axons_out.max() <= axons_out
    neurons, found_content, _ = sums.contents
    assert neurons.min() > 0
    assert neurons.max() <= limits.neurons
    assert found_content.max() <= limits.axons
    assert shared_entries(sums).max() <= limits.synapses


def test_populations_of_one_shape_may_have_the_same_patches(graphs):
    """A depthwise convolution and a copy of a pooling, which could have larger ones: both 4 x 3 x 4."""
    network = MappableNetwork.of(graphs("varied", "current")[0])
    limits = Limits(
        -(-network.neurons // 3),
        2 * int(network.fan_in.max()),
        int(network.in_degrees.max()),
    )
    borders = []
    for same_grid in (False, True):
        group, _ = cut_into_patches(
            network,
            limits,
            SearchSettings(),
            with_mixed_patches=False,
            same_grid=same_grid,
        )
        same = [
            np.equal.outer(group[part], group[part])
            for part in map(network.part, network.populations)
        ]
        borders.append((same[0] == same[2]).all())
    assert borders == [False, True]


def test_a_grid_and_its_transpose_are_equally_good_on_every_processor():
    """All layers and kernels of LeNet are square, so which of two grids is taken must not depend on rounding."""
    with SynapseGraph.open(find_instance("lenet_t100").path) as graph:
        network = MappableNetwork.of(graph)
        pairs = 0
        for population in network.populations:
            limits, sides = Limits(1024, 4096, 100_000), SearchSettings().patch_sides
            found_grids = list_grids(network, population, limits, sides, exact=False)
            spikes = {
                grid.grid: (grid.spikes_per_chunk, grid.spikes_per_channel)
                for grid in found_grids
            }
            for (down, across), received_spike in spikes.items():
                assert spikes.get((across, down), received_spike) == received_spike
                pairs += down < across and (across, down) in spikes
    assert pairs > 50


@pytest.mark.parametrize("coding", ["current", "spikes"])
@pytest.mark.parametrize("name", ["summed", "chained"])  # their last layers are dense
def test_a_dense_layer_may_use_all_axons_of_a_core(graphs, name, coding):
    """A patch of as many neurons as the memory holds, although no axon is left."""
    network = MappableNetwork.of(graphs(name, coding)[0])
    (*_, last) = network.populations
    part = network.part(last)
    limits = Limits(
        network.neurons,
        int(network.fan_in[part].max()),
        int(network.in_degrees[part].sum()),
    )
    group, _ = cut_into_patches(network, limits, SearchSettings())
    assert np.unique(group[part]).size == 1


@pytest.mark.parametrize(
    ("parts", "entries", "sources", "all_sources"),
    [(12, 3, 3, 34), (6, 6, 4, 22), (3, 9, 6, 16), (1, 7, 12, 12)],
)
def test_entries_along_an_axis_of_a_kernel_of_three(
    parts, entries, sources, all_sources
):
    """Lists of 1 of 3 taps for a row; 1, 2, 2 and 1 for two; 1, 2, 3, 2, 1 for four; 2, 3, 2 for all."""
    found_parts = divide_outputs(window_axis(12, 3, 1, 1, "same"), parts)
    assert (found_parts.entries, found_parts.sources, found_parts.reached.sum()) == (
        entries,
        sources,
        all_sources,
    )


@pytest.mark.parametrize(("parts", "inside"), [(2, 12), (4, 10)])
def test_inputs_of_a_pooling_in_the_part_of_their_output(parts, inside):
    """Windows of two: parts of 6 cut none, parts of 3 cut the second and the fifth, whose last inputs are outside."""
    found_parts = divide_pooling(window_axis(12, 2, 2, 1, "valid"), parts)
    assert (found_parts.reached.sum(), found_parts.inside.sum()) == (12, inside)


def _fewest(candidates, channels):
    """Try every grid for the first chunk, with every number of channels."""
    if channels == 0:
        return 0.0
    return min(
        candidate.spikes_per_chunk
        + candidate.spikes_per_channel * chunk_count
        + _fewest(candidates, channels - chunk_count)
        for candidate in candidates
        for chunk_count in range(1, min(candidate.max_channels, channels) + 1)
    )


def test_chunks_of_channels_receive_the_fewest_spikes():
    candidates = [
        GridCandidate((1, 1), 1, 1.0, 0.1),
        GridCandidate((1, 4), 4, 2.5, 0.0),
        GridCandidate((2, 2), 3, 2.1, 0.3),
    ]
    by_grid = {candidate.grid: candidate for candidate in candidates}
    for channels in range(1, 10):
        chunks, received_spikes = find_best_chunks(candidates, channels)
        assert sum(chunk_count for _, chunk_count in chunks) == channels
        assert all(
            0 < chunk_count <= by_grid[grid].max_channels
            for grid, chunk_count in chunks
        )
        spikes = sum(
            by_grid[grid].spikes_per_chunk
            + by_grid[grid].spikes_per_channel * chunk_count
            for grid, chunk_count in chunks
        )
        assert (
            spikes
            == pytest.approx(received_spikes)
            == pytest.approx(_fewest(candidates, channels))
        )


def test_threads_compute_no_cached_properties(graphs, monkeypatch):
    """Since Python 3.12 nothing prevents that several threads compute one at once."""
    with SynapseGraph.open(graphs("varied", "current")[0].path) as graph:
        network = MappableNetwork.of(graph)
        sums = count_traffic(network, np.arange(network.neurons, dtype=np.int32) % 7, 7)
        owners = {
            id(owner): owner
            for p in graph.projections
            for owner in (p, p.source, p.target, *p.connections)
        }
        computed_names = []

        def record_block(*block):
            before = {key: set(vars(owner)) for key, owner in owners.items()}
            found_targets = targets(*block)
            computed_names.extend(
                (owner, set(vars(owner)) - before[key]) for key, owner in owners.items()
            )
            return found_targets

        monkeypatch.setattr(limits_module, "targets", record_block)
        shared_entries(sums)
    assert len(computed_names) >= len(owners)
    assert [(owner, names) for owner, names in computed_names if names] == []
