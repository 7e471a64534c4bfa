"""Calls on Dask workers: order, terminated workers, errors."""

import subprocess
import sys
import threading

import pytest

import snnb
from snnb.cluster import connect
from snnb.cluster.connect import checked_address, connected, results
from snnb.core.errors import InputError, ResourceError, UpstreamError, VerificationError
from tests.cluster import work

NEWER = pytest.mark.skipif(
    sys.version_info >= (3, 9),
    reason="newer distributed keeps the versions it has read, and waits for the scheduler",
)
SQUARES = [3 * number**2 for number in range(8)]


def _results(client, call, **shared):
    return list(results(client, work.prepare, call, {"factor": 3, **shared}, range(8)))


def test_results_have_the_order_of_the_arguments(dask_workers):
    dask_workers.wait_for_workers(2)  # another test may have killed one
    values, processes = zip(*_results(dask_workers, work.square))
    assert list(values) == SQUARES
    assert len(set(processes)) == 2


def test_calls_of_a_killed_worker_are_repeated(dask_workers, tmp_path):
    values = [
        value
        for value, _ in _results(
            dask_workers, work.terminate_twice, folder=str(tmp_path)
        )
    ]
    assert values == SQUARES
    assert {path.name for path in tmp_path.iterdir()} == {"killed3", "killed4"}


def test_a_call_that_kills_every_worker(dask_workers, monkeypatch):
    monkeypatch.setattr(dask_workers.cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(
        ResourceError,
        match=r"several workers terminated in the same call.*fewer --workers",
    ):
        _results(dask_workers, work.terminate)


def test_an_error_in_a_worker_keeps_its_type_and_message(dask_workers):
    with pytest.raises(VerificationError, match=r"^sample 2 is wrong$"):
        _results(dask_workers, work.fail)


@NEWER
def test_a_worker_of_another_version(dask_workers, monkeypatch):
    monkeypatch.setattr(snnb, "__version__", "0.0.9")
    address = dask_workers.cluster.scheduler_address
    message = (
        r"^worker tcp://\S+ has snnb [\d.]+, this process 0\.0\.9; start the workers"
    )
    with pytest.raises(InputError, match=message), connected(1, address):
        pass


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_no_scheduler_or_no_certificate(monkeypatch, protocol):
    pytest.importorskip("distributed")
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 0.5)
    address = f"{protocol}://127.0.0.1:1"
    with pytest.raises(
        UpstreamError, match=f"^no connection to a Dask scheduler at {address} "
    ), connected(1, address):
        pass


@NEWER
def test_a_scheduler_without_workers_and_one_that_terminates(monkeypatch):
    distributed_module = pytest.importorskip("distributed")
    monkeypatch.setattr(connect, "WORKER_SECONDS", 0.5)
    cluster = distributed_module.LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=":0",
    )
    address = cluster.scheduler_address
    with pytest.raises(
        ResourceError, match="no worker has registered with the scheduler"
    ), connected(1, address):
        pass
    cluster.scale(1)
    monkeypatch.setattr(connect, "WORKER_SECONDS", 60)
    with connected(1, address) as client:
        closing = threading.Thread(target=lambda: work.begun.wait() and cluster.close())
        closing.start()
        with pytest.raises(ResourceError, match="the Dask scheduler has terminated"):
            _results(client, work.begin)
        closing.join()


def test_nested_calls_share_a_client(dask_workers):
    with connected(2, None) as client:
        assert client is dask_workers


def test_a_client_that_two_threads_share_is_closed_by_the_last_one(dask_workers):
    address = dask_workers.cluster.scheduler_address
    is_open, is_shared = threading.Event(), threading.Event()
    first_client = []

    def open_and_leave():
        with connected(1, address) as client:
            first_client.append(client)
            is_open.set()
            assert is_shared.wait(60)

    opener = threading.Thread(target=open_and_leave)
    opener.start()
    assert is_open.wait(60)
    with connected(1, address) as client:
        is_shared.set()
        opener.join()
        assert client is first_client[0]
        assert [value for value, _ in _results(client, work.square)] == SQUARES
        with connected(1, address) as nested_client:
            assert nested_client is client
    assert client.status == "closed"


def test_threads_that_open_a_client_at_once_share_it(dask_workers):
    address = dask_workers.cluster.scheduler_address
    all_are_ready, all_are_connected = (
        threading.Barrier(2, timeout=60),
        threading.Barrier(2, timeout=60),
    )
    clients = []

    def connect_once():
        all_are_ready.wait()
        with connected(1, address) as client:
            clients.append(client)
            all_are_connected.wait()

    threads = [threading.Thread(target=connect_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 2
    assert clients[0] is clients[1]


def test_workers_are_not_started_by_a_script_that_would_start_them_again(tmp_path):
    pytest.importorskip("distributed")
    script = tmp_path / "script.py"
    script.write_text(
        "from snnb.cluster.connect import connected\n\nwith connected(1, None):\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60
    )
    expected_text = f"{script} must call snnb under `if __name__ == '__main__':`, since its workers import it"
    assert (
        done.stderr.splitlines()[-1] == f"snnb.core.errors.UsageError: {expected_text}"
    )


def test_a_client_that_is_collected_waits_for_no_lock(dask_workers):
    """The lock is held while event loops start and stop. Collection in that time has made these tests hang."""
    utils = pytest.importorskip("distributed.utils")
    with utils.LoopRunner._lock:
        finaliser = threading.Thread(target=dask_workers.__del__, daemon=True)
        finaliser.start()
        finaliser.join(30)
        assert not finaliser.is_alive()


def test_a_client_whose_event_loop_has_ended_is_closed_without_an_error(dask_workers):
    with connected(1, dask_workers.cluster.scheduler_address) as client:
        loop = client.loop
        client._loop_runner.stop()
        assert loop.asyncio_loop.is_closed()


def test_addresses():
    assert checked_address("10.0.0.1:8786") == "tcp://10.0.0.1:8786"
    for address in ("tls://head.cluster:8786", "tcp://[::1]:8786"):
        assert checked_address(address) == address


@pytest.mark.parametrize(
    "options_given",
    [
        "",
        "10.0.0.1",
        "tcp://host",
        "host:0",
        "host:99999",
        "a b:1",
        "inproc://x:1",
        "tcp://:1",
    ],
)
def test_invalid_addresses(options_given):
    with pytest.raises(ValueError, match="not the address of a Dask scheduler"):
        checked_address(options_given)
