"""Calls on a cluster: order, losses, refusals; what they compute is done by real workers in processes."""

import ast
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

import snnb
from snnb.cluster import connect, versions
from snnb.cluster.cluster_settings import checked_address
from snnb.cluster.connect import connected
from snnb.cluster.quiet import quiet
from snnb.cluster.work import Work
from snnb.core.errors import InputError, ResourceError, UpstreamError
from tests.cluster import work
from tests.cluster.processes import OTHER_VERSION, free_port, local_workers


def _results(cluster, call, numbers=8, **shared):
    return list(cluster.results(Work(work.shared(**shared), work.prepare, call, ()), range(numbers)))


def _left():
    """Processes and folders of local clusters."""
    return local_workers(os.getpid()), list(Path(tempfile.gettempdir()).glob("snnb-workers-*"))


@pytest.fixture
def _nothing_left(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = list(sys.path)
    yield
    assert _left() == ([], [])
    assert sys.path == path


@pytest.mark.usefixtures("_nothing_left")
def test_results_come_in_order_though_a_worker_is_killed(tmp_path):
    with connected(2, None) as cluster:
        assert cluster.size == 2
        found = _results(cluster, work.die_once, folder=tmp_path)
        assert len(cluster._wait_for_workers(2)) == 2  # another in its place
    assert [result for result, _ in found] == [3 * number**2 for number in range(8)]
    assert (tmp_path / "died").exists()


def test_workers_that_somebody_else_started(scheduler, tmp_path):
    scheduler.add_workers(2, threads=2)
    with connected(1, scheduler.address) as cluster:
        while cluster.size < 2:  # the second was not there yet
            cluster = connect.Cluster(cluster._client, scheduler.address, None)
        found = _results(cluster, work.square)
        assert [result for result, _ in found] == [3 * number**2 for number in range(8)]
        assert {process for _, process in found} == {worker.pid for worker in scheduler.workers}
        assert cluster.threads == 2
        with pytest.raises(ZeroDivisionError, match="two"):
            _results(cluster, work.fail)
        # One that is left alone ends its call soon.
        started = cluster.results(Work(work.shared(tmp_path), work.prepare, work.until_stopped, ()), range(4))
        with pytest.raises(KeyboardInterrupt):
            _interrupted(started, tmp_path, cluster)
        assert len(list(tmp_path.glob("begun*"))) == len(list(tmp_path.glob("stopped*"))) > 0
        # A worker of another version is not given anything.
        scheduler.add_workers(1, before=OTHER_VERSION)
        while len(cluster._workers()) < 3:
            time.sleep(0.05)
        with pytest.raises(InputError, match=r"worker tcp://127.0.0.1:\d+ has snnb 0.0.9, this is snnb 0.1.0: start"):
            _results(cluster, work.square)


def _interrupted(started, folder, cluster):
    watch = cluster._watch

    def interrupt():
        watch()
        if list(folder.glob("begun*")):
            raise KeyboardInterrupt

    cluster._watch = interrupt
    try:
        next(started)
    finally:
        cluster._watch = watch


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(UpstreamError, match=f"no Dask scheduler answers at {address}.*dask scheduler"), connected(
        1, address
    ):
        pass


@pytest.mark.slow
def test_a_scheduler_without_workers(scheduler, monkeypatch):
    monkeypatch.setattr(connect, "PATIENCE", 1.0)
    with pytest.raises(ResourceError, match="no worker for 1 s: start workers"), connected(1, scheduler.address):
        pass


@pytest.mark.slow
def test_a_scheduler_that_ends(scheduler, tmp_path):
    scheduler.add_workers(2)
    with connected(1, scheduler.address) as cluster:
        found = cluster.results(Work(work.shared(tmp_path), work.prepare, work.square, ()), range(1000))
        assert next(found)[0] == 0
        scheduler.process.kill()
        begin = time.monotonic()
        with pytest.raises(ResourceError, match=f"the scheduler {scheduler.address} has ended"):
            list(found)
        assert time.monotonic() - begin < 5


@pytest.mark.slow
def test_what_all_share_is_lost_with_the_only_worker(scheduler, tmp_path):
    scheduler.add_workers(1)
    with connected(1, scheduler.address) as cluster:
        found = cluster.results(Work(work.shared(tmp_path, size=1000), work.prepare, work.square, ()), range(12))
        results = [next(found)[0]]
        scheduler.workers[0].kill()
        scheduler.add_workers(1)
        results += [result for result, _ in found]
    assert results == [3 * number**2 for number in range(12)]


@pytest.mark.slow
@pytest.mark.usefixtures("_nothing_left")
def test_samples_that_no_worker_survives():
    with connected(2, None) as cluster, pytest.raises(
        ResourceError, match=r"workers end.*for lack of memory perhaps: use fewer --workers"
    ):
        _results(cluster, work.die_on_four)


@pytest.mark.slow
@pytest.mark.usefixtures("_nothing_left")
def test_workers_that_cannot_start(monkeypatch):
    monkeypatch.setattr("snnb.cluster.local.COMMAND", "import sys; sys.exit('no such thing')")
    with pytest.raises(ResourceError, match=r"exit code 1, no such thing.*--workers"), connected(2, None):
        pass


def test_a_cluster_is_given_again_inside_its_block(monkeypatch):
    with connected(1, None) as cluster, connected(1, None) as again:
        assert again is cluster
    assert connect._open == []


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("tls://head.cluster:8786", "tls://head.cluster:8786"),
        ("tcp://[::1]:8786", "tcp://[::1]:8786"),
    ],
)
def test_addresses(given, used):
    assert checked_address(given) == used


@pytest.mark.parametrize(
    "given", ["", "10.0.0.1", "tcp://host", "host:0", "host:99999", "a b:1", "inproc://x:1", "tcp://:1"]
)
def test_what_is_no_address(given):
    with pytest.raises(ValueError, match="no address of a Dask scheduler"):
        checked_address(given)


def test_dask_is_imported_only_where_a_cluster_is_asked_for():
    package = Path(snnb.__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [name.name for name in getattr(node, "names", [])] + [getattr(node, "module", None) or ""]
            assert not any(name.split(".")[0] in ("dask", "distributed") for name in names), path


def test_versions_are_compared_one_by_one():
    here = versions.versions(("numba", "not-installed"))
    assert here["not-installed"] == "none"
    assert here["Python"].count(".") == 1
    versions.refuse_others("w", {**here, "more": "1"}, here)
    for name in here:
        with pytest.raises(InputError, match=f"worker w has {name} 7, this is {name} {here[name]}"):
            versions.refuse_others("w", {**here, name: "7"}, here)


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, ResourceError])
def test_dask_speaks_again_behind_the_block_but_not_after_an_error(error):
    pytest.importorskip("distributed")  # which sets the levels
    names = ("distributed", "distributed.client", "tornado")
    before = {name: logging.getLogger(name).level for name in names}
    with quiet():
        assert not logging.getLogger("distributed.batched").isEnabledFor(logging.CRITICAL)
    assert {name: logging.getLogger(name).level for name in names} == before
    try:
        with pytest.raises(error), quiet():
            raise error
        assert not logging.getLogger("distributed.batched").isEnabledFor(logging.CRITICAL)
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
