import pytest

from snnb.core.errors import UsageError
from snnb.core.options import drop_invalid, validated
from snnb.training.recipe import Recipe


def test_a_cycle_takes_turns_every_two_epochs():
    recipe = Recipe(learning_rate=1e-3, schedule="cycle")
    assert [recipe.learning_rate_at(epoch) for epoch in (0, 1, 1.9, 2, 3.5, 4)] == [1e-4, 1e-4, 1e-4, 1e-3, 1e-3, 1e-4]


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
