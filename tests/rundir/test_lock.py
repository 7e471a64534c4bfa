import os
import time

import pytest

from snnb.errors import UpstreamError


@pytest.fixture
def held_elsewhere(run):
    """Hold the run in another process until the test writes to the pipe."""
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with run.locked():
            os.write(ready[1], b"x")
            os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    yield child, done[1]
    os.write(done[1], b"x")
    os.waitpid(child, 0)


def test_without_waiting_the_second_process_learns_who_holds_the_run(run, held_elsewhere):
    child, _ = held_elsewhere
    with pytest.raises(UpstreamError, match=f"process {child} on "), run.locked(wait=False):
        pass


def test_waiting_the_second_process_goes_on_when_the_first_is_done(run, held_elsewhere):
    _, release = held_elsewhere
    said = []

    def say(message):
        said.append(message)
        os.write(release, b"x")

    started = time.monotonic()
    with run.locked(say=say):
        assert time.monotonic() - started < 5
    assert len(said) == 1
    assert "in use by process" in said[0]
