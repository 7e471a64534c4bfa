"""benchmarks/instances/hops.py against the package and all placements of few cores."""

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
    monkeypatch.syspath_prepend(str(FOLDER))
    return [importlib.import_module(name) for name in ("hops", "grade")]


def random_traffic(random, cores, density=0.6):
    matrix = random.integers(1, 9, (cores, cores)) * (random.random((cores, cores)) < density).astype(float)
    np.fill_diagonal(matrix, 0)
    return csr_matrix(matrix)


@pytest.mark.parametrize("name", ["residual", "recurrent with delays", "listed"])
def test_traffic_and_hops_are_those_of_the_package(name, tmp_path, modules):
    hops, grade = modules
    with GRAPHS[name](tmp_path) as graph:
        network = MappableNetwork.of(graph)
        for constraints in ("neurons_32", "loihi_mesh"):
            hardware, chip = (
                read_hardware(str(FOLDER / "constraints" / f"{constraints}.json")),
                grade.read_constraints(constraints),
            )
            core, place = random_mapping(network, np.random.default_rng(3), min(9, network.neurons), hardware.mesh)
            sums = count_traffic(network, core, len(place))
            traffic = hops.core_traffic(grade.Graph(graph.path), core)
            assert abs(traffic - sums.matrix[: traffic.shape[0], : traffic.shape[0]]).max() < 1e-9
            expected = cost(sums, hardware, place).hops_unicast
            assert hops.hops_of(traffic, place, chip) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("mesh", "tile"), [((3, 2), (1, 1)), ((3, 2), (2, 1)), ((4, 2), (2, 2)), ((6, 1), (1, 1))])
def test_no_placement_has_fewer_hops_than_the_bound(mesh, tile, modules):
    hops, random = modules[0], np.random.default_rng(6)
    chip = {"mesh": mesh, "tile": tile}
    positions = np.array(list(np.ndindex(*mesh)))
    for cores in (1, 2, 4):
        for density in (0.3, 1.0):
            traffic = random_traffic(random, cores, density)
            every = itertools.permutations(range(len(positions)), cores)
            fewest = min(hops.hops_of(traffic, positions[list(chosen)], chip) for chosen in every)
            assert hops.fewest_hops(traffic, chip) <= fewest + 1e-9


def test_the_bound_of_a_star(modules):
    """Four partners of the centre are 1 hop away, two 2 hops; with tiles of two, one is at 0 hops."""
    traffic = csr_matrix(([8.0, 7, 6, 5, 4, 3], (np.zeros(6, int), np.arange(1, 7))), (7, 7))
    assert modules[0].fewest_hops(traffic, {}) == (8 + 7 + 6 + 5 + 2 * (4 + 3) + 33) / 2
    assert modules[0].fewest_hops(traffic, {"tile": (2, 1)}) == (7 + 6 + 5 + 4 + 3) / 2
