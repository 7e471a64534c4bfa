"""Ctrl-C during work that spends seconds or minutes inside compiled code, where Python receives no signals."""

import threading
from concurrent.futures import Future
from typing import Callable, TypeVar

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
    future: Future[T] = Future()

    def compute() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=compute, daemon=True).start()
    return future.result()
