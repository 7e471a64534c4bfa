import tracemalloc

import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.core.options import valid_defaults, validated
from snnb.training.batches import (
    LabelledPictures,
    batches,
    split_rows,
    training_batches,
)
from snnb.training.recipe import Recipe, TrainingOptions


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return LabelledPictures(
        rng.integers(0, 256, size=(7, 4, 5, 2), dtype=np.uint8),
        np.arange(7) % 3,
        255.0,
        3,
    )


def test_every_pixel_value_is_the_one_the_other_stages_divide_out():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    [(x, _)] = list(
        batches(
            LabelledPictures(values, np.zeros(1, int), 255.0, 1), np.arange(1), 1, (1,)
        )
    )
    assert x.numpy().tobytes() == (values / np.float32(255)).tobytes()


def test_augmented_pictures_are_the_mirrored_and_moved_ones_with_their_border_repeated(
    pictures,
):
    def draw_batches(**options):
        dataset = training_batches(
            pictures,
            np.zeros(300, int),
            TrainingOptions(seed=1, **options),
            (3,),
            steps=6,
        )
        return {
            (x * 255).round().astype(np.uint8).tobytes()
            for batch, _ in dataset
            for x in batch.numpy()
        }

    # 0.4 of 4 and of 5 pixels: at most one and two. Every crop of the edge-padded picture, mirrored or not, may come.
    possible = set()
    for source in (pictures.x[0], pictures.x[0][:, ::-1]):
        padded_images = np.pad(source, ((1, 1), (2, 2), (0, 0)), mode="edge")
        possible |= {
            padded_images[i : i + 4, j : j + 5].tobytes()
            for i in range(3)
            for j in range(5)
        }
    assert len(possible) == 30
    assert draw_batches(flip=True, shift=0.4) == possible
    assert draw_batches() == {pictures.x[0].tobytes()}


def test_rows_are_drawn_by_the_seed_and_kept_apart():
    training, validation = split_rows(50, 0.2, 3)
    assert sorted([*training, *validation]) == list(range(50))
    assert len(validation) == 10
    assert list(validation) != list(range(40, 50))
    np.testing.assert_array_equal(split_rows(50, 0.2, 3)[1], validation)
    assert list(split_rows(50, 0.2, 4)[1]) != list(validation)
    with pytest.raises(
        UsageError, match="with 1 of 1 images for validation, none remains for training"
    ):
        split_rows(1, 0.1, 3)


def test_a_cycle_takes_turns_every_two_epochs():
    recipe = Recipe(learning_rate=1e-3, schedule="cycle")
    assert [recipe.learning_rate_at(epoch) for epoch in (0, 1, 1.9, 2, 3.5, 4)] == [
        1e-4,
        1e-4,
        1e-4,
        1e-3,
        1e-3,
        1e-4,
    ]


def test_another_optimizer_drops_the_momentum_and_the_same_keeps_it():
    sgd = {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "epochs": 3}
    kept_options = valid_defaults(Recipe, sgd, {"optimizer": "adam"})
    assert kept_options == {"optimizer": "sgd", "epochs": 3}
    assert valid_defaults(Recipe, sgd, {"optimizer": "sgd", "epochs": 4}) == sgd


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nesterov": True}, "is for sgd"),
        ({"optimizer": "sgd", "nesterov": True}, "no effect without momentum"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        validated(Recipe, fields)


def test_targets_of_many_classes_take_the_memory_of_a_batch():
    """An identity matrix of 20,000 classes takes 1.6 GB."""
    y = np.array([19_999, 3, 0])
    pictures = LabelledPictures(np.zeros((3, 1, 1, 1)), y, 1.0, 20_000)
    tracemalloc.start()
    [(_, targets)] = list(batches(pictures, np.arange(3), 3, (20_000,)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(np.argwhere(targets), list(zip(range(3), y)))
    assert peak < 1e6
