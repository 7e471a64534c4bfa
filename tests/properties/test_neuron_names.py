"""Names, order of rows and order of columns of a graph do not change what a partition costs."""

import csv
import tempfile
from pathlib import Path

import networkx
import numpy as np
import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnb.formats.arrays import arrays_of, listed
from snnb.formats.import_graph import import_graph
from snnb.graph.listed import write_listed
from snnb.graph.populations import Recording
from snnb.mapping.map_network import cost_partition
from snnb.mapping.traffic import MappableNetwork
from tests.graph.edges import all_edges
from tests.mapping.networks import hardware

CHIP = hardware(mesh=(3, 1))
PLACES = "0 0\n2 0\n1 0\n"
X = [0, 2, 1]
KINDS = ["csv", "tsv", "csv.gz", "npz", "parquet", "networkx"]
few = settings(
    deadline=None,
    max_examples=12 if settings.default.derandomize else 300,
    suppress_health_check=[HealthCheck.too_slow],
)
NAMES = st.text("abc 019,;.\"'#%äΩ-", min_size=1, max_size=6).map(str.strip).filter(bool)


@st.composite
def networks(draw):
    """Edges by number of neuron, each neuron in at least one; spikes and core of each; names; order of rows."""
    neurons = draw(st.integers(2, 9))
    ends = st.integers(0, neurons - 1)
    edges = draw(st.lists(st.tuples(ends, ends), max_size=20)) + [(n, draw(ends)) for n in range(neurons)]
    labels = draw(
        st.one_of(
            st.lists(NAMES, min_size=neurons, max_size=neurons, unique=True),
            st.permutations([str(k) for k in range(neurons)]),  # ids
            st.permutations([str(k) for k in range(1, neurons + 1)]),
        )
    )
    return {
        "edges": draw(st.permutations([(s, t, draw(st.integers(1, 3))) for s, t in edges])),
        "spikes": draw(st.lists(st.integers(0, 9), min_size=neurons, max_size=neurons)),
        "core": draw(st.lists(st.integers(0, 2), min_size=neurons, max_size=neurons)),
        "names": labels,
        "columns": draw(st.permutations(["source", "target", "weight"])),
        "order": draw(st.permutations(range(neurons))),
    }


def expected_costs(edges, spikes, core, **_):
    """Spikes between cores, and their hops, by the definition."""
    reached = {(s, core[t]) for s, t, _ in edges if core[s] != core[t]}
    hops = sum(spikes[s] * abs(X[core[s]] - X[to]) for s, to in reached)
    return sum(spikes[s] for s, _ in reached), hops


def write_table(kind, path, edges, names, columns):
    rows = {"source": [names[s] for s, *_ in edges], "target": [names[t] for _, t, _ in edges]}
    rows["weight"] = [weight for *_, weight in edges]
    table = {name: rows[name] for name in columns}
    if kind == "npz":
        np.savez(path, **table)
    elif kind == "parquet":
        pandas.DataFrame(table).to_parquet(path)
    else:
        pandas.DataFrame(table).to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")


def write_values(path, names, values, order):
    """Write `name value` in any order: as CSV, whose header says so, or separated by tabs."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            rows = csv.writer(file)
            rows.writerow(["name", "spikes"])
            rows.writerows([names[n], values[n]] for n in order)
        else:
            file.writelines(f"{names[n]}\t{values[n]}\r\n" for n in order)


def graph_of(kind, folder, edges, names, spikes, columns, order, **_):
    if kind == "networkx":
        graph = networkx.MultiDiGraph()
        graph.add_nodes_from((names[n], {"spikes": spikes[n]}) for n in order)
        graph.add_weighted_edges_from((names[s], names[t], weight) for s, t, weight in edges)
        made, sha256 = listed(arrays_of(graph))
        return write_listed(made, folder / "in_graph.h5", Recording(1, 1, 0, 1.0), sha256)
    write_table(kind, folder / f"table.{kind}", edges, names, columns)
    rates = folder / ("rates.csv" if kind.startswith("csv") else "rates.txt")
    if ids_of(names) is None:
        write_values(rates, names, spikes, order)
    else:
        rates = folder / "rates.txt"
        rates.write_text("".join(f"{spikes[names.index(str(k))]}\n" for k in range(len(names))))
    return import_graph(folder / f"table.{kind}", folder / "in_graph.h5", rates=rates).graph


def ids_of(names):
    return [int(name) for name in names] if set(names) == {str(k) for k in range(len(names))} else None


@pytest.mark.parametrize("kind", KINDS)
@few
@given(networks())
def test_names_and_orders_do_not_change_a_cost(kind, network):
    names = network["names"]
    if "csv" in kind or kind == "tsv":  # a name that is a number there, 1, 01 or 1e2, is an id
        names = network["names"] = names if ids_of(names) else [f"n{name}" for name in names]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with graph_of(kind, folder, **network) as graph:
            ids = ids_of(names)
            partition, places = folder / "partition.txt", folder / "places.txt"
            places.write_text(PLACES)
            if ids is None:
                assert sorted(graph.names) == sorted(names)
                write_values(partition, names, network["core"], network["order"][::-1])
                ids = [graph.names.index(name) for name in names]
            else:
                assert graph.names is None
                partition.write_text("".join(f"{network['core'][ids.index(k)]}\n" for k in range(len(ids))))
            got = {(s, t): weight for s, t, weight in zip(*(column.tolist() for column in all_edges(graph)[:3]))}
            weights = {}
            for s, t, weight in network["edges"]:
                weights[ids[s], ids[t]] = weights.get((ids[s], ids[t]), 0) + weight
            assert got == weights
            cost = cost_partition(MappableNetwork.of(graph), CHIP, partition, places).cost
            assert (cost.connectivity, cost.hops_unicast) == expected_costs(**network)
