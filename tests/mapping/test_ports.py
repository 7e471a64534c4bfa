"""Input ports, unavailable cores and link times against their definitions, message by message."""

import re
from functools import partial
from itertools import permutations, product

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import InputError
from snnb.mapping import placement
from snnb.mapping.cost import cost
from snnb.mapping.map_network import map_network
from snnb.mapping.partition_files import read_placement, without_cores
from snnb.mapping.routes import Area, nearest_ports
from snnb.mapping.traffic import MappableNetwork, count_traffic
from tests.graph.listed_graphs import random_graph, with_names
from tests.mapping.brute_force import Expected, assert_equal_figures
from tests.mapping.conftest import QUICK
from tests.mapping.networks import hardware
from tests.mapping.test_cost import random_mapping
from tests.mapping.test_events import ENERGY, SHORT, TIME, full_chip
from tests.mapping.test_placement import random_traffic

place = partial(placement.place, settings=QUICK)


EDGES_OF_MESH = [(x, y) for x in range(8) for y in range(8) if {x, y} & {0, 7}]
EVERYWHERE = list(product(range(8), range(8)))
ONE_CHIP = {"tile": None, "chip": None}
CHIPS = {
    "one port": {"input_ports": [(7, 2)]},
    "two ports": {"input_ports": [(0, 0), (7, 7)], **ONE_CHIP},
    "equally near ports": {"input_ports": [(4, 0), (0, 4), (4, 4)], **ONE_CHIP},
    "ports at all edges": {"input_ports": EDGES_OF_MESH},
    "ports of several chips": {
        "input_ports": [(1, 1), (6, 1), (3, 7)],
        "chip": [2, 4],
        "tile": None,
        "energy_pj": {**ENERGY, "between_chips": 50.0},
    },
    "ports of one tile": {
        "input_ports": [(0, 0), (1, 1), (7, 7)],
        "tile": [4, 4],
        "chip": None,
    },
    "slow links": {"time_ns": {**TIME, "link_spike": 900.0}},
    "slow links and a port": {
        "input_ports": [(3, 0)],
        "time_ns": {**SHORT, "link_spike": 900.0},
    },
    "multicast": {
        "input_ports": [(0, 0), (6, 6)],
        "time_ns": {**SHORT, "link_spike": 900.0, "routing": "multicast"},
        **ONE_CHIP,
    },
    "fast links": {
        "input_ports": [(0, 0)],
        "time_ns": {**TIME, "link_spike": 1e-3, "routing": "unicast"},
    },
}


@pytest.mark.parametrize("changes", CHIPS.values(), ids=CHIPS)
def test_every_figure_is_that_of_its_definition(case, changes):
    graph, edges, network = case
    chip = full_chip(**changes)
    core, place = random_mapping(network, np.random.default_rng(1), 12, chip.mesh)
    found_cost = cost(count_traffic(network, core, 12), chip, place)
    assert_equal_figures(found_cost, Expected(graph, edges, core, chip, place))
    assert (found_cost.input is None) == ("input_ports" not in changes)
    if chip.time_ns.link_spike == 900.0:
        assert found_cost.step.step_bound.by == "link"


def test_the_mean_latency_includes_messages_from_ports(case):
    graph, edges, network = case
    chip = hardware(mesh=(6, 6)).model_copy(update={"input_ports": ((5, 0), (0, 3))})
    core, place = random_mapping(network, np.random.default_rng(3), 9, chip.mesh)
    assert_equal_figures(
        cost(count_traffic(network, core, 9), chip, place),
        Expected(graph, edges, core, chip, place),
    )


def test_ports_everywhere_add_nothing_but_local_messages(case):
    _, _, network = case
    core, place = random_mapping(network, np.random.default_rng(1), 12, (8, 8))
    sums = count_traffic(network, core, 12)
    without, everywhere = (
        cost(sums, full_chip(input_ports=ports, **ONE_CHIP), place)
        for ports in (None, EVERYWHERE)
    )
    latencies = {"latency_ns_mean", "latency_ns_max"}
    routes = without.routes.model_dump(exclude=latencies)
    assert everywhere.routes.model_dump(exclude=latencies) == routes
    assert everywhere.traffic == without.traffic
    assert everywhere.step == without.step
    local = sums.outside * ENERGY["router"]
    assert everywhere.energy.energy_pj == pytest.approx(
        without.energy.energy_pj + local
    )
    assert (
        everywhere.input.input_hops_unicast
        == everywhere.input.input_hops_multicast
        == 0
    )
    assert everywhere.input.input_route_energy_pj == pytest.approx(local)


@pytest.mark.parametrize("seed", range(20))
def test_the_nearest_port_is_the_first_with_the_fewest_hops(seed):
    rng = np.random.default_rng(seed)
    ports = rng.integers(0, 12, (int(rng.integers(1, 8)), 2))
    x, y = rng.integers(0, 6, 2).tolist()
    width, height = rng.integers(1, 7, 2).tolist()
    nearest = nearest_ports(ports, Area(x, y, width, height))
    for column, row in product(range(width), range(height)):
        hops = np.abs(ports - (x + column, y + row)).sum(axis=1)
        assert nearest.port[column, row] == hops.argmin()
        assert nearest.hops[column, row] == hops.min()


@pytest.mark.parametrize("seed", range(6))
def test_placement_with_ports_is_within_a_tenth_of_the_optimum(seed):
    rng = np.random.default_rng(seed)
    width, height = [(3, 3), (8, 1), (2, 4)][seed % 3]
    positions = list(product(range(width), range(height)))
    shuffled_order = rng.permutation(len(positions))
    ports = [positions[n] for n in shuffled_order[: 1 + seed % 2]]
    unavailable = [positions[n] for n in shuffled_order[-2:]]
    chip = full_chip(
        mesh=(width, height),
        tile=None,
        chip=None,
        input_ports=ports,
        unavailable=unavailable,
    )
    cores = 5
    traffic = random_traffic(cores, 0.6, seed)
    input_spikes = rng.random(cores) * 2
    hops_of_input = np.array(
        [min(abs(x - i) + abs(y - j) for i, j in ports) for x, y in positions]
    )
    places = np.array(positions)
    apart = np.abs(places[:, None] - places[None]).sum(axis=2)
    available = [
        n for n, position in enumerate(positions) if position not in unavailable
    ]
    choices = np.array(list(permutations(available, cores)))
    elements = traffic.tocoo()
    costs = hops_of_input[choices] @ input_spikes
    for a, b, spikes in zip(elements.row, elements.col, elements.data):
        costs = costs + spikes * apart[choices[:, a], choices[:, b]]
    found_places = place(traffic, chip, seed, input_spikes=input_spikes, hops=True)
    assert not {tuple(position) for position in found_places.tolist()} & set(
        unavailable
    )
    number = found_places @ [height, 1]
    cost = hops_of_input[number] @ input_spikes
    cost += sum(
        n * apart[number[a], number[b]]
        for a, b, n in zip(elements.row, elements.col, elements.data)
    )
    assert np.min(costs) - 1e-9 <= cost <= 1.1 * np.min(costs) + 1e-9


@pytest.mark.parametrize("port", [(0, 0), (63, 0), (20, 63), (63, 63)])
def test_cores_are_near_the_port_wherever_it_is(port):
    chip = full_chip(mesh=(64, 64), tile=None, chip=None, input_ports=[port])
    found_places = place(random_traffic(9, 0.5, 0), chip, input_spikes=np.ones(9))
    assert np.abs(found_places - port).max() <= 4
    alone = place(csr_matrix((1, 1)), chip, input_spikes=np.ones(1))
    assert alone.tolist() == [list(port)]


def test_cores_that_only_read_the_input_are_nearest_to_the_port_by_their_spikes():
    chip = full_chip(mesh=(8, 8), tile=None, chip=None, input_ports=[(7, 7)])
    input_spikes = np.arange(20.0)
    found_places = place(
        csr_matrix((20, 20)), chip, input_spikes=input_spikes, hops=True
    )
    hops = np.abs(found_places - (7, 7)).sum(axis=1)
    everywhere = sorted(7 - x + 7 - y for x, y in EVERYWHERE)
    fewest = np.sort(input_spikes)[::-1] @ everywhere[:20]
    assert input_spikes @ hops == pytest.approx(fewest)
    silent = place(csr_matrix((20, 20)), chip, input_spikes=np.zeros(20))
    assert len(np.unique(silent, axis=0)) == 20


def test_unavailable_cores_are_left_free_on_several_chips():
    lost = [(x, y) for x in range(3) for y in range(2)][:4]
    chip = full_chip(mesh=(12, 6), tile=None, chip=(3, 2), unavailable=lost)
    found_places = place(random_traffic(6, 1.0, 0), chip)
    assert len(np.unique(chip.chip_of(found_places), axis=0)) == 1
    assert not {tuple(position) for position in found_places.tolist()} & set(lost)
    everything = place(random_traffic(68, 0.1, 0), chip)
    assert len(np.unique(everything, axis=0)) == 68
    assert not {tuple(position) for position in everything.tolist()} & set(lost)


def random_chip(rng):
    """A chip of random tiles, chips, ports, unavailable cores and routing."""
    tile = [None, (2, 2), (4, 1)][rng.integers(3)]
    chip = [None, (4, 4), (8, 4)][rng.integers(3)]
    positions = list(product(range(8), range(8)))
    shuffled_positions = [positions[n] for n in rng.permutation(64)]
    times = {
        **[TIME, SHORT][rng.integers(2)],
        "link_spike": float(rng.choice([0.1, 10.0, 900.0])),
    }
    if rng.random() < 0.5:
        times["routing"] = "multicast"
    keys = {
        "tile": tile,
        "chip": chip,
        "input_ports": [EDGES_OF_MESH, shuffled_positions[: int(rng.integers(1, 4))]][
            rng.integers(2)
        ],
        "unavailable": shuffled_positions[-int(rng.integers(1, 40)) :],
        "time_ns": times,
    }
    if chip is not None and rng.random() < 0.5:
        keys["energy_pj"] = {**ENERGY, "between_chips": 50.0}
    return full_chip(**keys)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_random_networks_on_random_chips_cost_what_their_synapses_cost(tmp_path, seed):
    rng = np.random.default_rng(seed)
    sizes = tuple(rng.integers(1, 12, 3).tolist())
    graph, synapses = random_graph(tmp_path / "graph.h5", seed, sizes=(8, *sizes))
    edges = with_names(graph, synapses)
    chip = random_chip(rng)
    with graph:
        network = MappableNetwork.of(graph)
        cores = int(rng.integers(1, min(network.neurons, chip.cores) + 1))
        core, _ = random_mapping(network, rng, cores, chip.mesh)
        sums = count_traffic(network, core, cores)
        input_spikes = sums.input_spikes(network.spikes)
        positions = place(sums.matrix, chip, seed, input_spikes=input_spikes)
        assert not {*map(tuple, positions.tolist())} & {*chip.unavailable}
        assert_equal_figures(
            cost(sums, chip, positions), Expected(graph, edges, core, chip, positions)
        )


def test_a_network_that_needs_an_unavailable_core_is_refused_before_the_search(case):
    _, _, network = case
    limit = -(-network.neurons // 4)
    enough = hardware(neurons=limit, mesh=(2, 2))
    assert map_network(network, enough, method="sequential").cost.cores.cores == 4
    chip = enough.model_copy(update={"unavailable": ((1, 0),)})
    with pytest.raises(
        InputError,
        match=r"chip: has 3 available cores \(of 4\), but the network requires at least 4",
    ):
        map_network(network, chip)


def test_the_sequential_baseline_fills_the_cores_that_there_are(case):
    _, _, network = case
    chip = hardware(neurons=-(-network.neurons // 3), mesh=(2, 2))
    chip = chip.model_copy(update={"unavailable": ((0, 0),)})
    mapping = map_network(network, chip, method="sequential")
    assert mapping.partition.sequential.cores == 3
    assert sorted(mapping.place.tolist()) == [[0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"input_ports": [[8, 0]]}, "input_ports: [8, 0] is not on the mesh of 8 × 8"),
        ({"input_ports": [[0, 0], [0, 0]]}, "input_ports: a position is listed twice"),
        ({"unavailable": EVERYWHERE}, "unavailable: no core is left"),
        (
            {"time_ns": {**TIME, "routing": "multicast"}},
            "routing has no effect without link_spike",
        ),
    ],
)
def test_a_description_that_states_no_such_chip_is_refused(changes, fault):
    with pytest.raises(ValidationError, match=re.escape(fault)):
        full_chip(**changes)


def test_ports_need_a_source(tmp_path):
    path = tmp_path / "chip.yaml"
    description = full_chip(input_ports=[[0, 0]]).model_dump(mode="json")
    del description["sources"]["input_ports"]
    path.write_text(yaml.safe_dump(description))
    with pytest.raises(
        InputError, match="input_ports: no source, name it under sources"
    ):
        read_hardware(str(path))


def test_a_list_adds_to_the_unavailable_cores_of_the_description(tmp_path):
    path = tmp_path / "failed.txt"
    path.write_text("3 4\n0 0\n")
    chip = without_cores(full_chip(unavailable=[(0, 0), (7, 7)]), path)
    assert chip.unavailable == ((0, 0), (7, 7), (3, 4))
    assert chip.cores == 61


@pytest.mark.parametrize(
    ("chip", "content", "fault"),
    [
        (full_chip(), "1 1\n3 8\n", "line 2: 3 8 is not one of the 8 × 8 cores"),
        (full_chip(), "1 1\n3\n", "line 2, '3', is not 2 whole numbers from 0"),
        (
            full_chip(mesh=(1, 1), tile=None, chip=None),
            "0 0\n",
            "no core of chip is left",
        ),
        (
            read_hardware("speck2f"),
            "9\n",
            "line 1: 9 is not one of the 9 cores of speck2f",
        ),
    ],
)
def test_a_wrong_list_of_unavailable_cores_is_refused(tmp_path, chip, content, fault):
    path = tmp_path / "failed.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(fault)):
        without_cores(chip, path)


def test_a_placement_on_an_unavailable_core_is_refused(tmp_path):
    path = tmp_path / "places.txt"
    path.write_text("0 0\n5 1\n")
    with pytest.raises(
        InputError, match="line 2: the core at 5 1 of chip is unavailable"
    ):
        read_placement(path, 2, full_chip(unavailable=[(5, 1)]))
