import numpy as np

from snnb.datasets.order import balanced_order, proportional_order

LABELS = np.array([2] * 30 + [0] * 10 + [1] * 60)


def test_proportional_order_has_the_exact_shares_at_every_tenth():
    order = proportional_order(LABELS, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for prefix in range(10, 101, 10):
        assert np.bincount(LABELS[order[:prefix]], minlength=3).tolist() == [
            prefix // 10,
            6 * prefix // 10,
            3 * prefix // 10,
        ]


def test_without_a_generator_each_class_keeps_the_order_it_came_in():
    order = proportional_order(LABELS)
    for label in range(3):
        of_class = [position for position in order if LABELS[position] == label]
        assert of_class == sorted(of_class)


def test_the_seed_decides_the_order():
    first, again, other = (proportional_order(LABELS, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_balanced_order_takes_equally_from_small_and_large_classes():
    order = balanced_order(LABELS, np.random.default_rng(0))
    assert np.bincount(LABELS[order[:30]]).tolist() == [10, 10, 10]
    # The ten of class 0 are used up; the two others share what follows.
    assert np.bincount(LABELS[order[:50]]).tolist() == [10, 20, 20]
    assert sorted(order) == list(range(100))
