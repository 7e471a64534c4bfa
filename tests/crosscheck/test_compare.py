"""When sums of spike counts are held for the same."""

import numpy as np

from snnb.crosscheck.check import count_differences, within_rounding

SAMPLES = 10


def differ(*changes):
    """Two hundred neurons' sums over ten samples, of which these differ by so much."""
    found = np.full(200, 7)
    for neuron, by in changes:
        found[neuron] += by
    (compared,) = count_differences({"a": found}, {"a": np.full(200, 7)}, SAMPLES)
    return compared


def test_pairs_are_counted_where_each_sample_is_known():
    (compared,) = count_differences({"a": np.array([[1, 1, 4], [0, 0, 0]])}, {"a": np.array([[1, 2, 2], [0, 0, 0]])}, 2)
    assert (compared.pairs, compared.differing, compared.largest, compared.spikes) == (6, 2, 2, 5)


def test_a_spike_in_a_thousand_pairs_may_differ():
    assert within_rounding(differ(), SAMPLES)
    assert within_rounding(differ((0, 1), (1, -1)), SAMPLES)
    assert not within_rounding(differ((0, 1), (1, -1), (2, 1)), SAMPLES)
    (small,) = count_differences({"a": np.ones(3, int)}, {"a": np.array([1, 1, 2])}, 1)
    assert within_rounding(small, 1)
    assert not within_rounding(differ((0, 2)), 1)
