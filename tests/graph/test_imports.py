"""Graphs from outside: values beside networkx and numpy, refused files, round trips by the costs of a mapping."""

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.graph.imports.import_graph import import_graph
from tests.graph.edges import all_edges


def rates_file(path, content):
    path.write_text(content) if isinstance(content, str) else np.save(path, content)
    return path


def test_rates_replace_the_spikes_of_a_graph_file(graph, graph_path, tmp_path):
    nodes = graph.number_of_nodes()
    spikes = np.random.default_rng(1).integers(0, 50, nodes)
    for name, content, factor in (
        ("r.txt", "\n".join(map(str, spikes)), 1),
        ("r.npy", spikes / 4, 1 / 4),
        ("r.csv", "id,rate\n" + "".join(f"{k},{spikes[k] / 8}\n" for k in reversed(range(nodes))), 30 / 8),
    ):
        rates = rates_file(tmp_path / name, content)
        imported = import_graph(graph_path, tmp_path / "in_graph.h5", rates=rates, samples=3, steps=10)
        with imported.graph as found:
            assert imported.files == (graph_path, rates)
            got = np.concatenate([population.spike_count.ravel() for population in found.populations])
            np.testing.assert_allclose(got, spikes * factor)
            assert (found.recording.num_samples, found.recording.num_timesteps) == (3, 10)
            for column, expected in zip(all_edges(found)[:3], all_edges(graph)[:3]):
                np.testing.assert_array_equal(column, expected)


BAD_RATES = {
    "r.txt": {
        "1\n2\n": "has 2 numbers, and the graph has 168 neurons and inputs",
        "1\n-2\n": "line 2: -2 spikes; give finite numbers that are not negative",
        "1\ninf\n": "line 2: inf spikes",
        "1\n\nnan\n": "line 3: nan spikes",
        "1\nmany\n": "line 2: 'many' is not a number",
        "a,b\n": "line 1: name the columns: id",
        "id,spikes\n0,1\n0,2\n": "line 3: neuron 0 has a value before",
        "id,spikes\n0,1\n168,2\n": "line 3: the graph has no neuron '168'",
        "id,spikes\n0,1\n1\n": "line 3: has 1 fields, the header has 2",
        "id,spikes\n0,x\n": "line 2: 'x' is not a number",
        "id,spikes\n0,1\n2,1\n": "has no value of 166 of 168 neurons, the first is 1",
    },
    "r.npy": {(5,): "has 5 values", (168, -1.0): "neuron 0: -1.0 spikes", (168, np.inf): "neuron 0: inf spikes"},
    "r.mat": {"": "not a file of spikes that snnb reads; it reads npy, text or CSV"},
}


@pytest.mark.parametrize(("name", "content"), [(name, content) for name in BAD_RATES for content in BAD_RATES[name]])
def test_rates_that_are_refused(name, content, graph_path, tmp_path):
    rates = rates_file(tmp_path / name, np.full(content[0], content[-1]) if isinstance(content, tuple) else content)
    with pytest.raises(InputError) as error:
        import_graph(graph_path, tmp_path / "in_graph.h5", rates=rates)
    assert BAD_RATES[name][content] in str(error.value)
    assert str(rates) in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]
