from types import SimpleNamespace

import numpy as np
import pytest

from snnb.core import progress
from snnb.core.progress import Pace, Throttle


def test_shown_the_first_time_after_the_interval_and_the_last_time(monkeypatch):
    clock = iter([50.0, 50.05, 50.3, 50.31, 50.32, 50.41])
    monkeypatch.setattr(
        progress, "time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    throttle = Throttle(0.1)
    messages = [
        throttle.due(),
        throttle.due(),
        throttle.due(),
        throttle.due(),
        throttle.due(last=True),
        throttle.due(),
    ]
    assert messages == [True, False, True, False, True, False]


def estimates(monkeypatch, steps, total):
    """For (seconds, units done), the time at each step and the time left as shown there."""
    clock = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    pace, times_left = Pace(), []
    for seconds, done in steps:
        clock[0] = seconds
        pace.update(done, total)
        if pace.seconds_left is not None:
            times_left.append((seconds, pace.seconds_left))
    return times_left


@pytest.mark.parametrize("seed", range(5))
def test_the_time_left_is_right_to_a_factor_of_two_where_steps_take_about_the_same(
    monkeypatch, seed
):
    durations = np.random.default_rng(seed).uniform(0.5, 1.5, 1000)
    ends = np.cumsum(durations)
    found_estimates = estimates(monkeypatch, zip(ends, range(1, 1001)), 1000)
    assert len(found_estimates) > 900
    assert found_estimates[0][0] < 20
    for seconds, seconds_left in found_estimates[:-50]:
        assert (ends[-1] - seconds) / 2 < seconds_left < 2 * (ends[-1] - seconds)


def test_the_time_left_is_not_shown_while_the_first_step_is_most_of_the_time(
    monkeypatch,
):
    """As where workers compile: 60 seconds for the first block, then one second each."""
    found_estimates = estimates(
        monkeypatch, [(0, 0), *((60 + n, n + 1) for n in range(500))], 500
    )
    assert min(seconds for seconds, _ in found_estimates) > 60
    for seconds, seconds_left in found_estimates:
        assert seconds_left <= 2 * max(1, 559 - seconds)


def test_work_that_counts_again_has_the_pace_of_the_present_count(monkeypatch):
    passes = [*((n, n) for n in range(10)), *((10 + n, 5 * n) for n in range(10))]
    assert estimates(monkeypatch, passes, 50)[-1] == (19, 1)


def test_the_time_left_of_work_without_a_known_total_is_not_shown(monkeypatch):
    assert estimates(monkeypatch, [(n, 5 * n) for n in range(50)], 0) == []
