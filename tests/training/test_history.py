"""The plot of a training: nothing on stderr, whatever the model is called and however the training went."""

import pytest

from snnb.training.history import plot_history

pytestmark = [pytest.mark.usefixtures("drawn_figures"), pytest.mark.filterwarnings("error")]
NAMES = ["lenet", "$x^", "a$b$_c", "_under_score", "bell\x07\nnew line", "W" * 200, "网络", "\\frac{1}"]


def _history(epochs, keys=("loss", "accuracy", "val_loss", "val_accuracy")):
    return [dict.fromkeys(keys, 1 / (epoch + 2)) for epoch in range(epochs)]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_drawn_as_it_is_and_inside(name):
    figure = plot_history(_history(3), 1, {"loss": 0.5, "accuracy": 0.8}, name)
    figure.tight_layout()
    box = figure._suptitle.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure._suptitle.get_text().replace(r"\$", "$")[:3] == name[:3].replace("网络", "??")


@pytest.mark.parametrize("epochs", [1, 400])
def test_any_number_of_epochs_and_a_loss_that_is_no_number(epochs):
    history = _history(epochs)
    history[-1]["loss"] = float("nan")
    made = [plot_history(history, 0, {"loss": float("nan"), "accuracy": 0.1}, "network")]
    reconstruction = _history(2, ("loss", "val_loss"))
    made.append(plot_history(reconstruction, 1, {"loss": 0.5}, "autoencoder"))
    assert [figure.get_size_inches().tolist() for figure in made] == [[6, 6.4], [6, 3.2]]
