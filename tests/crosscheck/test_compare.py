"""When sums of spike counts are held for the same."""

import numpy as np

from snnb.crosscheck.spike_differences import compare, few

SAMPLES = 10


def differ(*changes):
    """Two hundred neurons' sums over ten samples, of which these differ by so much."""
    found = np.full(200, 7)
    for neuron, by in changes:
        found[neuron] += by
    (compared,) = compare({"a": found}, {"a": np.full(200, 7)}, SAMPLES)
    return compared


def test_pairs_are_counted_where_each_sample_is_known():
    (compared,) = compare({"a": np.array([[1, 1, 4], [0, 0, 0]])}, {"a": np.array([[1, 2, 2], [0, 0, 0]])}, 2)
    assert (compared.pairs, compared.differing, compared.largest, compared.spikes) == (6, 2, 2, 5)


def test_a_spike_in_a_thousand_pairs_may_differ():
    assert few(differ(), SAMPLES)
    assert few(differ((0, 1), (1, -1)), SAMPLES)
    assert not few(differ((0, 1), (1, -1), (2, 1)), SAMPLES)
    (small,) = compare({"a": np.ones(3, int)}, {"a": np.array([1, 1, 2])}, 1)
    assert few(small, 1)
    assert not few(differ((0, 2)), 1)
