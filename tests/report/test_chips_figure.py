"""The Pareto front against brute force, and which points are in it."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from snnb.report import chips_figure
from snnb.report.chips_figure import OnChip, pareto_front, plot_chips


@pytest.mark.parametrize("seed", range(3))
def test_the_front_has_the_points_that_none_dominates(seed):
    energy, loss = np.random.default_rng(seed).integers(0, 6, (2, 20)).astype(float)
    kept = {
        (e, v)
        for e, v in zip(energy, loss)
        if not any((x <= e and y <= v) and (x < e or y < v) for x, y in zip(energy, loss))
    }
    front = pareto_front(energy, loss)
    assert {(energy[i], loss[i]) for i in front} == kept
    assert (np.diff(energy[front]) > 0).all()


def test_chips_without_energies_of_events_are_not_in_the_front(monkeypatch):
    drawn = []
    monkeypatch.setattr(chips_figure, "save", lambda figure, path: drawn.append(figure.axes[0]))
    points = [
        OnChip("a", "duration 8", 100.0, 0.9),
        OnChip("a", "duration 16", 200.0, 0.95),
        OnChip("b", "duration 16", 300.0, 0.94),
        OnChip("c", "duration 8", 1.0, 0.9, network_only=True),
    ]
    plot_chips(Path("none.png"), points, "accuracy", highest_is_best=True)
    front, *_ = drawn[0].lines
    assert front.get_xydata().tolist() == [[100.0, 0.9], [200.0, 0.95]]
    plot_chips(Path("none.png"), points[3:], "accuracy", highest_is_best=True)
    plot_chips(Path("none.png"), [], "accuracy", highest_is_best=True)
    assert drawn[1].lines[0].get_xydata().tolist() == [[1.0, 0.9]]


def test_labels_of_near_points_do_not_overlap(monkeypatch):
    drawn = []
    monkeypatch.setattr(chips_figure, "save", lambda figure, path: drawn.append(figure))
    points = [
        OnChip(chip, f"duration {duration}, output {output}", energy * duration, 0.9 + duration / 1000)
        for chip, energy in (("a", 100.0), ("b", 105.0))
        for duration in (8, 9, 10)
        for output in ("softmax", "membrane")
    ]
    plot_chips(Path("none.png"), points, "accuracy", highest_is_best=True)
    figure, axes = drawn[0], drawn[0].axes[0]
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]
    assert len(boxes) >= 8  # those of all points, if there is room
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(axes.get_window_extent(renderer).contains(*corner) for box in boxes for corner in box.corners())
