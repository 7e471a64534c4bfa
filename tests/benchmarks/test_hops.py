"""benchmarks/instances/hops.py against the package and all placements of few cores; the peers of its placement."""

import importlib
import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from snnb.chips.read_hardware import read_hardware
from snnb.mapping.cost import cost
from snnb.mapping.traffic import MappableNetwork, count_traffic
from tests.benchmarks.test_grade import FOLDER, GRAPHS
from tests.mapping.test_cost import random_mapping


@pytest.fixture
def modules(monkeypatch):
    for folder in (FOLDER, FOLDER.parent / "peers"):
        monkeypatch.syspath_prepend(str(folder))
    return [
        importlib.import_module(name) for name in ("hops", "mesh_placement", "grade")
    ]


def random_traffic(random, cores, density=0.6):
    matrix = random.integers(1, 9, (cores, cores)) * (
        random.random((cores, cores)) < density
    ).astype(float)
    np.fill_diagonal(matrix, 0)
    return csr_matrix(matrix)


@pytest.mark.parametrize("name", ["residual", "recurrent with delays", "listed"])
def test_traffic_and_hops_are_those_of_the_package(name, tmp_path, modules):
    hops, _, grade = modules
    with GRAPHS[name](tmp_path) as graph:
        network = MappableNetwork.of(graph)
        for constraints in ("neurons_32", "loihi_mesh"):
            hardware = read_hardware(
                str(FOLDER / "constraints" / f"{constraints}.json")
            )
            chip = grade.read_constraints(constraints)
            core, place = random_mapping(
                network,
                np.random.default_rng(3),
                min(9, network.neurons),
                hardware.mesh,
            )
            sums = count_traffic(network, core, len(place))
            traffic = hops.core_traffic(grade.Graph(graph.path), core)
            assert (
                abs(traffic - sums.matrix[: traffic.shape[0], : traffic.shape[0]]).max()
                < 1e-9
            )
            expected_hops = cost(sums, hardware, place).routes.hops_unicast
            assert hops.hops_of(traffic, place, chip) == pytest.approx(
                expected_hops, rel=1e-12
            )


@pytest.mark.parametrize(
    ("mesh", "tile"),
    [((3, 2), (1, 1)), ((3, 2), (2, 1)), ((4, 2), (2, 2)), ((6, 1), (1, 1))],
)
def test_no_placement_has_fewer_hops_than_the_bound(mesh, tile, modules):
    hops, random = modules[0], np.random.default_rng(6)
    chip = {"mesh": mesh, "tile": tile}
    positions = np.array(list(np.ndindex(*mesh)))
    for cores, density in itertools.product((1, 2, 4), (0.3, 1.0)):
        traffic = random_traffic(random, cores, density)
        all_orders = itertools.permutations(range(len(positions)), cores)
        fewest = min(
            hops.hops_of(traffic, positions[list(order)], chip) for order in all_orders
        )
        assert hops.fewest_hops(traffic, chip) <= fewest + 1e-9


def test_the_bound_of_a_star(modules):
    """Four partners of the centre are 1 hop away, two 2 hops; with tiles of two, one is at 0 hops."""
    traffic = csr_matrix(
        ([8.0, 7, 6, 5, 4, 3], (np.zeros(6, int), np.arange(1, 7))), (7, 7)
    )
    assert modules[0].fewest_hops(traffic, {}) == (8 + 7 + 6 + 5 + 2 * (4 + 3) + 33) / 2
    assert modules[0].fewest_hops(traffic, {"tile": (2, 1)}) == (7 + 6 + 5 + 4 + 3) / 2


@pytest.mark.parametrize(
    ("cores", "mesh"),
    [
        (1, (3, 3)),
        (3, (2, 2)),
        (16, (4, 4)),
        (30, (8, 5)),
        (48, (64, 64)),
        (40, (3, 40)),
    ],
)
def test_peers_place_each_core_on_a_position_of_its_own(cores, mesh, modules):
    hops, peers, _ = modules
    traffic = random_traffic(np.random.default_rng(cores), cores, 0.2)
    both = (traffic + traffic.T).tocsr()
    curves = peers.along_curves(both, np.arange(cores), mesh)
    assert len(curves) == (4 if cores >= 5 else 2)
    steps = np.abs(np.diff(curves[0], axis=0)).sum(axis=1)
    assert (steps > 1).sum() <= 1  # a curve has no jumps; one diagonal step
    for tile in ((1, 1), (2, 2)):
        chip = {"tile": tile}
        for start in [*curves, *peers.spectral(both, mesh)]:
            end = peers.force_directed(both, start, mesh, tile)
            for places in (start, end):
                assert len(np.unique(places, axis=0)) == cores
                assert (places >= 0).all()
                assert (places < mesh).all()
            assert hops.hops_of(traffic, end, chip) <= hops.hops_of(
                traffic, start, chip
            )
            if cores < 40:
                assert not improving_swap(hops, traffic, end, mesh, chip)


def improving_swap(hops, traffic, places, mesh, chip):
    """Return whether a swap of neighbours, or a move to an empty neighbour, has fewer hops."""
    now = hops.hops_of(traffic, places, chip)
    for core, step in itertools.product(
        range(len(places)), ([1, 0], [-1, 0], [0, 1], [0, -1])
    ):
        end, swapped_places = places[core] + step, places.copy()
        if (end < 0).any() or (end >= mesh).any():
            continue
        swapped_places[(places == end).all(axis=1)] = places[core]
        swapped_places[core] = end
        if hops.hops_of(traffic, swapped_places, chip) < now - 1e-6:
            return True
    return False
