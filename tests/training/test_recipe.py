import pytest

from snnb.errors import UsageError
from snnb.training.recipe import Recipe


def test_a_cycle_takes_turns_every_two_epochs():
    recipe = Recipe(learning_rate=1e-3, schedule="cycle")
    assert [recipe.learning_rate_at(epoch) for epoch in (0, 1, 1.9, 2, 3.5, 4)] == [1e-4, 1e-4, 1e-4, 1e-3, 1e-3, 1e-4]


def test_a_cosine_falls_from_the_whole_through_the_half_to_nothing():
    recipe = Recipe(learning_rate=0.5, schedule="cosine", epochs=4)
    assert recipe.learning_rate_at(0) == 0.5
    assert recipe.learning_rate_at(2) == pytest.approx(0.25)
    assert recipe.learning_rate_at(4) == 0
    assert Recipe(learning_rate=0.5).learning_rate_at(7) == 0.5


def test_a_learning_rate_asked_for_keeps_the_schedule():
    recipe = Recipe(schedule="cycle").override(learning_rate=0.01)
    assert [recipe.learning_rate_at(epoch) for epoch in (0, 2)] == [0.001, 0.01]


def test_another_optimizer_drops_the_momentum_and_the_same_keeps_it():
    sgd = Recipe(optimizer="sgd", momentum=0.9, nesterov=True, epochs=3)
    assert sgd.override(optimizer="adam") == Recipe(optimizer="adam", epochs=3)
    assert sgd.override(optimizer="sgd", epochs=4).momentum == 0.9
    assert sgd.override() == sgd


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adma"}, "unknown optimizer 'adma': choose one of adam, rmsprop, sgd"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": -1}, "batch size must be at least 1"),
        ({"learning_rate": float("nan")}, "learning rate must be a positive number"),
        ({"learning_rate": 0.0}, "learning rate must be a positive number"),
        ({"schedule": "linear"}, "unknown schedule 'linear': choose one of constant, cosine, cycle"),
        ({"nesterov": True}, "momentum is for sgd"),
        ({"momentum": 0.9}, "momentum is for sgd"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum must lie in"),
        ({"shift": 1.5}, "shift must lie in"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**fields)
