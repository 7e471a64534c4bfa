"""What SANA-FE reads from its file: neurons, synapses, weights, biases (tests/crosscheck runs it)."""

import numpy as np
import pytest
import yaml

from snnb.errors import ResourceError
from snnb.synapses.export.write import export
from tests.crosscheck.sanafe_file import load


def test_neurons_edges_weights_and_biases(graph, tmp_path):
    """Each number is the graph's in float64, the mean for poolings; a network without skips has no relays."""
    export(graph, "sanafe", tmp_path / "net", origin={"stamp": "s", "sha256": "0"})
    _, network = load(tmp_path / "net", tmp_path)
    groups = [list(network.groups[str(k)].neurons) for k in range(len(network.groups))]
    assert [len(group) for group in groups] == [population.size for population in graph.populations]
    mean, seen = graph.with_pool_weight("mean"), 0
    number = {population.name: k for k, population in enumerate(graph.populations)}
    for projection in mean.projections:
        found = np.zeros((projection.source.size, projection.target.size))
        for i, neuron in enumerate(groups[number[projection.source.name]]):
            for edge in neuron.edges_out:
                if int(edge.post_neuron.group_name) == number[projection.target.name]:
                    found[i, edge.post_neuron.neuron_offset] = edge.synapse_attributes["weight"]
                    seen += 1
        assert (found == projection.to_scipy().toarray().astype(float)).all()
    assert seen == graph.number_of_edges() == sum(s.edges for s in graph.summary())
    network.save(str(tmp_path / "back.yaml"))
    saved = yaml.safe_load((tmp_path / "back.yaml").read_text())
    for population, group in zip(graph.populations[1:], saved["network"]["groups"][1:]):
        stated = np.zeros(population.size)
        for entry in group["neurons"]:
            for ids, attributes in entry.items():
                first, _, last = str(ids).partition("..")
                stated[int(first) : int(last or first) + 1] = attributes.get("bias", 0)
        np.testing.assert_array_equal(stated, population.bias.ravel().astype(float))


def test_too_many_edges_are_one_line(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.synapses.export.sanafe.LIMIT", 100)
    with pytest.raises(ResourceError, match=r"edges are more than SANA-FE holds .*take a smaller network"):
        export(graph, "sanafe", tmp_path / "net")
    assert not list(tmp_path.iterdir())
