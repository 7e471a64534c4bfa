import pytest

from snnb.core.errors import UsageError
from snnb.core.options import drop_invalid, validated
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


def test_another_optimizer_drops_the_momentum_and_the_same_keeps_it():
    sgd = {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "epochs": 3}
    kept, dropped = drop_invalid(Recipe, sgd, {"optimizer": "adam"})
    assert (kept, dropped) == ({"optimizer": "sgd", "epochs": 3}, {"momentum": 0.9, "nesterov": True})
    assert drop_invalid(Recipe, sgd, {"optimizer": "sgd", "epochs": 4}) == (sgd, {})


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"nesterov": True}, "is for sgd"), ({"optimizer": "sgd", "nesterov": True}, "no effect without momentum")],
)
def test_what_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        validated(Recipe, fields)
