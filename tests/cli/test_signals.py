"""An interruption inside of TensorFlow is raised in the code that has called it, or after a second."""

import os
import subprocess
import sys

PROGRAM = """
import os, signal, sys, threading, time, traceback
from tensorflow import keras
from snnb.cli import signals

signals.ended_by_signals = True
signals.answer()

def build():
    while True:
        x = source = keras.layers.Input((4, 4, 1))
        x = keras.layers.Conv2D(2, 3)(x)
        keras.Model(source, keras.layers.Flatten()(x))

def compute_long():
    keras.layers.Lambda(lambda x: time.sleep(30) or x)(keras.layers.Input((1,)))

def compute_elsewhere():
    time.sleep(30)

for work, times in ((build, 20), (compute_long, 1), (compute_elsewhere, 1)):
    for i in range(times):
        threading.Timer(0.1 + i * 0.003, os.kill, (os.getpid(), [signal.SIGINT, signal.SIGTERM][i % 2])).start()
        begin = time.monotonic()
        try:
            work()
        except KeyboardInterrupt as error:
            inside = any("/tensorflow/" in place.filename for place in traceback.extract_tb(error.__traceback__))
        delay = time.monotonic() - begin - 0.1 - i * 0.003
        assert sys.gettrace() is None
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
        assert signals.interrupted.is_set()
        signals.interrupted.clear()
        print(work.__name__, inside, "late" if delay > 5 else "waited" if delay > 0.9 else "soon")
"""


def test_where_an_interruption_is_raised():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines.count("build False soon") >= 18  # of 20, on a machine with other work
    assert {line.split()[-1] for line in lines[:20]} <= {"soon", "waited"}
    assert lines[20:] == ["compute_long True waited", "compute_elsewhere False soon"]
