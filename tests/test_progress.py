from snnb import progress
from snnb.progress import Throttle


def test_shown_the_first_time_after_the_interval_and_the_last_time(monkeypatch):
    clock = iter([50.0, 50.05, 50.3, 50.31, 50.32, 50.41])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    throttle = Throttle(0.1)
    shown = [throttle.due(), throttle.due(), throttle.due(), throttle.due(), throttle.due(last=True), throttle.due()]
    assert shown == [True, False, True, False, True, False]
