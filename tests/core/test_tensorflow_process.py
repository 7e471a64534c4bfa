"""Importing the package changes nothing in a process; what trains prepares it for TensorFlow."""

import json
import os
import subprocess
import sys

import pytest

import snnb

STATE = """
import json, os, random, signal, sys
import numpy as np

def state():
    return {
        "environment": dict(os.environ),
        # six and others, which libraries import, have finders of their own
        "finders": [repr(finder) for finder in sys.meta_path if "snnb" in repr(finder)],
        "path": list(sys.path),
        "handlers": [repr(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)],
        "streams": [id(sys.stdin), id(sys.stdout), id(sys.stderr)],
        "descriptors": [os.fstat(n).st_ino for n in range(3)],
        "hooks": [repr(sys.excepthook), repr(sys.unraisablehook)],
        "random": hash(random.getstate()),
        "numpy": repr(np.random.get_state()),
        "numpy errors": np.geterr(),
    }
"""
CHANGED = (
    STATE
    + """
before = state()
import snnb
getattr(snnb, {name!r})
after = state()
print(json.dumps([key for key in before if before[key] != after[key]]))
"""
)
KERAS = """
import sys
{imports}
import tensorflow
print(tensorflow.keras.__name__, getattr(tensorflow.keras, "__version__", ""))
"""


def clean_environment(**changes):
    """Return the environment of this process without what is set for TensorFlow."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TF_") and name != "PYTHONWARNINGS"
    }
    return {**environment, **changes}


def output_of(code, **changes):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(**changes),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("name", snnb.__all__)
def test_importing_a_public_name_changes_nothing_in_the_process(name):
    assert json.loads(output_of(CHANGED.replace("{name!r}", repr(name)))) == []


def test_keras_of_tensorflow_is_the_same_with_all_public_names():
    pytest.importorskip("tensorflow")
    imports = "import snnb\n" + "\n".join(f"snnb.{name}" for name in snnb.__all__)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    expected = output_of(KERAS.format(imports=""), **quiet)
    assert output_of(KERAS.format(imports=imports), **quiet) == expected


def test_a_process_with_keras_3_is_told_what_to_set(tmp_path):
    """TensorFlow is a module of its name here: only its version counts."""
    (tmp_path / "tensorflow.py").write_text("__version__ = '2.21.0'\n")
    code = """
import tensorflow
from snnb.core.errors import UsageError
try:
    import snnb.core.quiet_tensorflow
except UsageError as error:
    print(error)
"""
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert output_of(code, PYTHONPATH=path) == (
        "TensorFlow 2.21.0 was imported with Keras 3, but snnb uses Keras 2; set the "
        "environment variable TF_USE_LEGACY_KERAS=1 before TensorFlow is imported"
    )
    assert output_of(
        code + "print('imported')", PYTHONPATH=path, TF_USE_LEGACY_KERAS="1"
    ) == ("imported")
