"""What SANA-FE reads from its file: neurons, synapses, weights, biases (tests/crosscheck runs it)."""

import json

import numpy as np
import pytest
import sanafe
import yaml

from snnb.core.errors import ResourceError
from snnb.graph.build import build_graph
from snnb.graph.export.write_export import export
from tests.crosscheck.sanafe_file import load
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras


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
    monkeypatch.setattr("snnb.graph.export.sanafe.LIMIT", 100)
    with pytest.raises(ResourceError, match=r"edges are more than SANA-FE holds .*take a smaller network"):
        export(graph, "sanafe", tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_more_neurons_than_a_core_holds(tmp_path):
    """SANA-FE ends with a segmentation fault where more than 1024 stand on one."""
    source = LAYERS.Input((30, 30, 2), name="input")
    out = LAYERS.Dense(2, name="out")(LAYERS.Flatten(name="flat")(LAYERS.Conv2D(2, 3, name="conv")(source)))
    model = keras.Model(source, out)
    with build_graph(save(model, tmp_path / "net_parsed.h5"), tmp_path / "net_graph.h5") as graph:
        export(graph, "sanafe", tmp_path / "net", origin={"stamp": "s", "sha256": "0"})
    architecture, network = load(tmp_path / "net", tmp_path)
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    chip.sim(2, timing_model="simple")
    lines = [line.split("@0.") for line in (tmp_path / "net").read_text().splitlines() if line.startswith("&")]
    assert np.bincount([int(core) for _, core in lines]).tolist() == [1024, 1024, 1024, 298]  # 1800 + 1568 + 2
    assert json.loads((tmp_path / "net.json").read_text())["sanafe"]["cores"] == 4
