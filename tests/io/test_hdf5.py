import errno
import subprocess
import sys

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.io.hdf5 import copy_without_times, json_attribute, reading


@pytest.fixture
def path(tmp_path):
    """A file with groups, attributes, a contiguous array and a compressed one."""
    made_path = tmp_path / "some.h5"
    with h5py.File(made_path, "w") as file:
        file.attrs["text"] = "some text"
        file.attrs["json"] = b'{"a": 1}'
        file.create_dataset("plain", data=np.arange(12.0).reshape(3, 4))
        file.create_dataset(
            "a/b/packed", data=np.arange(4000), compression="gzip", shuffle=True
        )
        file["a"].attrs["names"] = np.array([b"one", b"two"])
    return made_path


def test_what_hdf5_raises_while_reading_becomes_one_line(path):
    with pytest.raises(InputError, match=r"some\.h5: damaged .*nothing"), reading(
        path
    ) as file:
        file["nothing"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "the attribute json is not text"),
        ("{", "the attribute json is not valid JSON"),
    ],
)
def test_an_attribute_that_is_not_json_is_refused(path, value, message):
    with h5py.File(path, "r+") as file:
        file.attrs["json"] = value
    with reading(path) as file, pytest.raises(InputError, match=f"some.h5: {message}"):
        json_attribute(file, "json", path)


def test_a_copy_has_the_same_content_and_no_times(path, tmp_path):
    for name in ("one.h5", "two.h5"):
        with h5py.File(path, "r") as source, h5py.File(tmp_path / name, "w") as target:
            copy_without_times(source, target)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    with h5py.File(tmp_path / "one.h5", "r") as file:
        assert file.attrs["text"] in (
            b"some text",
            "some text",
        )  # h5py 2, with TensorFlow 2.2, reads bytes
        assert list(file["a"].attrs["names"]) == [b"one", b"two"]
        assert np.array_equal(file["a/b/packed"], np.arange(4000))
        assert h5py.h5g.get_objinfo(file["plain"].id).mtime == 0


FAILING = """
import resource, sys
from pathlib import Path
import numpy as np
from snnb.io.hdf5 import write_array, writing

def write(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with writing(Path(sys.argv[1])) as file:
        for number in range(20):
            write_array(file.create_group(str(number)), "plain", np.arange(500.0))
        file.create_dataset("packed", data=np.random.rand(50_000), chunks=(4_096,), compression="gzip")

write(resource.RLIM_INFINITY)
size = Path(sys.argv[1]).stat().st_size
for limit in range(0, size, size // 40):
    try:
        write(limit)
    except OSError as error:
        print(error.errno)
"""


def test_a_write_that_fails_at_any_place_is_an_error_and_leaves_the_process_intact(
    tmp_path,
):
    """After one that HDF5 notices, it ends the process by a signal."""
    done = subprocess.run(
        [sys.executable, "-c", FAILING, tmp_path / "some.h5"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, set(done.stdout.split())) == (0, {str(errno.EFBIG)}), (
        done.stderr
    )
    assert 40 <= len(done.stdout.split()) <= 41
