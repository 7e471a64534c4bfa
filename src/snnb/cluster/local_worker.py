"""A worker process of a local cluster. It reads from its standard input what it works for, and ends with it."""

import asyncio
import json
import os
import shutil
import sys
import threading
from typing import Dict

from snnb.cluster.quiet import quiet


def main() -> None:
    """Work until the process that started this one closes the pipe, as it does when it ends, however it ends."""
    told: Dict[str, str] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=(told["folder"],), daemon=True).start()
    with quiet():
        asyncio.run(_work(told))
    os._exit(0)


def _end_with_parent(folder: str) -> None:
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


async def _work(told: Dict[str, str]) -> None:
    import dask
    from distributed import Worker
    from distributed.security import Security

    secret, certificate = told["secret"], told["certificate"]
    security = Security(
        require_encryption=True,
        tls_ca_file=certificate,
        tls_worker_key=secret,
        tls_worker_cert=certificate,
        tls_client_key=secret,
        tls_client_cert=certificate,
    )
    dask.config.set({"distributed.worker.http.routes": [], "distributed.worker.profile.enabled": False})
    worker = await Worker(
        told["address"],
        nthreads=int(told["threads"]),
        host="127.0.0.1",
        protocol="tls://",
        security=security,
        local_directory=told["folder"],
        memory_limit=0,  # nothing is written to the disk when memory is short
        dashboard_address="127.0.0.1:0",
        dashboard=False,
    )
    await worker.finished()
