"""Prepare a data set in a process of its own, which says what it ends with and how much memory that took."""

import json
import re
import subprocess
import sys

PROGRAM = """
import json, os, sys
from pathlib import Path
import numpy, PIL.Image, snnb.datasets.preparation, snnb.datasets.cifar_pickle, snnb.datasets.pictures
from snnb.datasets import prepare

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

name, target, source, shape, threads, tell = json.loads(sys.argv[1])
os.cpu_count = lambda: threads
Path("/proc/self/clear_refs").write_text("5")  # what importing took does not count
before = peak()
try:
    found = prepare(name, Path(target), data_dir=Path(target), source=source and Path(source),
                    shape=shape and tuple(shape), norm_samples=10, seed=0)
    print(tell and found.warnings and found.warnings[0] or "prepared")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
print(f"MiB {peak() - before:.0f}")
"""


def prepared_alone(name, target, source=None, shape=None, threads=2, tell=False, timeout=60):
    """What `prepare` ends with, and the MiB of memory that it took; 6 GiB and `timeout` seconds are the end."""
    target.mkdir(exist_ok=True)
    arguments = json.dumps([name, str(target), source and str(source), shape, threads, tell])
    command = ["bash", "-c", 'ulimit -v 6291456; exec "$0" -c "$1" "$2"', sys.executable, PROGRAM, arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    line, _, rest = done.stdout.rpartition("\nMiB ")
    return re.sub(r"\s+", " ", line), int(rest)
