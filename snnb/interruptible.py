"""Ctrl-C during calls that spend seconds inside TensorFlow, where Python hears no signals."""

import threading
from concurrent.futures import Future
from typing import Callable, TypeVar

T = TypeVar("T")


def interruptible(call: Callable[[], T]) -> T:
    """Return what `call` returns, computed in a thread, so that Ctrl-C is raised here while it works.

    One step of a large network takes TensorFlow seconds. A thread that nobody waits for any more ends with its call;
    it is a daemon, and only computes, so the process may also end before it.
    """
    future: Future[T] = Future()

    def compute() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=compute, daemon=True).start()
    return future.result()
