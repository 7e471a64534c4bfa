"""The processors that this process may use, and calls computed on all of them."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterable, Iterator, TypeVar

T = TypeVar("T")


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Compute calls in threads, as many at a time as there are processors, and yield their results in order.

    Parameters
    ----------
    calls : iterable of callable
        Functions without arguments that release Python's interpreter lock. Consumed as threads become free.
    """
    threads = processors()
    with ThreadPoolExecutor(threads) as pool:
        pending: Deque[Future[T]] = deque()
        for call in calls:
            pending.append(pool.submit(call))
            if len(pending) >= threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
