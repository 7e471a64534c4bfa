"""What other simulators make of the exported graph alone, against the spikes of the network's own simulation."""

import numpy as np
import pytest

from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.compare import compare
from snnb.crosscheck.exported import read_exported
from snnb.errors import UsageError
from snnb.synapses.build import build_graph
from snnb.synapses.export.write import export
from tests.crosscheck.simulated import STEPS, WARM_UP, simulated_graph, ways_to_simulate
from tests.synapses.networks import LAYERS, save
from tests.synapses.recorded import TF as tf  # noqa: N811

SAMPLES = 3


@pytest.mark.parametrize("simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"])
@ways_to_simulate
def test_spikes_of_a_residual_network(parsed, tmp_path, simulator, reset, threshold, coding):
    x, simulated, built = simulated_graph(parsed, tmp_path, SAMPLES, reset, threshold, coding)
    with built as graph:
        export(graph, "sonata", tmp_path / "net", simulated=simulated)
    inputs = (x / np.float32(256)).reshape(SAMPLES, -1).astype(float)
    with np.load(tmp_path / "spike_times.npz") as times:
        if coding == "poisson":
            inputs = np.zeros((SAMPLES, 60, STEPS), bool)
            inputs[tuple(times["input"].T)] = True
        if (simulator, coding) == (sanafe, "poisson"):
            with pytest.raises(UsageError, match="takes a constant input only"):
                simulator.simulate(read_exported(tmp_path / "net"), inputs, STEPS, WARM_UP)
            return
        found = simulator.simulate(read_exported(tmp_path / "net"), inputs, STEPS, WARM_UP)
        assert list(found) == ["one", "two", "sum", "pool", "hidden"]
        for name, values in found.items():
            expected = np.zeros_like(values)
            spikes = times[name][times[name][:, 2] >= WARM_UP]
            np.add.at(expected, (spikes[:, 0], spikes[:, 1]), 1)
            assert expected.sum() > 0, name
            np.testing.assert_array_equal(values, expected, err_msg=name)


def test_max_pooling_is_refused(tmp_path):
    source = LAYERS.Input((4, 4, 1), name="input")
    pooled = LAYERS.MaxPooling2D(2, name="highest")(source)
    model = tf.keras.Model(source, LAYERS.Dense(2, name="out")(LAYERS.Flatten(name="flat")(pooled)))
    with build_graph(save(model, tmp_path / "net_parsed.h5"), tmp_path / "net_graph.h5") as graph:
        export(graph, "sonata", tmp_path / "net")
    with pytest.raises(UsageError, match="highest takes the maximum of each window"):
        read_exported(tmp_path / "net")


def test_the_tolerance():
    """One pair in a thousand, by one spike; in a small population one pair."""
    counts = np.zeros((10, 200), np.int64)

    def within(*changes, wanted=counts):
        found = counts.copy()
        for sample, neuron, by in changes:
            found[sample, neuron] += by
        (compared,) = compare({"a": found}, {"a": wanted}, 10)
        return compared.within, compared.differing, compared.largest

    assert within() == (True, 0, 0)
    assert within((0, 0, 1), (3, 5, -1)) == (True, 2, 1)
    assert within((0, 0, 1), (3, 5, -1), (3, 6, 1)) == (False, 3, 1)
    assert within((0, 0, 2)) == (False, 1, 2)
    sums = counts.sum(axis=0)
    assert within((0, 0, 1), (1, 0, 1), wanted=sums) == (True, 2, 2)
    assert within((0, 0, 3), wanted=sums) == (False, 3, 3)
    (small,) = compare({"a": np.ones((1, 3), int)}, {"a": np.array([[1, 1, 2]])}, 1)
    assert (small.pairs, small.within) == (3, True)
