"""The recorded networks, from which a Python without TensorFlow makes its graphs, are those that the tests build."""

import pytest

from snnb.network.read_network import read_network
from tests.graph.networks import counts_of, graph_of_model, set_random_weights
from tests.graph.recorded import FOLDER, Recorded, builders, keras


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(builders))
def test_a_recorded_network_is_the_one_that_is_built(name, tmp_path):
    keras.backend.clear_session()
    built, recorded_model = builders[name](), Recorded(FOLDER / f"{name}.h5")
    for model, folder in ((built, "built"), (recorded_model, "recorded")):
        (tmp_path / folder).mkdir()
        set_random_weights(model, seed=3)
        graph_of_model(model, tmp_path / folder).close()
    counts = [counts_of(model) for model in (built, recorded_model)]
    assert counts[0].keys() == counts[1].keys()
    assert all((counts[0][layer] == counts[1][layer]).all() for layer in counts[0])
    volumes = [
        read_network(tmp_path / folder / "net_parsed.h5").volumes
        for folder in ("built", "recorded")
    ]
    assert [(v.name, v.shape) for v in volumes[0]] == [
        (v.name, v.shape) for v in volumes[1]
    ]
    assert size_of_everything(
        tmp_path / "built" / "net_graph.h5"
    ) == size_of_everything(tmp_path / "recorded" / "net_graph.h5")


def size_of_everything(path):
    """Sums of weights and edges of all projections: the files differ by the hash of the parsed one only."""
    from snnb.graph.synapse_graph import SynapseGraph

    with SynapseGraph.open(path) as graph:
        return [
            (p.number_of_edges, float(p.to_scipy().sum()), float(p.source.bias.sum()))
            for p in graph.projections
        ]
