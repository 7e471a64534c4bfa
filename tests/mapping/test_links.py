"""`links.csv` against the routes of every spike."""

import csv

import numpy as np
import pytest

from snnb.mapping.links import multicast_loads, write_links
from snnb.mapping.routes import find_routes
from snnb.mapping.traffic import count_traffic
from tests.mapping.brute_force import Expected
from tests.mapping.networks import hardware
from tests.mapping.test_cost import random_mapping
from tests.mapping.test_events import ENERGY, full_chip

CHIPS = {
    "one chip": hardware(mesh=(6, 5)),
    "several chips": full_chip(
        tile=None, chip=[2, 4], energy_pj={**ENERGY, "between_chips": 50.0}
    ),
    "tiles": full_chip(chip=None),
    "ports": full_chip(chip=None, tile=None, input_ports=[(0, 7), (7, 7)]),
}


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_links_carry_the_spikes_of_all_routes(case, chip, tmp_path):
    graph, edges, network = case
    core, place = random_mapping(network, np.random.default_rng(4), 9, (6, 5))
    place += (
        np.array([2, 3], np.int32) if chip.mesh == (8, 8) else np.zeros(2, np.int32)
    )
    expected_figures = Expected(graph, edges, core, chip, place)
    sums = count_traffic(network, core, 9)
    routes = find_routes(sums.matrix, sums.input_spikes(network.spikes), chip, place)
    multicast_routes = multicast_loads(sums, network.spikes, chip, place, routes.area)
    write_links(tmp_path / "links.csv", routes, multicast_routes)
    with (tmp_path / "links.csv").open() as file:
        rows = list(csv.DictReader(file))
    links = [
        tuple(int(row[name]) for name in ("x", "y", "to_x", "to_y")) for row in rows
    ]
    assert links == sorted(set(links))
    found_loads = {
        (link[:2], link[2:]): (float(row["unicast"]), float(row["multicast"]))
        for link, row in zip(links, rows)
    }
    assert (
        found_loads.keys()
        == {link for link, load in expected_figures.loads.items() if load}
        != set()
    )
    for link, (unicast, multicast) in found_loads.items():
        assert unicast == pytest.approx(expected_figures.loads[link])
        assert multicast == pytest.approx(expected_figures.multicast_loads[link])
    if chip.input_ports:
        assert [float(row["input"]) for row in rows] == pytest.approx(
            [expected_figures.input_loads[link] for link in found_loads]
        )
    else:
        assert "input" not in rows[0]
    assert any(multicast < unicast for unicast, multicast in found_loads.values())
