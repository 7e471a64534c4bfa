"""Graphs that are imported: refused files, and costs of mappings to compare with those of the graph exported."""

import json
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from snnb.core.errors import InputError
from snnb.formats.import_graph import import_graph
from snnb.mapping.files import MappingCost
from snnb.mapping.map_network import cost_partition, map_network
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.placement import place
from snnb.mapping.traffic import MappableNetwork
from tests.mapping.networks import hardware

CHIP = hardware(neurons=12, axons=150, synapses=900, mesh=(8, 8), synapse_energy=2.0)
KNOWN = {}  # costs by the path of the graph's file


def costs_of(graph, partition):
    """`cost.json` of the sequential mapping and of a partition, which is written to a file.

    Numbers have nine digits, since kernels and lists are summed in different orders.
    """
    if graph.path not in KNOWN:
        network = MappableNetwork.of(graph)
        partition.write_text(
            "".join(f"{core % 7}\n" for core in range(network.neurons))
        )
        with patch(
            "snnb.mapping.map_network.place",
            partial(place, settings=SearchSettings(swaps_per_core=100)),
        ):
            mapped_mapping = map_network(network, CHIP, method="sequential")
            again = cost_partition(network, CHIP, partition, allow_overfull=True)
        texts = [
            MappingCost.of(mapping).model_dump_json()
            for mapping in (mapped_mapping, again)
        ]
        rounded_documents = [
            json.loads(text, parse_float=lambda number: float(f"{float(number):.9g}"))
            for text in texts
        ]
        KNOWN[graph.path] = rounded_documents
    return KNOWN[graph.path]


def assert_refused(path, message, *, error=InputError, **options):
    """Import a file that is refused in one line with the path of what is wrong; the folder stays as it was."""
    there_paths = sorted(path.parent.iterdir())
    with pytest.raises(error) as error_info:
        import_graph(path, path.parent / "in_graph.h5", **options)
    rates = options.get("rates", path)
    assert message in str(error_info.value)
    assert str((rates if isinstance(rates, Path) else rates[0]).parent) in str(
        error_info.value
    )
    assert "\n" not in str(error_info.value)
    assert sorted(path.parent.iterdir()) == there_paths


def import_anew(path, folder, **options):
    """Import a graph, and return it and the notes."""
    folder.mkdir(exist_ok=True)
    found_graph = import_graph(path, folder / "imported_graph.h5", **options)
    return found_graph.graph, found_graph.notes
