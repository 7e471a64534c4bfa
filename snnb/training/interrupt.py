"""Ctrl-C during work that spends minutes inside TensorFlow, where Python hears no signals."""

import threading
from typing import Any, Callable, Dict, Optional, TypeVar

from tensorflow import keras

from snnb.autograph import keep_in_memory
from snnb.interruptible import interruptible

T = TypeVar("T")


def run_interruptibly(work: Callable[[threading.Event], T]) -> T:
    """Do the work in a thread and wait for it, so that Ctrl-C is raised here at once.

    A single batch of VGG takes minutes on a small machine. The thread that is left behind ends with its batch; it is a
    daemon, and its work is only computation, so a process may also exit over it.

    Parameters
    ----------
    work
        Called with an event that is set when nobody waits any more.

    Returns
    -------
    T
        What the work returns; what it raises is raised.
    """
    keep_in_memory()  # what TensorFlow makes for the work: a process that is interrupted ends without tidying up
    abandoned = threading.Event()
    try:
        return interruptible(lambda: work(abandoned))
    except BaseException:
        abandoned.set()
        raise


class EndWhen(keras.callbacks.Callback):
    """End `fit` or `evaluate` after the current batch once an event is set."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self._event = event

    def on_train_batch_end(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        self._end()

    def on_test_batch_end(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        self._end()

    def _end(self) -> None:
        if self._event.is_set():
            raise KeyboardInterrupt
