import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snnb.datasets.array_samples import balanced_order, proportional_order

labels = st.lists(st.integers(0, 6), min_size=1, max_size=80).map(np.array)


@settings(deadline=None, max_examples=60)
@given(labels, st.integers(0, 9))
def test_no_class_is_off_its_share_by_more_than_the_halves_of_all(labels, seed):
    order = proportional_order(labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    sizes = np.bincount(labels)
    classes = np.count_nonzero(sizes)
    for prefix in range(1, len(labels) + 1):
        share = prefix * sizes / len(labels)
        found_counts = np.bincount(labels[order[:prefix]], minlength=len(sizes))
        assert np.all(
            np.abs(found_counts - share)
            <= 0.5 + sizes / len(labels) * (classes / 2) + 1e-9
        )


@settings(deadline=None, max_examples=60)
@given(labels, st.integers(0, 9))
def test_balanced_prefixes_differ_by_one_until_a_class_is_used_up(labels, seed):
    order = balanced_order(labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    sizes = np.bincount(labels)
    for prefix in range(1, len(labels) + 1):
        found_counts = np.bincount(labels[order[:prefix]], minlength=len(sizes))
        unfinished_classes = found_counts[found_counts < sizes]
        assert (
            not unfinished_classes.size
            or found_counts.max() - unfinished_classes.min() <= 1
        )
