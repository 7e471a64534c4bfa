"""Ctrl-C during `fit` and `evaluate` of Keras, which spend minutes inside TensorFlow."""

import threading
from typing import TYPE_CHECKING, Callable, Dict, Optional, TypeVar

from snnb.autograph import keep_in_memory
from snnb.interrupt import interruptible

if TYPE_CHECKING:
    from tensorflow import keras

T = TypeVar("T")


def run_interruptibly(work: Callable[[threading.Event], T]) -> T:
    """Do what `interruptible` does, for long work of Keras that can be told to end early.

    A single batch of VGG takes minutes on a small machine. After an interruption the work goes on in its thread until
    it looks at the event, as a model with the callback `end_when` does after each batch.

    Parameters
    ----------
    work : callable
        Called with an event, which is set as soon as nobody waits for the result any more.

    Returns
    -------
    T
        What `work` returns. What it raises is raised here.
    """
    keep_in_memory()  # an interrupted process does not remove the files that TensorFlow's autograph would write
    abandoned = threading.Event()
    try:
        return interruptible(lambda: work(abandoned))
    except BaseException:
        abandoned.set()
        raise


def end_when(event: threading.Event) -> "keras.callbacks.Callback":
    """Return a Keras callback that ends `fit` or `evaluate` after the current batch once the event is set."""
    from tensorflow import keras

    class EndWhen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Optional[Dict[str, object]] = None) -> None:
            self.on_test_batch_end(batch)

        def on_test_batch_end(self, batch: int, logs: Optional[Dict[str, object]] = None) -> None:
            if event.is_set():
                raise KeyboardInterrupt

    return EndWhen()
