"""Networks of SONATA: read after an export, from bmtk's builder, written by hand, refused."""

import json

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError, UsageError
from snnb.mapping.map_network import map_network
from snnb.mapping.traffic import MappableNetwork
from tests.cli.test_file_budget import measure_resources
from tests.formats.mapped import CHIP, assert_refused, costs_of, import_anew
from tests.graph.edges import all_edges


def built_by_bmtk(folder):
    """A recurrent network of two populations and virtual inputs, edges with a weight of their own or of their type."""
    from bmtk.builder import NetworkBuilder

    rng = np.random.default_rng(3)
    v1, lgn = NetworkBuilder("v1"), NetworkBuilder("lgn")
    model = {
        "model_type": "point_process",
        "model_template": "nest:iaf_psc_delta",
        "dynamics_params": "cell.json",
    }
    v1.add_nodes(N=40, pop_name="exc", **model)
    v1.add_nodes(N=10, pop_name="inh", **model)
    lgn.add_nodes(N=20, pop_name="on", model_type="virtual")
    synapse = {"model_template": "static_synapse", "dynamics_params": "synapse.json"}
    several = {
        "connection_rule": lambda source, target: int(rng.integers(4)),
        "syn_weight": 0.5,
        "delay": 2.0,
    }
    v1.add_edges(source={"pop_name": "exc"}, **several, **synapse)
    some = {
        "connection_rule": lambda source, target: int(rng.random() < 0.3),
        "delay": 1.0,
    }
    own = v1.add_edges(
        source={"pop_name": "inh"}, target={"pop_name": "exc"}, **some, **synapse
    )
    own.add_properties(
        "syn_weight", rule=lambda source, target: -rng.random(), dtypes=float
    )
    lgn.add_edges(
        source=lgn.nodes(), target=v1.nodes(), syn_weight=3.0, **some, **synapse
    )
    for network in (v1, lgn):
        network.build()
        network.save(output_dir=str(folder))
    return folder


def read_by_bmtk(folder, first):
    """Weights by source and target, which count from the first id of their population."""
    from bmtk.utils.sonata import File

    weights = {}
    for name in ("v1_v1", "lgn_v1"):
        types = [str(folder / f"{name}_edge_types.csv")]
        (edges,) = File([str(folder / f"{name}_edges.h5")], types).edges.populations
        for edge in edges:
            ends = (
                int(edge.source_node_id) + first[edges.source_population],
                int(edge.target_node_id) + first["v1"],
            )
            assert ends not in weights
            synapses = edge["nsyns"] if "nsyns" in edge else 1  # noqa: SIM401 - no dict
            weights[ends] = edge["syn_weight"] * synapses
    return weights


def test_a_network_of_bmtk(tmp_path):
    folder = built_by_bmtk(tmp_path / "net")
    spikes = np.random.default_rng(4).integers(0, 9, 70)
    with h5py.File(tmp_path / "spikes.h5", "w") as file:
        for name, part in (("lgn", spikes[:20]), ("v1", spikes[20:])):
            ids = np.random.default_rng(5).permutation(
                np.repeat(np.arange(part.size), part)
            )
            file[f"spikes/{name}/node_ids"], file[f"spikes/{name}/timestamps"] = (
                ids,
                np.linspace(0, 9, ids.size),
            )
    found, notes = import_anew(
        folder, tmp_path, rates=tmp_path / "spikes.h5", steps=100
    )
    expected = read_by_bmtk(folder, {"lgn": 0, "v1": 20})
    with found:
        source, target, weight, _ = all_edges(found)
        assert set(zip(source, target)) == set(expected)
        np.testing.assert_allclose(
            weight, [expected[ends] for ends in zip(source, target)], rtol=1e-6
        )
        assert [(p.name, p.size) for p in found.populations] == [
            ("on", 20),
            ("exc", 40),
            ("inh", 10),
        ]
        np.testing.assert_array_equal(
            np.concatenate([p.spike_count for p in found.populations]), spikes
        )
        assert len(found.inputs) == 1
        mapped, _ = costs_of(found, tmp_path / "partition")
        core = np.concatenate(
            [
                np.full(20, -1),
                map_network(MappableNetwork.of(found), CHIP, method="sequential").core,
            ]
        )
    reached = {(s, core[t]) for s, t in expected if core[s] != core[t]}
    traffic = mapped["traffic"]
    assert traffic["connectivity"] == sum(spikes[s] for s, _ in reached if s >= 20) > 0
    assert traffic["outside_spikes"] == sum(spikes[s] for s, _ in reached if s < 20) > 0
    assert notes == ("delays are not read",)


def small(folder, edit=None):
    """A circuit of one file with two inputs and three cells; `edit` changes the open file, or is the table of types."""
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / "edges.h5", "w") as file:
        for name, size, kind in (("cells", 3, 7), ("from", 2, 8)):
            file[f"nodes/{name}/node_type_id"] = np.full(size, kind)
            file[f"nodes/{name}/node_id"] = np.arange(size)
        for name, ends in (
            ("a", ([0, 1, 1], [2, 0, 0])),
            ("b", ([2, 2, 0], [2, 0, 1])),
        ):
            group = file.create_group(f"edges/{name}")
            for end, population, ids in zip(
                ("source", "target"),
                ("from" if name == "a" else "cells", "cells"),
                ends,
            ):
                group[f"{end}_node_id"] = np.array(ids, np.uint64)
                group[f"{end}_node_id"].attrs["node_population"] = np.bytes_(population)
            group["edge_type_id"] = [1, 2, 2] if name == "a" else [2, 2, 1]
            group["edge_group_id"] = [0, 1, 0]
            group["edge_group_index"] = [1, 0, 0]
            group["0/syn_weight"] = [0.25, 0.5]
            group.create_group("1")
        if callable(edit):
            edit(file)
    types = (
        "edge_type_id syn_weight delay\n1 NULL NULL\n2 -2 1.0\n"
        if edit is None or callable(edit)
        else edit
    )
    (folder / "edge_types.csv").write_text(types)
    (folder / "node_types.csv").write_text(
        "node_type_id model_type pop_name\n8 virtual NULL\n7 point x\n"
    )
    return folder


def test_a_network_by_hand(tmp_path):
    """Weights of edge groups, out of order, and of types; parallel edges; a folder, a file and a configuration."""
    folder = small(tmp_path / "net")
    (tmp_path / "circuit").mkdir()
    content = {
        "manifest": {"$BASE": "${configdir}/..", "$NET": "$BASE/net"},
        "networks": {
            "nodes": [
                {
                    "nodes_file": "$NET/edges.h5",
                    "node_types_file": "$NET/node_types.csv",
                }
            ],
            "edges": [
                {
                    "edges_file": "$NET/edges.h5",
                    "edge_types_file": "$NET/edge_types.csv",
                }
            ],
        },
    }
    (tmp_path / "circuit/circuit_config.json").write_text(json.dumps(content))
    (tmp_path / "circuit/simulation_config.json").write_text(
        json.dumps({"network": "./circuit_config.json"})
    )
    paths = (
        folder,
        folder / "edges.h5",
        tmp_path / "circuit",
        tmp_path / "circuit/simulation_config.json",
    )
    for path in paths:
        found, notes = import_anew(path, tmp_path)
        with found:
            assert [(p.name, p.size) for p in found.populations] == [
                ("from", 2),
                ("x", 3),
            ]
            columns = [column.tolist() for column in all_edges(found)[:3]]
            assert columns == [
                [0, 1, 2, 4, 4],
                [4, 2, 3, 2, 4],
                [0.5, -1.75, 0.25, -2, 0.5],
            ]
            assert found.attributes["assumed_spikes"] == 1
        assert notes == ("delays are not read", MERGED)


@pytest.mark.parametrize("library", [False, True])
def test_nodes_with_models_of_their_own_rows_of_a_group_in_any_order_and_no_nodes(
    library, tmp_path
):
    def edit(file):
        file["nodes/from/node_type_id"][...] = (
            9  # of which the table of types has no model
        )
        texts = np.array([b"biophysical", b"virtual"])
        file["nodes/from/0/model_type"] = np.ones(2, int) if library else texts[[1, 1]]
        if library:
            file["nodes/from/0/@library/model_type"] = texts
        file["nodes/cells/node_group_index"] = [2, 0, 1]
        file["nodes/cells/0/spike_count"], file["nodes/cells/0/bias"] = (
            [5, 6, 7],
            [0.5, 0.25, 0],
        )
        file["nodes/nobody/node_type_id"] = np.empty(0, int)

    found, _ = import_anew(small(tmp_path / "net", edit), tmp_path)
    with found:
        assert [(p.name, p.size) for p in found.populations] == [("from", 2), ("x", 3)]
        assert [p.name for p in found.inputs] == ["from"]
        assert found.layers[0].spike_count.tolist() == [7, 5, 6]
        assert found.layers[0].bias.tolist() == [0, 0.5, 0.25]


def test_node_ids_in_another_order_and_edges_without_weights(tmp_path):
    def edit(file):
        file["nodes/cells/node_id"][...] = [2, 0, 1]
        file["nodes/cells/0/spike_count"] = [5, 6, 7]
        file["nodes/alone/node_type_id"] = [9]
        for name in "ab":
            del (
                file[f"edges/{name}/0/syn_weight"],
                file[f"edges/{name}/edge_group_index"],
            )

    folder = small(tmp_path / "net", edit)
    found, notes = import_anew(folder, tmp_path)
    with found:
        assert [p.spike_count.tolist() for p in found.populations] == [
            [0, 0],
            [0],
            [6, 7, 5],
        ]
        assert all_edges(found)[2].tolist() == [1, -4, 1, -2, -2]
    unknown = "spike_count is of an unknown number of samples and steps: give --rate-samples and --rate-steps"
    assert notes == ("delays are not read", unknown, MERGED)
    (folder / "edge_types.csv").unlink()
    found, notes = import_anew(folder, tmp_path)
    with found:
        assert all_edges(found)[2].tolist() == [1, 2, 1, 1, 1]
    assert notes == (
        unknown,
        *(
            f"the edges {name} have no syn_weight, so each has the weight 1"
            for name in "ab"
        ),
        MERGED,
    )


def replaced(name, values, population=None):
    """Replace a dataset, and the population that it counts in."""

    def edit(file):
        kept = dict(file[name].attrs)
        del file[name]
        if values is not None:
            file[name] = values
            file[name].attrs.update(
                kept if population is None else {"node_population": population}
            )

    return edit


def with_datasets(datasets):
    """Add datasets, by name, to the open file of a circuit."""

    def edit(file):
        for name, values in datasets.items():
            file[name] = values

    return edit


BAD = {
    "no nodes": (
        replaced("nodes", None),
        "has no populations of nodes; put the file of nodes next to that of edges",
    ),
    "id": (
        replaced("edges/b/target_node_id", [2, 0, 3]),
        "edges b: node 3 of 3, from 0",
    ),
    "negative": (
        replaced("edges/b/source_node_id", [2, 0, -1]),
        "edges b: node -1 of 3, from 0",
    ),
    "input": (
        replaced("edges/b/target_node_id", [0, 0, 1], "from"),
        "inputs have no incoming edges",
    ),
    "other": (
        replaced("edges/a/source_node_id", [0, 1, 1], "x"),
        "is of nodes 'x', not of from",
    ),
    "sizes": (
        replaced("edges/a/source_node_id", [0, 1]),
        "edges a: 2 sources and 3 targets",
    ),
    "column": (replaced("edges/a/target_node_id", None), "damaged"),
    "group of each edge": (
        replaced("edges/a/edge_group_id", [0, 1]),
        "edges a: 3 sources and 2 of edge_group_id",
    ),
    "index of each edge": (
        replaced("edges/a/edge_group_index", [1, 0]),
        "edges a: 3 sources and 2 of edge_group_index",
    ),
    "type of each edge": (
        replaced("edges/a/edge_type_id", [1, 2]),
        "edges a: 3 sources and 2 of edge_type_id",
    ),
    "index": (
        replaced("edges/a/edge_group_index", [9, 0, 0]),
        "edge_group_index 9 of /edges/a/0/syn_weight, which has 2",
    ),
    "negative index": (
        replaced("edges/a/edge_group_index", [-1, 0, 0]),
        "edge_group_index -1 of /edges/a/0/syn_weight, which has 2",
    ),
    "infinite": (replaced("edges/a/0/syn_weight", [np.inf, 1]), "has the weight inf"),
    "node ids": (
        replaced("nodes/cells/node_id", [0, 1, 3]),
        "nodes cells: node_id is not 0 to 2, each once",
    ),
    "node id for each": (
        replaced("nodes/cells/node_id", [0, 1]),
        "nodes cells: node_id is not 0 to 2, each once",
    ),
    "node index": (
        with_datasets(
            {
                "nodes/cells/node_group_index": [0, 1, 3],
                "nodes/cells/0/spike_count": [5, 6, 7],
            }
        ),
        "nodes cells: node_group_index is not 0 to 2",
    ),
    "negative node index": (
        with_datasets(
            {
                "nodes/cells/node_group_index": [0, 1, -1],
                "nodes/cells/0/spike_count": [5, 6, 7],
            }
        ),
        "nodes cells: node_group_index is not 0 to 2",
    ),
    "node index for each": (
        with_datasets(
            {
                "nodes/cells/node_group_index": [0, 1],
                "nodes/cells/0/spike_count": [5, 6, 7],
            }
        ),
        "nodes cells: node_group_index is not 0 to 2",
    ),
    "model in the library": (
        with_datasets(
            {
                "nodes/cells/0/model_type": [0, 0, 1],
                "nodes/cells/0/@library/model_type": np.array([b"point"]),
            }
        ),
        "model_type 1 of @library/model_type, which has 1 values",
    ),
    "virtual": (
        replaced("nodes/cells/node_type_id", [7, 8, 7]),
        "nodes cells are both virtual and not virtual",
    ),
    "name": (
        lambda file: file.create_dataset(f"nodes/{'n' * 201}/node_type_id", data=[7]),
        "1 to 200 printable",
    ),
    "weight": (
        "edge_type_id syn_weight\n1 big\n",
        "syn_weight in the table of edge types is not a number",
    ),
    "type": (
        "edge_type_id syn_weight\nx 1\n",
        "edge_types.csv: line 2: has no whole number as edge_type_id",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_networks(tmp_path, case):
    edit, message = BAD[case]
    folder = small(tmp_path / "net", edit)
    assert_refused(folder / "edges.h5", message)


MERGED = "6 edges are 5 synapses: the weights of parallel edges are summed"
NAMED = {
    "from/node_ids": [1, 1],
    "cells/node_ids": [0, 2, 2],
}  # as in the example 9_cells of SONATA
OLDER = {
    "gids": [1, 0, 1],
    "timestamps": [1.0, 2.0, 3.0],
}  # as in 300_intfire and 300_pointneurons
PLAIN = {"node_ids": [1, 1], "timestamps": [1.0, 2.0]}
# Columns of a report, the population that is given, and spikes by id, or the fault
REPORTS = {
    "sonata": (NAMED, None, [0, 2, 1, 0, 2]),
    "one of two": (NAMED, "cells", [0, 0, 1, 0, 2]),
    "older, inputs": (OLDER, "from", [1, 2, 0, 0, 0]),
    "older, cells": (OLDER, "cells", [0, 0, 1, 2, 0]),
    "plain": (PLAIN, "cells", [0, 0, 0, 2, 0]),
    "part": ({"cells/node_ids": [1]}, None, [0, 0, 0, 1, 0]),
    "none": ({"cells/node_ids": []}, None, [0, 0, 0, 0, 0]),
    "older, unknown": (
        OLDER,
        None,
        "names no population of its spikes, and the graph has from, cells; give --rates s",
    ),
    "both": (
        {**PLAIN, "cells/node_ids": [1]},
        "cells",
        "has spikes of cells, and spikes of no named population",
    ),
    "no such": (
        OLDER,
        "x",
        "spikes.h5:x: no such population; the graph has from, cells",
    ),
    "not in it": (
        {"cells/node_ids": [1]},
        "from",
        "has no spikes of from; it has spikes of cells",
    ),
    "empty": (
        {"timestamps": [1.0]},
        "cells",
        "has no spikes: neither /spikes/POPULATION/node_ids nor /spikes/gids",
    ),
    "id": (
        {"cells/node_ids": [3]},
        None,
        "has a spike of node 3 of cells, which has 3, from 0",
    ),
    "negative": ({"gids": [0, -1]}, "cells", "has a spike of node -1 of cells"),
    "large": (
        {"gids": np.array([2**64 - 1], np.uint64)},
        "cells",
        "has a spike of node 18,446,744,073,709,551,615 of",
    ),
    "fraction": (
        {"gids": [0.5]},
        "cells",
        "the ids of the spikes of cells are of type float64, not integers",
    ),
    "name": (
        {"x/node_ids": [1]},
        None,
        "has spikes of 'x', and the populations are from, cells",
    ),
    "column": ({"cells/times": [1]}, None, "has no /spikes/cells/node_ids"),
}


def report(path, columns):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[f"spikes/{name}"] = values
    return path


def test_the_name_of_a_report_is_quoted_in_the_advice(tmp_path):
    path = report(tmp_path / "all spikes.h5", OLDER)
    with pytest.raises(InputError, match=r"give --rates 'all spikes\.h5':POPULATION$"):
        import_anew(small(tmp_path / "net"), tmp_path, rates=path)


@pytest.mark.parametrize("case", REPORTS)
def test_reports_of_spikes(tmp_path, case):
    columns, population, expected = REPORTS[case]
    path = report(tmp_path / "spikes.h5", columns)
    given = path if population is None else path.with_name(f"spikes.h5:{population}")
    if isinstance(expected, str):
        with pytest.raises(InputError, match=r"spikes\.h5:") as error:
            import_anew(small(tmp_path / "net"), tmp_path, rates=given)
        assert expected in str(error.value)
        return
    found, notes = import_anew(small(tmp_path / "net"), tmp_path, rates=given)
    with found:
        assert (
            np.concatenate([p.spike_count for p in found.populations]).tolist()
            == expected
        )
    silent = [
        name
        for name, part in (("from", expected[:2]), ("cells", expected[2:]))
        if not any(part)
    ]
    expected_notes = [f"no spike counts for {', '.join(silent)}"] if silent else []
    assert [
        note for note in notes if note.startswith("no spike counts")
    ] == expected_notes
    assert any("give --rate-steps" in note for note in notes)


def test_reports_of_each_layout_are_added_up_each_for_its_population(tmp_path):
    folder, given = small(tmp_path / "net"), []
    for name, columns, population in (
        ("old", OLDER, "from"),
        ("new", PLAIN, "cells"),
        ("named", NAMED, None),
    ):
        path = report(tmp_path / f"{name}.h5", columns)
        given.append(
            path if population is None else path.with_name(f"{path.name}:{population}")
        )
    found, notes = import_anew(folder, tmp_path, rates=given, steps=100)
    with found:
        # [1, 2] of gids, [0, 2, 0] of node_ids, and [0, 2] and [1, 0, 2] by name
        assert [p.spike_count.tolist() for p in found.populations] == [
            [1, 4],
            [1, 2, 2],
        ]
        assert found.recording.num_timesteps == 100
    assert notes == ("delays are not read", MERGED)
    twice = [given[0], given[1], tmp_path / "new.h5:cells"]
    assert_refused(
        folder / "edges.h5", "new.h5: given twice", rates=twice, error=UsageError
    )


def test_a_report_without_names_is_that_of_the_only_population(tmp_path):
    def edit(file):
        del file["nodes/from"], file["edges/a"]

    found, notes = import_anew(
        small(tmp_path / "net", edit),
        tmp_path,
        rates=report(tmp_path / "r.h5", OLDER),
        steps=9,
    )
    with found:
        assert [(p.name, p.spike_count.tolist()) for p in found.populations] == [
            ("x", [1, 2, 0])
        ]
    assert notes == ("delays are not read",)


NODE_ARRAYS = ("node_type_id", "node_id")
EDGE_ARRAYS = (
    "source_node_id",
    "target_node_id",
    "edge_type_id",
    "edge_group_id",
    "edge_group_index",
    "0/syn_weight",
)
DAMAGES = {
    "group": lambda file, name, shape: file.create_group(name),
    "text": lambda file, name, shape: file.create_dataset(
        name, data=np.full(shape, b"x")
    ),
    "large": lambda file, name, shape: file.create_dataset(
        name, data=np.full(shape, 1e300)
    ),
    "NaN": lambda file, name, shape: file.create_dataset(
        name, data=np.full(shape, np.nan)
    ),
    "too many": lambda file, name, shape: file.create_dataset(
        name, (300_000_000,), "i1", chunks=(1 << 20,)
    ),
    "two axes": lambda file, name, shape: file.create_dataset(name, data=[[1, 1]] * 2),
}


def damaged_names():
    """Return the names of all arrays of `small` with each damage."""
    names = [f"nodes/{one}/{kind}" for one in ("cells", "from") for kind in NODE_ARRAYS]
    names += [f"edges/{one}/{kind}" for one in "ab" for kind in EDGE_ARRAYS]
    return [
        (name, damage)
        for name in names
        for damage in DAMAGES
        # Values that no edge refers to may follow
        if (name[-10:], damage) != ("syn_weight", "too many")
    ]


@pytest.mark.parametrize(("name", "damage"), damaged_names())
def test_a_wrong_array_is_refused_with_the_name_of_its_file(tmp_path, name, damage):
    def edit(file):
        shape, kept = file[name].shape, dict(file[name].attrs)
        del file[name]
        DAMAGES[damage](file, name, shape)
        file[name].attrs.update(kept)

    folder = small(tmp_path / "net", edit)
    with measure_resources():
        assert_refused(folder / "edges.h5", "edges.h5")
