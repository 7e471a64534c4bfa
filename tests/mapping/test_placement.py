"""Positions of cores: all different, near the optimum of an exhaustive search, the same for the same seed."""

from functools import partial
from itertools import permutations, product

import numpy as np
import pytest
from scipy.sparse import block_diag, csr_matrix

from snnb.chips.read_hardware import read_hardware
from snnb.mapping import placement
from snnb.mapping.placement import (
    NOBODY,
    Board,
    Links,
    _find_eigenvectors,
    _list_links,
    anneal_swaps,
    board_cost,
    descend_swaps,
    swap,
    swap_change,
)
from tests.mapping.brute_force import total_hops
from tests.mapping.conftest import QUICK
from tests.mapping.networks import hardware
from tests.mapping.test_events import ENERGY, full_chip

place = partial(placement.place, settings=QUICK)


def random_traffic(cores, density, seed):
    rng = np.random.default_rng(seed)
    return csr_matrix(
        rng.random((cores, cores)) * (rng.random((cores, cores)) < density)
    )


def grid(width, height, seed):
    """Traffic between neighbours of a grid whose cores are numbered at random: 1 hop a spike is possible."""
    number = (
        np.random.default_rng(seed).permutation(width * height).reshape(width, height)
    )
    pairs = [
        (number[:-1].ravel(), number[1:].ravel()),
        (number[:, :-1].ravel(), number[:, 1:].ravel()),
    ]
    source, target = np.concatenate(pairs, axis=1)
    return csr_matrix(
        (np.ones(source.size), (source, target)), shape=(width * height,) * 2
    )


@pytest.mark.parametrize(
    "seed",
    [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 12))],
)
def test_on_tiny_meshes_it_is_within_a_tenth_of_the_optimum(seed):
    rng = np.random.default_rng(seed)
    width, height = [(3, 3), (3, 2), (2, 2), (8, 1), (1, 5), (2, 4)][seed % 6]
    cores = int(rng.integers(2, width * height + 1))
    traffic = random_traffic(cores, 0.6, seed)
    positions = np.array([(x, y) for x in range(width) for y in range(height)])
    apart = np.abs(positions[:, None] - positions[None]).sum(axis=2)
    all_places = np.array(list(permutations(range(width * height), cores)), np.int8)
    entries = traffic.tocoo()
    costs = sum(
        w * apart[all_places[:, a], all_places[:, b]]
        for a, b, w in zip(entries.row, entries.col, entries.data)
    )
    found_hops = total_hops(
        traffic, place(traffic, hardware(mesh=(width, height)), seed)
    )
    assert found_hops <= 1.1 * np.min(costs) + 1e-9
    assert found_hops >= np.min(costs) - 1e-9


@pytest.mark.parametrize("hops", [False, True])
@pytest.mark.parametrize(
    ("mesh", "tile", "chip"), [((8, 1), (2, 1), (4, 1)), ((4, 2), (1, 1), (2, 2))]
)
def test_with_tiles_and_chips_the_energy_or_the_links_of_routes_are_near_the_optimum(
    mesh, tile, chip, hops
):
    """Six cores on two chips, in all arrangements."""
    energy = {**ENERGY, "between_chips": 20.0}
    x, y = np.divmod(np.arange(8), mesh[1])
    along, across, border = (
        np.abs(n[:, None] - n[None]) for n in (x // tile[0], y // tile[1], x // chip[0])
    )
    joules = (
        energy["router"] * (along + across)
        + energy["link_y"] * across
        + energy["link_x"] * (along - border)
    )
    distance = along + across if hops else joules + energy["between_chips"] * border
    traffic = random_traffic(6, 0.6, 1).tocoo()
    all_places = np.array(list(permutations(range(8), 6)), np.int8)
    costs = sum(
        w * distance[all_places[:, a], all_places[:, b]]
        for a, b, w in zip(traffic.row, traffic.col, traffic.data)
    )
    described_chip = full_chip(mesh=mesh, tile=tile, chip=chip, energy_pj=energy)
    places = place(traffic.tocsr(), described_chip, hops=hops) @ [mesh[1], 1]
    assert traffic.data @ distance[
        places[traffic.row], places[traffic.col]
    ] <= 1.1 * np.min(costs)


@pytest.mark.parametrize("cores", [2, 5, 12, 23, 72])
def test_the_fewest_chips_are_used_in_the_most_square_arrangement(cores):
    chip = full_chip(mesh=(12, 6), tile=None, chip=(3, 2))
    grids = [
        (3 * x, 2 * y)
        for x, y in product(range(1, 5), range(1, 4))
        if 6 * x * y >= cores
    ]
    places = place(random_traffic(cores, 1.0, cores), chip)
    assert (
        places < min(grids, key=lambda sides: (sides[0] * sides[1], max(sides)))
    ).all()
    assert len(np.unique(chip.chip_of(places), axis=0)) == -(-cores // 6)


def test_routes_avoid_links_along_y_where_only_these_take_energy():
    chip = full_chip(
        chip=None, tile=None, energy_pj={**ENERGY, "router": 0.0, "link_x": 0.0}
    )
    traffic = csr_matrix(
        np.triu(np.random.default_rng(0).integers(0, 9, (20, 20)), 1).astype(float)
    )
    assert (
        len(np.unique(place(traffic, chip)[:, 1])) == 3
    )  # of rows of 7 cores, as few as hold all


def test_a_scrambled_grid_is_found_again():
    traffic = grid(6, 6, seed=3)
    assert total_hops(traffic, place(traffic, hardware(mesh=(6, 6)))) == traffic.sum()


@pytest.mark.parametrize(
    ("cores", "mesh"),
    [(1, (1, 1)), (6, (3, 2)), (40, (9, 7)), (63, (9, 7)), (128, (16, 8))],
)
def test_no_two_cores_share_a_place_and_all_are_on_the_mesh(cores, mesh):
    places = place(random_traffic(cores, 0.2, cores), hardware(mesh=mesh))
    assert places.dtype == np.int32
    assert places.shape == (cores, 2)
    assert len(np.unique(places, axis=0)) == cores
    assert (places >= 0).all()
    assert (places < mesh).all()


def test_cores_without_traffic_have_places_too():
    places = place(csr_matrix((5, 5)), hardware(mesh=(5, 1)))
    assert sorted(places[:, 0].tolist()) == [0, 1, 2, 3, 4]
    lonely = csr_matrix(
        ([3.0, 1.0], ([0, 2], [4, 2])), shape=(6, 6)
    )  # and what stays in a core costs nothing
    assert total_hops(lonely, place(lonely, hardware(mesh=(3, 3)))) == 3


def test_the_same_seed_gives_the_same_places_and_another_may_not():
    traffic = random_traffic(60, 0.3, 5)
    first_places, again, other_places = (
        place(traffic, hardware(mesh=(8, 8)), seed) for seed in (1, 1, 2)
    )
    assert (first_places == again).all()
    assert (first_places != other_places).any()


@pytest.mark.parametrize("cores", [8, 12, 20, 40])
def test_pairs_of_cores_have_the_same_places_in_each_call(cores):
    """ARPACK then draws vectors, since its first vector spans too few dimensions."""
    pair = csr_matrix([[0, 1], [2, 0]])
    traffic = csr_matrix(block_diag([pair] * (cores // 2)))
    links = _list_links(traffic)
    vectors = [
        _find_eigenvectors(links, 3, placement.SearchSettings()) for _ in range(4)
    ]
    for again in vectors[1:]:
        np.testing.assert_array_equal(again, vectors[0])
    chip = hardware(mesh=(8, 8))
    np.testing.assert_array_equal(place(traffic, chip, 3), place(traffic, chip, 3))


@pytest.mark.slow
def test_thousands_of_cores_on_a_large_mesh():
    """Better than three times the hops of neighbours, where the order of the numbers has more than twenty times."""
    traffic = grid(50, 40, seed=1)
    places = placement.place(traffic, read_hardware("jin_1024x1024"))
    assert len(np.unique(places, axis=0)) == 2000
    assert total_hops(traffic, places) < 3 * traffic.sum()


def test_progress_reports_the_cost_and_an_exception_ends_it():
    reported_costs = []

    def interrupt(done, total, note=""):
        reported_costs.append((done, total, note))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place(random_traffic(60, 0.3, 5), hardware(mesh=(8, 8)), 0, interrupt)
    (done, total, note), *_ = reported_costs
    assert 0 < done < total
    assert note.startswith("spikes × distance ")


@pytest.fixture
def swap_start():
    """Seven cores on a board of twelve places, and their traffic."""
    traffic = random_traffic(7, 0.5, 3)
    both = (traffic + traffic.T).tolil()
    both.setdiag(0)
    both = both.tocsr()
    both.eliminate_zeros()
    links = Links(
        both.indptr.astype(np.int64), both.indices.astype(np.int32), both.data
    )
    places = np.random.default_rng(0).permutation(12)[:7].astype(np.int32)
    column, row = np.array([0.0, 0.0, 3.0, 4.5]), np.array([0.0, 1.5, 2.0])
    x, y = places // 3, places % 3
    core = np.full((4, 3), NOBODY, np.int32)
    board = Board(
        x, y, core, column, row, column[x], row[y], np.zeros(0), np.zeros((0, 0))
    )
    board.core[board.x, board.y] = np.arange(7)
    return traffic, links, board


def test_changes_are_exact(swap_start):
    traffic, links, board = swap_start
    for core, x, y in product(range(7), range(4), range(3)):
        before = total_hops(
            traffic,
            np.stack(
                [board.x_coordinate[board.x], board.y_coordinate[board.y]], axis=1
            ),
        )
        assert board_cost(links, board) == pytest.approx(before)
        reported_figures = (
            swap_change.py_func(links, board, core, x, y)
            if board.core[x, y] != core
            else 0.0
        )
        swap.py_func(board, core, x, y)
        after = total_hops(
            traffic,
            np.stack(
                [board.x_coordinate[board.x], board.y_coordinate[board.y]], axis=1
            ),
        )
        assert after - before == pytest.approx(reported_figures, abs=1e-9)
        assert (board.core[board.x, board.y] == np.arange(7)).all()
        assert (board.core != NOBODY).sum() == 7


def test_random_swaps_and_the_descent_add_up(swap_start):
    _, links, board = swap_start
    before = board_cost(links, board)
    moved_swaps, _ = anneal_swaps(links, board, np.array([5], np.uint64), 1.0, 2, 1000)
    assert board_cost(links, board) == pytest.approx(before + moved_swaps)
    before = board_cost(links, board)
    moved_swaps = descend_swaps(links, board, 4)
    assert board_cost(links, board) == pytest.approx(before + moved_swaps)
    assert moved_swaps <= 0
    assert (board.core[board.x, board.y] == np.arange(7)).all()
