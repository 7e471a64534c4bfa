import pytest

from snnb.errors import UsageError
from snnb.training.recipe import Recipe


def test_the_learning_rate_takes_turns():
    recipe = Recipe(learning_rate_cycle=(1e-4, 1e-3), cycle_epochs=2)
    assert [recipe.learning_rate_at(epoch) for epoch in range(6)] == [1e-4, 1e-4, 1e-3, 1e-3, 1e-4, 1e-4]
    assert Recipe(learning_rate=0.5).learning_rate_at(7) == 0.5


def test_a_learning_rate_asked_for_ends_the_cycle():
    recipe = Recipe(learning_rate_cycle=(1e-4, 1e-3)).override(learning_rate=0.01)
    assert [recipe.learning_rate_at(epoch) for epoch in range(3)] == [0.01] * 3


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
        ({"learning_rate_cycle": (0.1, -1.0)}, "learning rate of the cycle must be a positive number"),
        ({"momentum": 0.9}, "momentum is for sgd"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum must lie in"),
        ({"shift": 1.5}, "shift must lie in"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**fields)
