"""Figures of the report: distributions, the confusion matrix, activations and the input."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from snnb.network.event_samples import InputSteps
from snnb.plots.network import plot_distribution
from snnb.plots.report import plot_activations, plot_confusion, plot_input
from snnb.report.page import embed_figure

NAMESPACES = (
    'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
)
NAMES = [f"class {i} $x^" for i in range(1000)]


@pytest.mark.parametrize(
    ("plot", "arguments"),
    [
        (plot_distribution, (np.zeros(3), "nothing")),
        (plot_confusion, ([], [])),
        (plot_confusion, ([(0, -1, 3)], NAMES[:1])),
        (plot_confusion, ([(i, (7 * i) % 1000, 1) for i in range(1000)], NAMES)),
        (plot_activations, (np.empty(0), np.empty(0), 1.0, "empty")),
        (
            plot_activations,
            (np.linspace(0, 1, 10**6), np.linspace(0, 1, 10**6), 0.5, "<b>&"),
        ),
    ],
)
def test_figures_of_nothing_and_of_much_are_small_and_well_formed(
    drawn_figures, plot, arguments
):
    picture = embed_figure("a <figure>", plot(*arguments))
    root = ElementTree.fromstring(
        str(picture).replace("<svg ", f"<svg {NAMESPACES} ", 1)
    )
    width, height = map(float, root.get("viewBox").split()[2:])
    assert root.get("aria-label") == "a <figure>"
    assert 0 < width <= 375  # so that text is legible on a screen of 400 pixels
    assert 0 < height <= 720
    assert len(picture) < 100_000


def test_a_confusion_matrix_has_each_count_at_its_class_and_guess():
    cells = [(0, 0, 5), (0, 2, 1), (1, -1, 2), (2, 2, 4)]
    (axes,) = plot_confusion(cells, ["a", "b", "c"]).axes
    written = {
        (int(text.xy[1]), int(text.xy[0]), int(text.get_text())) for text in axes.texts
    }
    assert written == {
        (true, guess if guess >= 0 else 3, count) for true, guess, count in cells
    }
    raster = axes.images[0].get_array()
    assert {(true, guess) for true, guess, _ in written} == set(
        zip(*map(list, np.nonzero(raster[..., 3])))
    )
    assert raster[0, 0, 3] == 1
    assert (raster[0, 0, :3] == raster[2, 2, :3]).all()
    assert (raster[0, 0, :3] != raster[0, 2, :3]).any()


def test_activations_are_horizontal_and_rates_vertical():
    (axes,) = plot_activations(
        np.array([0.93, 2.0]), np.array([0.13, 0.63]), 1.0, "a"
    ).axes
    assert np.argwhere(axes.images[0].get_array()[..., 3]).tolist() == [
        [2, 18],
        [12, 19],
    ]


def test_input_has_a_pixel_for_each_position_and_step_and_off_events_are_red():
    x = np.zeros((1, 5, 2, 3, 2), np.float32)
    x[0, 1, 0, 2, 0] = 1
    x[0, 4, 1, 1, 1] = 4
    x[0, 2, 0, 0, 1] = 2
    raster = plot_input(InputSteps.dense(x), 4).axes[0].images[0].get_array()
    assert raster.shape == (6, 4, 4)  # the last step is not simulated
    assert np.argwhere(raster[..., 3]).tolist() == [[0, 2], [2, 1]]
    assert raster[0, 2, 3] > raster[2, 1, 3]
    assert raster[0, 2, 2] > raster[0, 2, 0]
    assert raster[2, 1, 2] < raster[2, 1, 0]
    flat = np.zeros((1, 700, 1, 1, 700), np.float32)
    flat[0, 699, 0, 0, 699], flat[0, 0, 0, 0, 350] = 0.5, -0.5
    raster = plot_input(InputSteps.dense(flat), 700).axes[0].images[0].get_array()
    assert np.argwhere(raster[..., 3]).tolist() == [[125, 0], [249, 249]]
    assert (raster[125, 0, :3] != raster[249, 249, :3]).any()


def test_distributions_count_everything_once():
    counts, edges, _ = (
        plot_distribution(np.array([0, 1, 1, 9, 10, 100, 0]), "x")
        .axes[0]
        .patches[0]
        .get_data()
    )
    assert (counts[counts >= 1].sum(), edges[0], edges[-1]) == (5, 1, 100)
    counts, *_ = plot_distribution(np.full(4, 7), "x").axes[0].patches[0].get_data()
    assert counts[counts >= 1].sum() == 4
