"""A file that does not fit into the memory of the process is named."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

BYTES = 60_000_000  # of the file, fewer than a file of text may have
LIMIT = 20_000_000  # bytes of memory that the process may still allocate

READ = """
import resource, sys
from pathlib import Path

from snnb.core.errors import ResourceError
from snnb.io import files, hdf5

path = Path(sys.argv[2])


def read_dataset(path):
    with hdf5.reading(path) as file:
        return file["array"][()]


read = {
    "text": files.read_text_bytes,
    "bytes": files.read_bytes,
    "hdf5": read_dataset,
}[sys.argv[1]]
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read(path)
except ResourceError as error:
    print(error)
"""


def make(path):
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["array"] = np.zeros(BYTES, np.uint8)
    else:
        with path.open("wb") as file:
            file.truncate(BYTES)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("text", "manifest.yaml"), ("bytes", "events.bin"), ("hdf5", "network.h5")],
)
def test_a_file_that_does_not_fit_into_memory_is_named(tmp_path, kind, name):
    path = tmp_path / name
    make(path)
    arguments = [sys.executable, "-c", READ, kind, str(path), str(LIMIT)]
    process = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert process.stdout.startswith(f"{path}: out of memory; ")
