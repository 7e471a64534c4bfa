"""Figure of a training: names of models."""

import pytest

from snnb.plots.training import plot_history

NAMES = [
    "lenet",
    "$x^",
    "a$b$_c",
    "_under_score",
    "bell\x07\nnew line",
    "W" * 200,
    "网络",
    "\\frac{1}",
]


@pytest.mark.usefixtures("drawn_figures")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_drawn_as_it_is_and_inside(name):
    """Nothing is written to stderr, whatever the model is called."""
    history = [
        dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), value)
        for value in (0.5, 0.3, 0.25)
    ]
    figure = plot_history(history, 1, {"loss": 0.5, "accuracy": 0.8}, name)
    figure.tight_layout()
    box = figure._suptitle.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure._suptitle.get_text().replace(r"\$", "$")[:3] == name[:3].replace(
        "网络", "??"
    )
