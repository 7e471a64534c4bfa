"""Placement of cores on the mesh, so that routes take little energy, or have few links.

The objective, Σ spikes × distance over all pairs of cores, is a quadratic assignment
problem. The distance is that of coordinates along x and y, which increase at borders of
tiles, and at borders of chips by what a link between chips takes. It is solved
heuristically: initial placements in the order of the cores' numbers and by eigenvectors
(Hall, Management Science 17, 1970); simulated annealing (Kirkpatrick et al., Science
220, 1983), with moves to empty positions as in VPR (Betz and Rose, FPL 1997); and a
descent.

Spikes of an input that enter at ports add Σ spikes × distance of each core that they
are sent to from its port.
"""

import inspect
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from scipy.sparse import csr_matrix, diags, identity, tril, triu

from snnb.chips.hardware import Hardware
from snnb.core.compiled import compiled, inlined
from snnb.core.machine import require_memory
from snnb.core.progress import Progress, Throttle, silent
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.routes import Area, nearest_ports, port_routers
from snnb.mapping.xorshift import draw_below

# Products of the matrix with a vector in an iteration: the Lanczos vectors of ARPACK
PRODUCTS_OF_ITERATION = 20
NOBODY = -1  # at a position without a core
UNAVAILABLE = -2  # at a position that takes no core
POSITION_BYTES = 100  # of a position in the choice of the part of the mesh


class Links(NamedTuple):
    """Spikes between cores, both directions added: a symmetric CSR matrix.

    Core c exchanges `spikes[k]` with core `partner[k]`, for k from `indptr[c]` to
    `indptr[c + 1]` − 1. The diagonal is empty.
    """

    indptr: np.ndarray  # (cores + 1,) int64
    partner: np.ndarray  # (links,) int32
    spikes: np.ndarray  # (links,) float64: per sample


class Board(NamedTuple):
    """Positions of cores on a part of the mesh, which the search changes.

    Positions are integers x and y. Coordinates are floating-point numbers whose
    differences are distances. With tiles of 2 × 1 cores and links of length 1, the
    positions x = 0, 1, 2, 3 have the coordinates 0, 0, 1, 1.
    """

    x: np.ndarray  # (cores,) int32: position of each core
    y: np.ndarray  # (cores,) int32
    # (width, height) int32: the core at each position, `NOBODY`, or `UNAVAILABLE`
    core: np.ndarray
    x_coordinate: np.ndarray  # (width,) float64: coordinate of each position x
    y_coordinate: np.ndarray  # (height,) float64: coordinate of each position y
    # Coordinates of each core, which the search reads most often: (cores,) float64
    core_x: np.ndarray
    core_y: np.ndarray
    # Spikes per sample of the input to each core, (cores,) float64, and the distance of
    # each position from its port, (width, height) float64; without ports both are empty
    input_spikes: np.ndarray
    input_distance: np.ndarray


class _SwapEffort(NamedTuple):
    """How many swaps the search tries."""

    rounds: int  # of an annealing and a descent, each from the best placement
    swaps: int  # in the annealing of a round
    passes: int  # at most, in the descent of a round

    @classmethod
    def of(cls, links: Links, cores: int, settings: SearchSettings) -> "_SwapEffort":
        """Return the effort that the settings allow."""
        n_links = links.partner.size
        degree = max(1.0, n_links / cores)
        max_partners = settings.max_partners / 2  # of annealing, and of descent
        max_rounds = settings.max_rounds_of_cores // cores
        rounds = int(np.clip(max_rounds, 1, settings.max_placement_rounds))
        swaps = min(
            settings.swaps_per_core * cores,
            settings.max_swaps / rounds,
            max_partners / (degree * rounds),
        )
        positions_in_reach = (2 * settings.reach_of_descent + 1) ** 2
        partners_of_pass = max(1, n_links) * 2 * positions_in_reach
        passes = max(1, int(max_partners / partners_of_pass))
        return cls(rounds, int(swaps), passes)


def place(
    traffic: csr_matrix,
    hardware: Hardware,
    seed: int = 0,
    progress: Progress = silent,
    *,
    input_spikes: Optional[np.ndarray] = None,
    hops: bool = False,
    settings: SearchSettings = SearchSettings(),  # noqa: B008 - frozen
) -> np.ndarray:
    """Assign each core a position on the mesh: int32, shape (cores, 2).

    The columns are x and y. The same seed gives the same positions. Routes take the
    least energy, or with `hops` have the fewest links, that the search finds.

    Parameters
    ----------
    traffic : (cores, cores) csr_matrix of float64
        Spikes per sample; the diagonal is ignored. There are at most as many cores as
        the hardware has.
    input_spikes : (cores,) float64 array, optional
        Spikes per sample of the input to each core; ignored without input ports.
    """
    cores = traffic.shape[0]
    links = _list_links(traffic)
    part = _choose_part(cores, hardware, settings)
    board = _new_board(cores, hardware, part, hops, input_spikes)
    snake = _positions(board)
    if not board.input_spikes.any() and (cores < 2 or links.partner.size == 0):
        return snake
    best = snake
    least_cost = board_cost(links, board)
    for positions in _initial_placements(links, board, snake, seed, settings):
        _put(board, positions)
        cost = board_cost(links, board)
        if cost < least_cost:
            least_cost = cost
            best = positions
    effort = _SwapEffort.of(links, cores, settings)
    random = np.array([2 * seed + 1], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    throttle = Throttle()
    done = 0
    steps = effort.rounds * settings.temperature_steps
    for _ in range(effort.rounds):
        _put(board, best)
        for _ in _anneal(links, board, random, effort.swaps, settings):
            done += 1
            if throttle.due(last=done == steps):
                progress(done, steps, f"spikes × distance {least_cost:,.6g}")
        for _ in range(effort.passes):
            if descend_swaps(links, board, settings.reach_of_descent) >= 0:
                break  # no position within reach is better
        cost = board_cost(links, board)
        if cost < least_cost:
            least_cost = cost
            best = _positions(board)
    return best


def _list_links(traffic: csr_matrix) -> Links:
    """Return the spikes between different cores, both directions added."""
    between_cores = triu(traffic, 1) + tril(traffic, -1)
    spikes = (between_cores + between_cores.T).tocsr()
    spikes.sort_indices()
    return Links(
        indptr=spikes.indptr.astype(np.int64),
        partner=spikes.indices.astype(np.int32),
        spikes=spikes.data,
    )


class _Part(NamedTuple):
    """The part of the mesh that the search uses: from its corner at x = y = 0."""

    width: int
    height: int
    rows: int  # that the initial placement fills first


def _choose_part(
    cores: int,
    hardware: Hardware,
    settings: SearchSettings,
) -> _Part:
    """Choose a corner of the mesh, a little wider and higher than the cores need.

    It grows until it has a position for each core besides unavailable ones. With input
    ports it is the entire mesh, as cores may be best anywhere.
    """
    positions = cores  # of the part, without the spare ones
    while True:
        region_width, region_height = _largest_sides(positions, hardware)
        width = min(region_width, int(np.ceil(np.sqrt(positions))))
        rows = -(-positions // width)
        if rows > region_height:
            width = -(-positions // region_height)
            rows = region_height
        spare_columns = int(settings.spare_share_of_side * width)
        spare_columns += settings.min_spare_positions
        spare_rows = int(settings.spare_share_of_side * rows)
        spare_rows += settings.min_spare_positions
        part = _Part(
            width=min(region_width, width + spare_columns),
            height=min(region_height, rows + spare_rows),
            rows=rows,
        )
        if hardware.input_ports:
            part = _Part(*hardware.mesh, rows)
        shortage = cores - _count_available(part, hardware)
        if shortage <= 0:
            return part
        positions += shortage


def _count_available(part: _Part, hardware: Hardware) -> int:
    """Return the number of positions of a part that take a core."""
    lost_positions = 0
    for x, y in hardware.unavailable or ():
        lost_positions += x < part.width and y < part.height
    return part.width * part.height - lost_positions


def _input_distance(part: _Part, hardware: Hardware, hops: bool) -> np.ndarray:
    """Return the distance of each position from its port: float64, shape (width, height).

    Distances are those of the coordinates of a board.
    """
    x, y = np.indices((part.width, part.height))
    router_x, router_y = np.moveaxis(hardware.router_of(np.stack([x, y], axis=2)), 2, 0)
    width = int(router_x.max()) + 1
    height = int(router_y.max()) + 1
    nearest = nearest_ports(port_routers(hardware), Area(0, 0, width, height))
    port = nearest.port[router_x, router_y]
    port_x, port_y = np.array(hardware.input_ports, np.int64).T
    x_coordinate = _coordinates(0, hardware.mesh[0], hardware, hops)
    y_coordinate = _coordinates(1, hardware.mesh[1], hardware, hops)
    distance_x: np.ndarray = np.abs(x_coordinate[x] - x_coordinate[port_x[port]])
    distance_y: np.ndarray = np.abs(y_coordinate[y] - y_coordinate[port_y[port]])
    return distance_x + distance_y


def _new_board(
    cores: int,
    hardware: Hardware,
    part: _Part,
    hops: bool,
    input_spikes: Optional[np.ndarray],
) -> Board:
    """Place the cores on a part of the mesh, in the order of their numbers.

    They are in a snake: up the first column, down the second, and so on, in the first
    `part.rows` rows. Where unavailable positions make it longer, it continues in the
    spare columns, and then in the spare rows.
    """
    require_memory(
        POSITION_BYTES * part.width * part.height,
        f"the placement on {part.width:,} × {part.height:,} positions",
    )
    board = Board(
        x=np.empty(cores, np.int32),
        y=np.empty(cores, np.int32),
        core=np.full((part.width, part.height), NOBODY, np.int32),
        x_coordinate=_coordinates(0, part.width, hardware, hops),
        y_coordinate=_coordinates(1, part.height, hardware, hops),
        core_x=np.empty(cores),
        core_y=np.empty(cores),
        input_spikes=np.zeros(0),
        input_distance=np.zeros((0, 0)),
    )
    if hardware.input_ports and input_spikes is not None:
        board = board._replace(
            input_spikes=input_spikes,
            input_distance=_input_distance(part, hardware, hops),
        )
    for x, y in hardware.unavailable or ():
        if x < part.width and y < part.height:
            board.core[x, y] = UNAVAILABLE
    column, row = np.divmod(np.arange(part.width * part.height), part.height)
    row_of_snake = np.where(column % 2 == 1, part.rows - 1 - row, row)
    order = np.lexsort((row_of_snake, column, row >= part.rows))
    snake = np.stack([column[order], row[order]], axis=1)
    is_free = board.core[snake[:, 0], snake[:, 1]] == NOBODY
    _put(board, snake[is_free][:cores])
    return board


def _largest_sides(cores: int, hardware: Hardware) -> Tuple[int, int]:
    """Return the width and height of the part of the mesh that cores may be on.

    It has the fewest chips that suffice, in the most square arrangement.
    """
    if hardware.chip is None:
        return hardware.mesh
    mesh_width, mesh_height = hardware.mesh
    chip_width, chip_height = hardware.chip
    chip_rows = mesh_height // chip_height
    sides: List[Tuple[int, int]] = []
    for columns in range(1, mesh_width // chip_width + 1):
        rows = -(-cores // (columns * chip_width * chip_height))
        if rows <= chip_rows:
            sides.append((columns * chip_width, rows * chip_height))
    return min(sides, key=lambda side: (side[0] * side[1], max(side)))


def _coordinates(axis: int, side: int, hardware: Hardware, hops: bool) -> np.ndarray:
    """Return coordinates of positions along an axis: float64, shape (side,).

    They are the energy, or with `hops` the links, of the route from position 0; links
    too if routes take no energy. The unit of energy is that of a link along x (along y,
    if that is 0) and its router, so coordinates count links if all take the same.
    """
    energy = hardware.energy_pj
    one_link = np.eye(2, dtype=np.int64)  # two routes: of a link along x, along y
    no_borders = np.zeros((2, 2))
    energy_x, energy_y = energy.sum_routes(
        one_link,
        no_borders,
        with_first_router=False,
    )
    unit = float(energy_x or energy_y)
    positions = np.zeros((side, 2), np.int32)
    positions[:, axis] = np.arange(side)
    links = hardware.router_of(positions).T
    if hops or unit <= 0:
        coordinates: np.ndarray = links.sum(axis=0).astype(np.float64)
        return coordinates
    borders = hardware.chip_of(positions).T
    route_energy = energy.sum_routes(links, borders, with_first_router=False)
    return np.round(route_energy / unit, 9)


def _positions(board: Board) -> np.ndarray:
    """Return x and y of each core: int32, shape (cores, 2)."""
    return np.stack([board.x, board.y], axis=1)


def _put(board: Board, positions: np.ndarray) -> None:
    """Put all cores on these positions, (cores, 2)."""
    board.x[:] = positions[:, 0]
    board.y[:] = positions[:, 1]
    board.core[board.core != UNAVAILABLE] = NOBODY
    board.core[board.x, board.y] = np.arange(board.x.size)
    board.core_x[:] = board.x_coordinate[board.x]
    board.core_y[:] = board.y_coordinate[board.y]


def _initial_placements(
    links: Links,
    board: Board,
    snake: np.ndarray,
    seed: int,
    settings: SearchSettings,
) -> Iterator[np.ndarray]:
    """Yield placements, (cores, 2), on the positions of the snake, and near ports.

    The snake itself is not one of them.
    """
    yield from _place_by_eigenvectors(links, snake, seed, settings)
    if board.input_spikes.size > 0:
        positions = _nearest_positions(board)
        yield positions
        yield from _place_by_eigenvectors(links, positions, seed, settings)


def _nearest_positions(board: Board) -> np.ndarray:
    """Return the available positions nearest to ports, as many as there are cores.

    They are int32, shape (cores, 2), in the order of a snake.
    """
    x, y = np.nonzero(board.core != UNAVAILABLE)
    distance = board.input_distance[x, y]
    nearest = np.argsort(distance, kind="stable")[: board.x.size]
    x = x[nearest]
    y = y[nearest]
    order = np.lexsort((np.where(x % 2 == 1, -y, y), x))
    return np.stack([x, y], axis=1)[order].astype(np.int32)


def _place_by_eigenvectors(
    links: Links,
    positions: np.ndarray,
    seed: int,
    settings: SearchSettings,
) -> Iterator[np.ndarray]:
    """Yield two placements on these positions, (cores, 2), by two eigenvectors.

    One eigenvector determines the columns, and the other the rows within a column.
    """
    vectors = _find_eigenvectors(links, seed, settings)
    if vectors is None:
        return
    by_position = positions[np.lexsort((positions[:, 1], positions[:, 0]))]
    column_start = np.flatnonzero(np.diff(by_position[:, 0], prepend=-1))
    second_vector, third_vector = vectors
    for by_column, by_row in (
        (second_vector, third_vector),
        (third_vector, second_vector),
    ):
        core_order = np.argsort(by_column, kind="stable")
        placement = np.empty_like(positions)
        column_cores = np.split(core_order, column_start[1:])
        column_positions = np.split(by_position, column_start[1:])
        for members, places in zip(column_cores, column_positions):
            row_order = np.argsort(by_row[members], kind="stable")
            placement[members[row_order]] = places
        yield placement


def _find_eigenvectors(
    links: Links,
    seed: int,
    settings: SearchSettings,
) -> Optional[Tuple[np.ndarray, np.ndarray]]:
    """Return two eigenvectors of the Laplacian L = D − A: float64, shape (cores,).

    A are the spikes between cores, and D is the diagonal of their sums. Of the vectors
    with L v = λ D v, the second and the third, by their λ, bring partners together
    (Hall, 1970); the first is constant. None if there are few cores, no spikes between
    cores, or ARPACK does not converge.
    """
    cores = links.indptr.size - 1
    if cores < settings.min_cores_for_eigenvectors or links.partner.size == 0:
        return None
    from scipy.sparse.linalg import ArpackError, eigsh

    matrix = csr_matrix((links.spikes, links.partner, links.indptr), (cores, cores))
    weight = np.asarray(matrix.sum(axis=1)).ravel()
    root = np.sqrt(np.where(weight > 0, weight, 1.0))
    # The symmetric matrix I + D^−½ A D^−½ has the eigenvalues 2 − λ and eigenvectors
    # D^½ v, where D is not 0: its largest ones are those of the least λ
    shifted_laplacian = diags(1 / root) @ matrix @ diags(1 / root) + identity(cores)
    start = root + 0.01 * root.mean() * np.cos(np.arange(cores))
    products = PRODUCTS_OF_ITERATION * matrix.nnz
    iterations = max(2, int(settings.max_products_for_eigenvectors / products))
    try:
        _, vectors = eigsh(  # by ascending eigenvalue: the first is the last
            shifted_laplacian,
            k=3,
            which="LA",
            v0=start,
            tol=settings.eigenvector_tolerance,
            maxiter=iterations,
            **_arpack_random(seed),
        )
    except ArpackError:
        return None
    return vectors[:, 1] / root, vectors[:, 0] / root


def _arpack_random(seed: int) -> Dict[str, np.random.Generator]:
    """Return the argument of `eigsh` for the random numbers of ARPACK.

    ARPACK draws a vector where cores exchange spikes in groups without any between
    them. scipy seeds this generator anew in each process, unless it is given; before
    scipy 1.17 it cannot be given, and always begins in the same way.
    """
    from scipy.sparse.linalg import eigsh

    if "rng" in inspect.signature(eigsh).parameters:
        return {"rng": np.random.default_rng(seed)}
    return {}


def _anneal(
    links: Links,
    board: Board,
    random: np.ndarray,
    swaps: int,
    settings: SearchSettings,
) -> Iterator[int]:
    """Anneal with swaps of decreasing distance; yield each step of the temperature.

    It begins at a multiple of the mean increase of the cost by swaps of neighbours.
    """
    steps = settings.temperature_steps
    probe_board = Board(*(array.copy() for array in board))
    _, increases = anneal_swaps(links, probe_board, random, 0.0, 1, settings.probes)
    temperature = settings.hottest_swap * (increases / settings.probes)
    cooling = (settings.coldest_swap / settings.hottest_swap) ** (1 / steps)
    longest_side = max(board.core.shape)
    for step in range(steps):
        share_left = 1 - step / steps
        reach = max(1, round(longest_side * share_left**settings.exponent_of_reach))
        trials = max(1, swaps // steps)
        anneal_swaps(links, board, random, temperature, reach, trials)
        yield step
        temperature *= cooling


@compiled
def board_cost(links: Links, board: Board) -> float:
    """Sum spikes × distance over all pairs of cores, and of cores and their ports."""
    total = 0.0
    for core in range(board.input_spikes.size):
        distance = board.input_distance[board.x[core], board.y[core]]
        total += board.input_spikes[core] * distance
    for core in range(board.x.size):
        for k in range(links.indptr[core], links.indptr[core + 1]):
            partner = links.partner[k]
            if partner > core:
                distance_x = abs(board.core_x[core] - board.core_x[partner])
                distance_y = abs(board.core_y[core] - board.core_y[partner])
                total += links.spikes[k] * (distance_x + distance_y)
    return total


@inlined
def swap_change(links: Links, board: Board, core: int, x: int, y: int) -> float:
    """Return the change of the cost if a core exchanges positions with that at (x, y).

    Without a core there, it is moved. The position is available.
    """
    occupant = board.core[x, y]
    new_x = board.x_coordinate[x]
    new_y = board.y_coordinate[y]
    old_x = board.core_x[core]
    old_y = board.core_y[core]
    total = 0.0
    for k in range(links.indptr[core], links.indptr[core + 1]):
        partner = links.partner[k]
        if partner != occupant:
            partner_x = board.core_x[partner]
            partner_y = board.core_y[partner]
            old_distance = abs(old_x - partner_x) + abs(old_y - partner_y)
            new_distance = abs(new_x - partner_x) + abs(new_y - partner_y)
            total += links.spikes[k] * (new_distance - old_distance)
    if board.input_spikes.size > 0:
        input_spikes = board.input_spikes[core]
        if occupant != NOBODY:
            input_spikes -= board.input_spikes[occupant]
        old_distance_of_input = board.input_distance[board.x[core], board.y[core]]
        total += input_spikes * (board.input_distance[x, y] - old_distance_of_input)
    if occupant == NOBODY:
        return total
    for k in range(links.indptr[occupant], links.indptr[occupant + 1]):
        partner = links.partner[k]
        if partner != core:
            partner_x = board.core_x[partner]
            partner_y = board.core_y[partner]
            old_distance = abs(new_x - partner_x) + abs(new_y - partner_y)
            new_distance = abs(old_x - partner_x) + abs(old_y - partner_y)
            total += links.spikes[k] * (new_distance - old_distance)
    return total


@inlined
def swap(board: Board, core: int, x: int, y: int) -> None:
    """Exchange the positions of a core and of the one at (x, y), if any."""
    occupant = board.core[x, y]
    old_x = board.x[core]
    old_y = board.y[core]
    board.core[old_x, old_y] = occupant
    if occupant != NOBODY:
        board.x[occupant] = old_x
        board.y[occupant] = old_y
        board.core_x[occupant] = board.x_coordinate[old_x]
        board.core_y[occupant] = board.y_coordinate[old_y]
    board.core[x, y] = core
    board.x[core] = x
    board.y[core] = y
    board.core_x[core] = board.x_coordinate[x]
    board.core_y[core] = board.y_coordinate[y]


@inlined
def _draw_position(
    links: Links,
    board: Board,
    core: int,
    reach: int,
    random: np.ndarray,
) -> Tuple[int, int]:
    """Draw a position within `reach` of the core, or of one of its partners."""
    first_link = links.indptr[core]
    degree = links.indptr[core + 1] - first_link
    is_near = degree > 0 and draw_below(random, np.int64(2)) > 0
    centre = links.partner[first_link + draw_below(random, degree)] if is_near else core
    x = board.x[centre] + draw_below(random, 2 * reach + 1) - reach
    y = board.y[centre] + draw_below(random, 2 * reach + 1) - reach
    width, height = board.core.shape
    return min(max(x, 0), width - 1), min(max(y, 0), height - 1)


@compiled
def anneal_swaps(
    links: Links,
    board: Board,
    random: np.ndarray,
    temperature: float,
    reach: int,
    trials: int,
) -> Tuple[float, float]:
    """Try random swaps, at one temperature.

    An increase d of the cost is accepted with probability exp(−d / temperature).

    Parameters
    ----------
    random : (1,) uint64 array
        State of the random numbers, not 0; updated.
    reach : int
        Largest distance along an axis, in positions, of the new position of a core from
        its own, or from that of one of its partners.

    Returns
    -------
    change : float
        The change of the cost.
    increases : float
        The sum of the increases that were tried, accepted or not.
    """
    total = 0.0
    increases = 0.0
    for _ in range(trials):
        core = draw_below(random, board.x.size)
        x, y = _draw_position(links, board, core, reach, random)
        if board.core[x, y] == core or board.core[x, y] == UNAVAILABLE:
            continue
        change = swap_change(links, board, core, x, y)
        if change > 0.0:
            increases += change
            number = draw_below(random, np.int64(1 << 30)) / (1 << 30)
            if temperature <= 0.0 or number >= np.exp(-change / temperature):
                continue
        swap(board, core, x, y)
        total += change
    return total, increases


@compiled
def descend_swaps(links: Links, board: Board, reach: int) -> float:
    """Move each core to the best position near its own, then near its partners' median.

    Positions are near within `reach` along each axis. Return the change of the cost: 0
    if no core has a better position.
    """
    total = 0.0
    weight = np.empty(max(board.core.shape[0], board.core.shape[1]), np.float64)
    for core in range(board.x.size):
        first_link = links.indptr[core]
        end_link = links.indptr[core + 1]
        most_spikes = 0.0
        if board.input_spikes.size > 0:
            most_spikes = board.input_spikes[core]
        elif first_link == end_link:
            continue
        for k in range(first_link, end_link):
            most_spikes = max(most_spikes, links.spikes[k])
        rounding = -1e-12 * most_spikes  # a smaller decrease of the cost is none
        total += _swap_with_best(
            links,
            board,
            core,
            board.x[core],
            board.y[core],
            reach,
            rounding,
        )
        x = _median(board.x, links, core, weight[: board.core.shape[0]])
        y = _median(board.y, links, core, weight[: board.core.shape[1]])
        total += _swap_with_best(links, board, core, x, y, reach, rounding)
    return total


@inlined
def _swap_with_best(
    links: Links,
    board: Board,
    core: int,
    x: int,
    y: int,
    reach: int,
    max_change: float,
) -> float:
    """Move a core to the best position within `reach` of (x, y).

    The change of the cost is below `max_change`; otherwise the core stays. Return the
    change.
    """
    width, height = board.core.shape
    best_change = max_change
    best_x = x
    best_y = y
    for new_x in range(max(0, x - reach), min(width, x + reach + 1)):
        for new_y in range(max(0, y - reach), min(height, y + reach + 1)):
            occupant = board.core[new_x, new_y]
            if occupant != core and occupant != UNAVAILABLE:
                change = swap_change(links, board, core, new_x, new_y)
                if change < best_change:
                    best_change = change
                    best_x = new_x
                    best_y = new_y
    if best_change >= max_change:
        return 0.0
    swap(board, core, best_x, best_y)
    return best_change


@inlined
def _median(position: np.ndarray, links: Links, core: int, weight: np.ndarray) -> int:
    """Return the position with the least sum of spikes × distance to the partners.

    It is along one axis, in positions, not in coordinates. `position`, int32, shape
    (cores,), has those of the cores; `weight`, float64, shape (positions,), is a
    buffer.
    """
    weight[:] = 0
    for k in range(links.indptr[core], links.indptr[core + 1]):
        weight[position[links.partner[k]]] += links.spikes[k]
    total = 0.0
    for number in weight:
        total += number
    weight_before = 0.0
    for median in range(weight.size):
        weight_before += weight[median]
        if weight_before >= total / 2:
            return median
    return weight.size - 1
