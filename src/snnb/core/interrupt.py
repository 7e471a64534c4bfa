"""Ctrl-C during work that spends seconds or minutes inside compiled code, where Python receives no signals."""

import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Callable, Deque, Iterable, Iterator, TypeVar

from snnb.core.processors import processors

T = TypeVar("T")


def interruptible(call: Callable[[], T]) -> T:
    """Compute in a thread and wait for it, so that Ctrl-C is raised here while it works.

    One step of a large network takes TensorFlow seconds. After an interruption, the thread ends with its call. It is a
    daemon and only computes, so the process may also end before it.

    Parameters
    ----------
    call : callable
        The work, without arguments.

    Returns
    -------
    T
        What `call` returns. What it raises is raised here.
    """
    return _begin(call).result()


def at_most(seconds: float, call: Callable[[], object]) -> None:
    """Compute in a thread and wait for it so long at most; it may fail, or go on without anybody who waits."""
    with suppress(Exception):
        _begin(call).result(seconds)


def in_parallel(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Compute as many calls at a time as there are processors, each as `interruptible` does.

    Parameters
    ----------
    calls : iterable of callable
        One is taken when there is room for it.

    Yields
    ------
    T
        What they return, in their order.
    """
    begun: Deque[Future[T]] = deque()
    for call in calls:
        begun.append(_begin(call))
        if len(begun) >= processors():
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _begin(call: Callable[[], T]) -> "Future[T]":
    future: Future[T] = Future()

    def compute() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=compute, daemon=True).start()
    return future
