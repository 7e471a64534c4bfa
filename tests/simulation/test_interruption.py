"""Ctrl-C ends a simulation that would take an hour, and leaves nothing behind."""

import os
import signal
import threading

import psutil
import pytest

from snnb.simulation.simulate import simulate
from snnb.simulation.simulation_settings import SimulationSettings

ENDLESS = SimulationSettings(samples=60, duration=1_000_000)


def _threads():
    return [thread for thread in threading.enumerate() if not thread.daemon]


# Slow: on a busy machine the signal can come after the call and end the whole test run. tests/end_to_end sends it to a
# process of its own.
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["toolbox", "tensorflow", "event"])
def test_ctrl_c_in_one_process(trained, tmp_path, engine):
    before, interrupt = _threads(), threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        _simulate(trained, tmp_path, ENDLESS.changed(engine=engine))
    interrupt.join()
    assert _threads() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_with_several_processes(trained, tmp_path):
    interrupt = threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        _simulate(trained, tmp_path, ENDLESS.changed(workers=2))
    interrupt.join()
    assert [child for child in psutil.Process().children() if "local_worker" in " ".join(child.cmdline())] == []
    assert list(tmp_path.iterdir()) == []


def _simulate(case, target, settings):
    simulate(
        case.parsed, target, name="n", x=case.x, y=case.y, scale=1.0, class_names=[], num_classes=10, settings=settings
    )
