"""The cost of groups equals that of their neurons, however they are moved, and limits that hold stay."""

import numpy as np
import pytest

from snnb.chips.hardware import NO_LIMIT, Limits
from snnb.mapping.partition.contraction import Problem, contract
from snnb.mapping.partition.groups import group_neurons
from snnb.mapping.partition.mtkahypar import connectivity_metric, hypergraph
from snnb.mapping.partition.refinement import Refinement
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork, count_traffic
from tests.mapping.networks import hardware


def groupings(network, rng):
    """Every neuron alone; the package's own groups; random ones of a population, of all, and of 1 to 8 neurons."""
    yield np.arange(network.neurons, dtype=np.int32), network.neurons
    yield group_neurons(
        network,
        network.in_degrees,
        Limits.of(hardware())._replace(synapses=NO_LIMIT),
        SearchSettings(),
    )
    group, groups = [], 0
    for population in network.populations:  # of one population each
        more = -(-population.size // 3)
        group += [groups + rng.permutation(np.arange(population.size) % more)]
        groups += more
    yield np.concatenate(group).astype(np.int32), groups
    yield (
        rng.permutation(np.arange(network.neurons) % 20).astype(np.int32),
        20,
    )  # groups with synapses in them
    uneven = np.repeat(np.arange(network.neurons), 1 + np.arange(network.neurons) % 8)[
        : network.neurons
    ]
    yield rng.permutation(uneven).astype(np.int32), int(uneven.max()) + 1


def refinement(net, core, cores, limits, seed=0):
    return Refinement(
        Problem(net, limits, cores, 0, SearchSettings(), print), core, cores, seed
    )


def agrees(network, search, group, cores, input_counts=False):
    """Compare cost and loads with those of the partition of the neurons."""
    sums = count_traffic(network, search.core[group], cores)
    spikes = sums.connectivity + input_counts * sums.outside
    assert search.cost == pytest.approx(spikes * network.samples, abs=1e-6)
    np.testing.assert_array_equal(search.load.T, sums.contents)


@pytest.mark.parametrize(
    "limits",
    [pytest.param((10**6, 10**6), marks=pytest.mark.slow), (25, 10**6), (25, 60)],
)
def test_a_search_keeps_count_and_a_descent_never_breaks_a_limit_that_holds(
    case, limits
):
    network = case[2]
    for group, groups in groupings(network, np.random.default_rng(5)):
        net = contract(network, group, groups, network.in_degrees)
        start = np.arange(
            groups, dtype=np.int32
        )  # a core each keeps the limits, if they can be kept
        search = refinement(net, start, groups, Limits(*limits, NO_LIMIT), seed=1)
        search.anneal(3000, search.cost / groups, 0.1, penalty=search.cost)
        agrees(network, search, group, groups)
        held, annealed_cost = search.legal, search.cost
        search.descend()
        agrees(network, search, group, groups)
        assert search.cost <= annealed_cost
        assert search.legal or not held


def test_a_search_counts_the_input_where_it_is_asked_for(graphs):
    network = MappableNetwork.of(graphs("summed", "spikes")[0])
    for group, groups in groupings(network, np.random.default_rng(5)):
        net = contract(network, group, groups, network.in_degrees, input_counts=True)
        start = np.arange(groups, dtype=np.int32)
        search = refinement(net, start, groups, Limits(25, 10**6, NO_LIMIT), seed=1)
        search.anneal(3000, search.cost / groups, 0.1, penalty=search.cost)
        agrees(network, search, group, groups, input_counts=True)
        problem = Problem(
            net, Limits(25, 10**6, NO_LIMIT), 9, 0, SearchSettings(), print
        )
        metric = connectivity_metric(hypergraph(problem, 10**6), search.core)
        # λ − 1 leaves out a core of each set of the input
        assert metric + net.input_total.sum() == search.cost


@pytest.mark.parametrize(
    "limits", [pytest.param((25, 10**6), marks=pytest.mark.slow), (25, 60), (10**6, 40)]
)
def test_mending_empties_overfull_cores_and_changes_no_others(case, limits):
    network, bounds = case[2], Limits(*limits, NO_LIMIT)
    for group, groups in groupings(network, np.random.default_rng(6)):
        net = contract(network, group, groups, network.in_degrees)
        if not refinement(net, np.arange(groups, dtype=np.int32), groups, bounds).legal:
            continue  # a group is too large for a core
        start = np.zeros(groups, np.int32)  # all on one core
        start[-1] = groups - 1
        search = refinement(net, start, groups, bounds)
        search.mend()
        assert search.legal
        agrees(network, search, group, groups)
        before = search.core.copy()
        search.mend()
        np.testing.assert_array_equal(search.core, before)


@pytest.mark.parametrize("limits", [(25, 10**6), (25, 60)])
def test_moves_and_exchanges_with_a_high_penalty_never_break_a_limit(case, limits):
    network, bounds = case[2], Limits(*limits, NO_LIMIT)
    for group, groups in groupings(network, np.random.default_rng(7)):
        net = contract(network, group, groups, network.in_degrees)
        if not refinement(net, np.arange(groups, dtype=np.int32), groups, bounds).legal:
            continue
        start = refinement(net, np.zeros(groups, np.int32), groups, bounds)
        start.mend()
        _, packed_core = np.unique(
            start.core, return_inverse=True
        )  # no empty cores, so most moves need an exchange
        cores = int(packed_core.max()) + 1
        search = refinement(net, packed_core.astype(np.int32), cores, bounds, seed=1)
        for _ in range(1000):  # an exceeded limit would soon be mended
            search.anneal(3, start.cost / groups, start.cost / groups, penalty=1e15)
            assert search.legal
        agrees(network, search, group, cores)


def test_groups_are_of_one_population_and_fit_a_core(case):
    network = case[2]
    tight = Limits(5, int(network.fan_in.max()) + 3, int(network.in_degrees.max()) * 2)
    group, groups = group_neurons(network, network.in_degrees, tight, SearchSettings())
    assert np.bincount(group).max() <= 5
    assert np.unique(group).tolist() == list(range(groups))
    owner = np.repeat(
        np.arange(len(network.populations)), [p.size for p in network.populations]
    )
    assert len(np.unique(np.stack([group, owner]), axis=1).T) == groups
    assert (
        np.stack(count_traffic(network, group, groups).contents)
        <= np.array(tight[:3])[:, None]
    ).all()
