import numpy as np

from snnb.datasets.order import proportional_order

LABELS = np.array([2] * 30 + [0] * 10 + [1] * 60)


def test_proportional_order_has_the_exact_shares_at_every_tenth():
    order = proportional_order(LABELS, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for prefix in range(10, 101, 10):
        assert np.bincount(LABELS[order[:prefix]], minlength=3).tolist() == [prefix * n // 10 for n in (1, 6, 3)]


def test_without_a_generator_each_class_keeps_the_order_it_came_in():
    order = proportional_order(LABELS)
    for label in range(3):
        of_class = [position for position in order if LABELS[position] == label]
        assert of_class == sorted(of_class)
