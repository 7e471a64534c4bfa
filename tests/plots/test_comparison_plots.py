"""Figures that compare simulations: bars and axes of a grid, the Pareto front against brute force, labels."""

import numpy as np
import pytest

from snnb.plots.comparison import (
    OnChip,
    Simulated,
    pareto_front,
    plot_chips,
    plot_operations,
    plot_sweep,
)

pytestmark = pytest.mark.usefixtures("drawn_figures")


def bars_of(plot):
    """Return the ends of the bars of each line, shape (lines, points, 2)."""
    return np.array(
        [
            [segment[:, 1] for segment in line[2][0].get_segments()]
            for line in plot.containers
        ]
    )


def test_bars_are_the_intervals_of_each_line():
    grid = {"percentile": [99.0, 99.9, 99.99], "duration": [20, 40]}
    accuracies = np.array([[0.983, 0.984], [0.985, 0.983], [0.984, 0.985]])
    intervals = np.stack(
        [accuracies - 0.02, accuracies + np.array([[0.005, 0.006]])], axis=-1
    )
    (plot,) = plot_sweep(
        grid, accuracies, np.full((3, 2), 0.986), "accuracy", intervals
    ).axes
    np.testing.assert_allclose(bars_of(plot), intervals.transpose(1, 0, 2))
    low, high = plot.get_ylim()
    assert low < intervals.min()
    assert intervals.max() < high <= 1.01
    assert high - low > 0.099


@pytest.mark.parametrize("with_bars", [True, False])
@pytest.mark.parametrize("values", [[20, 40, 80], [1, 40, 1000], ["a", "b", "c"]])
def test_points_are_within_the_axes(values, with_bars):
    losses = np.array([[0.01, 0.03, 0.02], [0.02, 0.01, 0.04]])
    intervals = (
        np.stack([losses - 0.005, losses + 0.005], axis=-1) if with_bars else None
    )
    (plot,) = plot_sweep(
        {"input": ["constant", "poisson"], "duration": values},
        losses,
        None,
        "error",
        intervals,
    ).axes
    places = values if isinstance(values[0], int) else [0, 1, 2]
    lines = [container[0] for container in plot.containers]
    assert [line.get_xdata().tolist() for line in lines] == [places, places]
    assert [line.get_ydata().tolist() for line in lines] == losses.tolist()
    (seconds_left, right), (low, high) = plot.get_xlim(), plot.get_ylim()
    assert seconds_left < places[0] < places[-1] < right
    assert low < 0.01 < 0.04 < high
    # The points have more than half of the width; lines are shifted by a few points of print, and stay apart
    drawn_points = np.array(
        [line.get_transform().transform(line.get_xydata()) for line in lines]
    )
    area = plot.get_window_extent()
    assert np.ptp(drawn_points[0, :, 0]) > area.width / 2
    assert (area.x0 < drawn_points[..., 0]).all()
    assert (drawn_points[..., 0] < area.x1).all()
    np.testing.assert_allclose(
        drawn_points[1, :, 0] - drawn_points[0, :, 0], 4 * plot.figure.dpi / 72
    )


def test_over_seeds_the_bars_are_the_mean_intervals():
    accuracies = np.array([[0.5, 0.6], [0.7, 0.6]])
    intervals = np.stack(
        [accuracies - np.array([[0.1], [0.2]]), accuracies + 0.1], axis=-1
    )
    grid = {"seed": [0, 1], "duration": [20, 40]}
    (plot,) = plot_sweep(
        grid, accuracies, np.full((2, 2), 0.9), "accuracy", intervals
    ).axes
    np.testing.assert_allclose(bars_of(plot), [[[0.45, 0.7], [0.45, 0.7]]])


@pytest.mark.parametrize("seed", range(3))
def test_the_front_has_the_points_that_none_dominates(seed):
    energy, loss = np.random.default_rng(seed).integers(0, 6, (2, 20)).astype(float)
    kept_points = {
        (e, v)
        for e, v in zip(energy, loss)
        if not any(
            (x <= e and y <= v) and (x < e or y < v) for x, y in zip(energy, loss)
        )
    }
    front = pareto_front(energy, loss)
    assert {(energy[i], loss[i]) for i in front} == kept_points
    assert (np.diff(energy[front]) > 0).all()


def test_chips_without_energies_of_events_are_not_in_the_front():
    points = [
        OnChip("a", "duration 8", 100.0, 0.9),
        OnChip("a", "duration 16", 200.0, 0.95),
        OnChip("b", "duration 16", 300.0, 0.94),
        OnChip("c", "duration 8", 1.0, 0.9, network_only=True),
    ]
    front, *_ = plot_chips(points, "accuracy", highest_is_best=True).axes[0].lines
    assert front.get_xydata().tolist() == [[100.0, 0.9], [200.0, 0.95]]
    front, *_ = plot_chips(points[3:], "accuracy", highest_is_best=True).axes[0].lines
    assert (
        plot_chips([], "accuracy", highest_is_best=True)
        .axes[0]
        .lines[0]
        .get_xydata()
        .size
        == 0
    )
    assert front.get_xydata().tolist() == [[1.0, 0.9]]


@pytest.mark.parametrize("highest_is_best", [True, False])
def test_the_front_of_accuracy_over_operations(highest_is_best):
    points = [
        Simulated(f"duration {k}", 100.0 * k, quality)
        for k, quality in enumerate((0.9, 0.8, 0.95, 0.7), 1)
    ]
    (plot,) = plot_operations(points, "accuracy", highest_is_best=highest_is_best).axes
    front, all_line = plot.lines
    assert all_line.get_xydata().tolist() == [
        [100, 0.9],
        [200, 0.8],
        [300, 0.95],
        [400, 0.7],
    ]
    best = [100, 300] if highest_is_best else [100, 200, 400]
    assert front.get_xdata().tolist() == best
    assert plot.get_xlabel() == "synaptic operations per sample"
    assert {text.get_text() for text in plot.texts} == {
        point.options for point in points
    }
