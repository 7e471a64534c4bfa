"""Figures of a cost against their definitions, evaluated edge by edge."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.mapping.cost import cost
from snnb.mapping.map_network import map_network
from snnb.mapping.traffic import MappableNetwork, count_traffic
from tests.graph.networks import graph_of
from tests.mapping.brute_force import Expected, assert_equal_figures
from tests.mapping.networks import hardware
from tests.network.test_recurrent import dense, recurrent


def random_mapping(network, rng, cores, mesh):
    """Cores and places: of each core at least one neuron."""
    core = rng.permutation(
        np.concatenate(
            [np.arange(cores), rng.integers(0, cores, network.neurons - cores)]
        )
    )
    places = rng.permutation(mesh[0] * mesh[1])[:cores]
    return core.astype(np.int32), np.stack(
        [places % mesh[0], places // mesh[0]], axis=1
    ).astype(np.int32)


@pytest.mark.parametrize(
    ("cores", "mesh", "corner"),
    [
        pytest.param(2, (5, 8), (0, 0), marks=pytest.mark.slow),
        pytest.param(5, (5, 8), (0, 0), marks=pytest.mark.slow),
        (1, (1, 1), (0, 0)),
        (30, (5, 8), (0, 0)),
        (
            30,
            (32_768, 32_768),
            (32_763, 20_000),
        ),  # a billion cores need no array of all
    ],
)
def test_every_figure_is_that_of_its_definition(case, cores, mesh, corner):
    graph, edges, network = case
    chip = hardware(mesh=mesh, synapse_energy=0.7)
    core, place = random_mapping(
        network, np.random.default_rng(cores), cores, np.minimum(mesh, (5, 8))
    )
    place += np.array(corner, np.int32)
    expected_figures = Expected(graph, edges, core, chip, place)
    sums = count_traffic(network, core, cores)
    assert_equal_figures(cost(sums, chip, place), expected_figures)
    np.testing.assert_allclose(sums.matrix.toarray(), expected_figures.traffic)


@pytest.mark.parametrize("mesh", [(5, 1), (1, 5)])
def test_cores_of_neighbouring_neurons_in_a_row_and_one_without_neurons(case, mesh):
    """As mappings really are: most neurons and their targets share a core."""
    graph, edges, network = case
    chip = hardware(mesh=mesh)
    core = np.repeat(np.array([0, 1, 2, 4], np.int32), -(-network.neurons // 4))[
        : network.neurons
    ]
    place = np.outer([3, 0, 2, 4, 1], np.array(mesh) == 5).astype(np.int32)
    assert_equal_figures(
        cost(count_traffic(network, core, 5), chip, place),
        Expected(graph, edges, core, chip, place),
    )


@pytest.mark.parametrize("method", ["sequential", "groups"])
def test_a_source_with_several_delays_needs_one_axon(tmp_path, method):
    one_volume, two = (
        volume for volume in recurrent().volumes if volume.name in ("one", "two")
    )
    two = replace(
        two, projections=tuple(dense("one", 3, 2, delay=delay) for delay in range(4))
    )
    network = replace(
        recurrent(),
        volumes=(
            recurrent().input,
            replace(one_volume, projections=one_volume.projections[:2]),
            two,
        ),
    )
    with graph_of(network, tmp_path, coding={"input": "spikes"}) as graph:
        placed_network = MappableNetwork.of(graph)
        assert placed_network.in_degrees.tolist() == [7] * 3 + [12] * 2
        assert placed_network.fan_in.tolist() == [7] * 3 + [3] * 2
        assert placed_network.fan_out.tolist() == [5] * 3 + [0] * 2
        mapping = map_network(
            placed_network, hardware(neurons=5, axons=7, mesh=(1, 1)), method=method
        )
        assert mapping.cost.cores.cores == 1
