import os
import signal
import threading
import time

import numpy as np
import pytest

from snnb.interrupt import end_when, run_interruptibly


def test_work_is_interrupted_at_once_and_learns_that_nobody_waits():
    """The work stands for a batch inside TensorFlow: it hears no signal until it is over."""
    left, told = threading.Event(), []

    def work(abandoned):
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        left.wait(20)
        told.append(abandoned.is_set())

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work)
    assert told == []
    left.set()
    deadline = time.monotonic() + 20
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told == [True]


def test_what_the_work_returns_or_raises_comes_out():
    assert run_interruptibly(lambda abandoned: abandoned.is_set()) is False
    with pytest.raises(ZeroDivisionError):
        run_interruptibly(lambda abandoned: 1 / 0)


def test_keras_ends_after_the_batch_in_which_nobody_waits_any_more():
    from tensorflow import keras

    model = keras.Sequential([keras.layers.Dense(3, activation="softmax", input_shape=(4,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    event, batches = threading.Event(), []

    class Counter(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            batches.append(batch)
            if batch == 2:
                event.set()

    x, y = np.zeros((80, 4), np.float32), np.zeros(80, int)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=8, verbose=0, callbacks=[Counter(), end_when(event)])
    assert batches == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt):
        model.evaluate(x, y, verbose=0, callbacks=[end_when(event)])
