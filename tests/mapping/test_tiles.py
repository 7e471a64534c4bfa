"""Tiles that fit on a core with their shared lists of synapses."""

import pytest

from snnb.mapping.groups import _cut, tiled
from snnb.mapping.limits import Limits
from snnb.mapping.memory import shared_entries
from snnb.mapping.traffic import count_traffic
from snnb.network.geometry import window_axis


@pytest.mark.parametrize("share", [1, 2, 5])
def test_tiles_keep_the_limits(case, share):
    """Counted over every synapse, for limits between those of a neuron and of three cores for all."""
    network = case[2]
    axons, synapses = int(network.fan_in.max()), int(network.in_degrees.max())
    limits = Limits(-(-network.neurons // (3 * share)), 2 * axons, synapses * share)
    group, groups = tiled(network, limits)
    sums = count_traffic(network, group, groups)
    neurons, found, _ = sums.contents
    assert neurons.min() > 0
    assert neurons.max() <= limits.neurons
    assert found.max() <= limits.axons
    assert shared_entries(sums).max() <= limits.synapses


@pytest.mark.parametrize(
    ("parts", "entries", "sources", "all_sources"),
    [(12, 3, 3, 34), (6, 6, 4, 22), (3, 9, 6, 16), (1, 7, 12, 12)],
)
def test_entries_along_an_axis_of_a_kernel_of_three(parts, entries, sources, all_sources):
    """Lists of 1 of 3 taps for a row; 1, 2, 2 and 1 for two; 1, 2, 3, 2, 1 for four; 2, 3, 2 for all."""
    assert _cut(window_axis(12, 3, 1, 1, "same"), parts) == (entries, sources, all_sources)
