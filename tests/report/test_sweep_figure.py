"""The figure of a grid: bars are the intervals, and the axis does not make a small difference look large."""

from pathlib import Path

import numpy as np
import pytest

from snnb.report import sweep_figure as sweep
from snnb.report.sweep_figure import GridAxis, plot_sweep


@pytest.fixture
def drawn(monkeypatch):
    """The axes of the figures that are drawn, in place of their files."""
    found = []
    monkeypatch.setattr(sweep, "save", lambda figure, path: found.append(figure.axes[0]))
    return found


def bars_of(plot):
    """Return the ends of the bars of each line, shape (lines, points, 2)."""
    return np.array([[segment[:, 1] for segment in line[2][0].get_segments()] for line in plot.containers])


def test_bars_are_the_intervals_of_each_line(drawn):
    percentile, duration = GridAxis("percentile", [99.0, 99.9, 99.99]), GridAxis("duration", [20, 40])
    measured = np.array([[0.983, 0.984], [0.985, 0.983], [0.984, 0.985]])
    intervals = np.stack([measured - 0.02, measured + np.array([[0.005, 0.006]])], axis=-1)
    plot_sweep(Path("none.png"), [percentile, duration], measured, np.full((3, 2), 0.986), "accuracy", intervals)
    (plot,) = drawn
    np.testing.assert_allclose(bars_of(plot), intervals.transpose(1, 0, 2))
    low, high = plot.get_ylim()
    assert low < intervals.min()
    assert intervals.max() < high <= 1.01
    assert high - low > 0.099


def test_over_seeds_the_bars_are_the_mean_intervals(drawn):
    seed, duration = GridAxis("seed", [0, 1]), GridAxis("duration", [20, 40])
    measured = np.array([[0.5, 0.6], [0.7, 0.6]])
    intervals = np.stack([measured - np.array([[0.1], [0.2]]), measured + 0.1], axis=-1)
    plot_sweep(Path("none.png"), [seed, duration], measured, np.full((2, 2), 0.9), "accuracy", intervals)
    np.testing.assert_allclose(bars_of(drawn[0]), [[[0.45, 0.7], [0.45, 0.7]]])


def test_the_axis_of_an_error_begins_at_zero_and_has_no_bars(drawn):
    measured = np.array([0.011, 0.012])
    plot_sweep(Path("none.png"), [GridAxis("duration", [20, 40])], measured, np.full(2, 0.01), "error")
    assert drawn[0].get_ylim()[0] == 0
    assert drawn[0].get_ylim()[1] > 0.012
