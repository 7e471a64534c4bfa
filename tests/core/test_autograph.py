"""In a process of its own: TensorFlow makes code of a function only once."""

import os
import subprocess
import sys

SCRIPT = """
import tensorflow as tf
from snnb.core.autograph import keep_in_memory

keep_in_memory()

@tf.function
def collatz(n):
    def step(n):  # made into code within made code
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        return n

    steps = 0
    while n > 1:
        n = step(n)
        steps += 1
    return steps

assert collatz(tf.constant(27)) == 111

@tf.function
def broken(x):
    if x > 0:
        x = x + tf.constant([1.0, 2.0])[3]
    return x

try:
    broken(tf.constant(1.0))
except ValueError as error:
    assert "x = x + tf.constant([1.0, 2.0])[3]" in str(error), error
else:
    raise AssertionError
"""


def test_code_that_tensorflow_makes_is_in_no_file(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "tmp"
    script.write_text(SCRIPT + f"\nimport os\nassert os.listdir({str(folder)!r}) == []\n")
    folder.mkdir()
    here = {**os.environ, "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run([sys.executable, str(script)], env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
