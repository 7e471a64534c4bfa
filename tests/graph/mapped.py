"""The costs of a graph's mappings, to compare a graph with what an export and an import have made of it."""

import json
from unittest.mock import patch

from snnb.graph.imports.import_graph import import_graph
from snnb.mapping.hardware import EventFigures, Hardware, RouteFigures
from snnb.mapping.map_network import cost_partition, map_network
from snnb.mapping.mapping import MappingCost
from snnb.mapping.traffic import PlacedNetwork

CHIP = Hardware(
    name="chip",
    mesh=(8, 8),
    neurons_per_core=12,
    axons_per_core=150,
    synapses_per_core=900,
    energy_pj=EventFigures(router=1.7, link=3.5, synapse=2.0),
    latency_ns=RouteFigures(router=2.1, link=5.3),
    source="made up",
)


KNOWN = {}  # costs by the path of the graph's file


def costs_of(graph, partition):
    """`cost.json` of the sequential mapping and of a partition, which is written to a file.

    Numbers have nine digits, since kernels and lists are summed in different orders.
    """
    if graph.path not in KNOWN:
        KNOWN[graph.path] = _costs(graph, partition)
    return KNOWN[graph.path]


def _costs(graph, partition):
    network = PlacedNetwork.of(graph)
    partition.write_text("".join(f"{core % 7}\n" for core in range(network.neurons)))
    with patch("snnb.mapping.placement.TRIALS_A_CORE", 100):
        mapped = map_network(network, CHIP, method="sequential")
        again = cost_partition(network, CHIP, partition, allow_overfull=True)
    texts = [MappingCost.of(one).model_dump_json() for one in (mapped, again)]
    return [json.loads(text, parse_float=lambda number: float(f"{float(number):.9g}")) for text in texts]


def imported(path, folder, **options):
    """Import a graph, and return it and the notes."""
    folder.mkdir(exist_ok=True)
    found = import_graph(path, folder / "imported_graph.h5", **options)
    return found.graph, found.notes
