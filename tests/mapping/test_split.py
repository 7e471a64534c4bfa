"""Mappings within limits of output axons and synapse memory, and what exceeds them on a core of its own."""

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.core.quantities import values
from snnb.mapping.cost import cost
from snnb.mapping.limits import describe_exceeded_limits, shared_entries
from snnb.mapping.map_network import map_network
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.partition.partition import partition
from snnb.mapping.partition.repair import split_overfull
from snnb.mapping.refusals import check_possible
from tests.mapping.test_events import MEMORY, full_chip

pytestmark = pytest.mark.usefixtures("no_kahypar")


def cost_of(sums, chip):
    return cost(
        sums,
        chip,
        np.stack(np.divmod(np.arange(sums.cores), 64), axis=1).astype(np.int32),
    )


@pytest.mark.parametrize("method", ["sequential", "groups"])
@pytest.mark.parametrize("sharing", ["none", "kernel"])
def test_every_method_keeps_the_limits(case, method, sharing):
    """A half of what three cores would need, so that cores are divided."""
    network = case[2]
    memory, mesh = {**MEMORY, "sharing": sharing}, {"mesh": [64, 64], "chip": None}
    thirds = (np.arange(network.neurons) * 3 // network.neurons).astype(np.int32)
    wide_chip = full_chip(**mesh, axons_out_per_core=10**6, synapse_memory=memory)
    needed_core = cost_of(
        split_overfull(network, thirds, wide_chip), wide_chip
    ).per_core
    out, bits = (int(needed_core[name].max()) for name in ("axons_out", "memory_bits"))
    least_bits = 19 * int(network.in_degrees.max())
    tight = full_chip(
        **mesh,
        axons_out_per_core=out // 2 + 8,
        synapse_memory={**memory, "bits_per_core": max(bits // 2, least_bits)},
    )
    found_partition = partition(network, tight, method=method)
    for sums in (*found_partition.tried, found_partition.sequential):
        assert describe_exceeded_limits(cost_of(sums, tight).contents, tight) == ""
        assert sums.cores > 1
        if sharing == "kernel":  # counted core by core while cores are divided
            np.testing.assert_array_equal(sums.entries, shared_entries(sums))
    assert found_partition.best.connectivity <= found_partition.sequential.connectivity


def test_a_neuron_that_exceeds_the_memory_alone_is_named_with_its_layer(case):
    network = case[2]
    largest_neuron = int(np.argmax(network.in_degrees))
    layer = network.graph.nodes.population(largest_neuron + network.first).name
    bits = 19 * int(network.in_degrees[largest_neuron])
    chip = full_chip(
        synapse_memory={**MEMORY, "bits_per_core": bits - 1, "sharing": "none"}
    )
    number, entries = (
        int(network.in_degrees[largest_neuron]),
        int(network.in_degrees[largest_neuron]) - 1,
    )
    message = f"layer {layer} has a neuron with {number:,} synapses, 1 more than the {entries:,} synapses"
    with pytest.raises(InputError, match=message):
        check_possible(network, chip)
    with pytest.raises(
        InputError,
        match=r"layer .* has a neuron with \d+ memory_bits, and a core takes 19",
    ):
        partition(
            network,
            full_chip(synapse_memory={**MEMORY, "bits_per_core": 19}),
            method="sequential",
        )


def test_without_sharing_the_cores_are_filled_up_to_the_memory(case):
    """As up to the same number of synapses: no core is divided."""
    network, memory_bits = case[2], 2 * int(case[2].in_degrees.max())
    memory = {**MEMORY, "bits_per_core": 19 * memory_bits + 18, "sharing": "none"}
    found_core, other_core = (
        sequential_baseline(network, full_chip(axons_out_per_core=None, **limits)).core
        for limits in (
            {"synapse_memory": memory},
            {"synapse_memory": None, "synapses_per_core": memory_bits},
        )
    )
    np.testing.assert_array_equal(found_core, other_core)


def test_an_objective_takes_the_least_of_what_the_methods_give(case):
    network, chip = case[2], full_chip(neurons_per_core=60)
    mappings = [
        map_network(network, chip, method=method) for method in ("sequential", "groups")
    ]
    for objective, figure in (
        ("hops", "hops_unicast"),
        ("energy", "energy_pj"),
        ("step", "step_ns"),
    ):
        best = map_network(network, chip, method="groups", objective=objective)
        figures = [values(candidate.cost)[figure] for candidate in (best, *mappings)]
        assert figures[0] <= min(figures[1:])
