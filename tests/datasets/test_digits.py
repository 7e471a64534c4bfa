import numpy as np
from sklearn.datasets import load_digits


def test_digits_are_those_of_scikit_learn_each_in_one_of_the_two_sets(run_prepare):
    target, prepared = run_prepare("digits")
    train, test = np.load(target / "x_train.npy"), np.load(target / "x_test.npy")
    assert train.shape == (1437, 8, 8, 1)
    assert test.shape == (360, 8, 8, 1)
    labels = np.concatenate([np.load(target / "y_train.npy"), np.load(target / "y_test.npy")])
    found = sorted((label, image.tobytes()) for label, image in zip(labels, np.concatenate([train, test])))
    official = load_digits()
    expected = zip(official.target, official.images.astype(np.uint8))
    assert found == sorted((label, image.tobytes()) for label, image in expected)
    assert prepared.scale == official.images.max()


def test_another_seed_changes_the_order_but_not_which_digits_are_for_the_test(run_prepare):
    first, _ = run_prepare("digits", seed=1)
    second, _ = run_prepare("digits", seed=2)
    images = [np.load(target / "x_test.npy").reshape(360, 64) for target in (first, second)]
    assert not np.array_equal(*images)
    assert np.array_equal(*(rows[np.lexsort(rows.T)] for rows in images))
