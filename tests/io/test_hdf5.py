"""Only what lies in an HDF5 file itself is read from it, and no file ends the process that reads it."""

import os
import random
import signal
import time

import h5py
import numpy as np
import psutil
import pytest

from snnb.core.errors import InputError
from snnb.io import hdf5
from snnb.io.hdf5 import copy_without_times, json_attribute, open_hdf5, reading

REMEDY = "make it again with `snnb make`"


@pytest.fixture
def path(tmp_path):
    """A file with groups, attributes of several types, a plain array and a compressed one."""
    made = tmp_path / "some.h5"
    with h5py.File(made, "w") as file:
        file.attrs["text"] = "some text"
        file.attrs["numbers"] = np.arange(3)
        file.attrs["flag"] = True
        file.create_dataset("plain", data=np.arange(12.0).reshape(3, 4), track_times=False)
        file.create_dataset("a/b/packed", data=np.arange(4000), compression="gzip", shuffle=True, track_times=False)
        file["a"].attrs["names"] = np.array([b"one", b"two"])
    return made


def refused(path, message):
    for opened in (lambda: open_hdf5(path, REMEDY), lambda: reading(path, REMEDY).__enter__()):
        with pytest.raises(InputError, match=message) as raised:
            opened()
        text = str(raised.value)
        assert str(path) in text
        assert text.endswith(REMEDY) or "put a file in its place" in text
        assert "\n" not in text


def test_a_whole_file_is_read(path):
    with reading(path, REMEDY) as file:
        assert file.attrs["text"] == "some text"
        assert file["a/b/packed"][3999] == 3999
    assert not file


def elsewhere(tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(5)
    return other


def external_link(file, tmp_path):
    file["a/link"] = h5py.ExternalLink(str(elsewhere(tmp_path)), "/secret")


def external_data(file, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(40))
    file.create_dataset("a/raw", (5,), "<i8", external=[(str(tmp_path / "raw"), 0, 40)])


def virtual_data(file, tmp_path):
    layout = h5py.VirtualLayout((5,), "<i8")
    layout[:] = h5py.VirtualSource(str(elsewhere(tmp_path)), "secret", (5,))
    file.create_virtual_dataset("virtual", layout)


def soft_link(file, tmp_path):
    file["soft"] = h5py.SoftLink("/plain")


def second_name(file, tmp_path):
    file["again"] = file["a"]


def loop(file, tmp_path):
    file["a/b/a"] = file["a"]


def deep(file, tmp_path):
    file.create_group("/".join("d" * 40))


def never_written(file, tmp_path):
    file.create_dataset("empty", (1 << 40,), "<f8")


def bomb(file, tmp_path):
    file.create_dataset("bomb", (1 << 40,), "<f8", chunks=(1 << 16,), compression="gzip")


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (external_link, "link is a link to elsewhere, which is not followed"),
        (external_data, "/a/raw has its data in another file, which is not read"),
        (virtual_data, "/virtual has its data in another file, which is not read"),
        (soft_link, "soft is a link to elsewhere"),
        (second_name, "has two names"),
        (loop, "has two names"),
        (deep, "more than 32 levels of groups"),
        (never_written, "/empty declares 8,796,093,022,208 bytes, but has 0"),
        (bomb, "/bomb declares 8,796,093,022,208 bytes, but has 0"),
    ],
)
def test_what_lies_elsewhere_or_nowhere_is_refused(path, tmp_path, alter, message):
    with h5py.File(path, "r+") as file:
        alter(file, tmp_path)
    refused(path, message)


def test_data_behind_the_end_of_the_file_are_refused(path):
    """A mapping of them into memory would be one of nothing."""
    with h5py.File(path, "r") as file:
        offset = file["plain"].id.get_offset()
    data, size = path.read_bytes(), (96).to_bytes(8, "little")
    near, far = (place.to_bytes(8, "little") + size for place in (offset, len(data) - 8))
    assert data.count(near) == 1
    path.write_bytes(data.replace(near, far))
    refused(path, "/plain declares 96 bytes, but has 96|is damaged")


@pytest.mark.parametrize("content", [b"", b"not at all", b"\x89HDF\r\n\x1a\n"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "some.h5").write_bytes(content)
    refused(tmp_path / "some.h5", "is not a complete HDF5 file")


def test_a_missing_file_a_directory_a_fifo_and_a_device_are_refused_at_once(tmp_path):
    refused(tmp_path / "none.h5", "is missing")
    refused(tmp_path, "is a directory, not a regular file")
    os.mkfifo(tmp_path / "fifo.h5")
    refused(tmp_path / "fifo.h5", "is a FIFO, not a regular file")


def test_what_hdf5_raises_while_reading_becomes_one_line(path):
    with pytest.raises(InputError, match=r"some\.h5 is damaged .*nothing.*; make it again"), reading(
        path, REMEDY
    ) as file:
        file["nothing"]


def test_a_file_that_crashes_hdf5_is_refused_by_a_process_that_lives_on(path, monkeypatch):
    monkeypatch.setattr(hdf5, "_read_group", lambda file, depth: os.kill(os.getpid(), signal.SIGSEGV))
    refused(path, r"is damaged \(HDF5 cannot read it\)")


def test_a_file_that_keeps_hdf5_in_a_loop_is_refused(path, monkeypatch):
    def never_ending(file, depth):
        while True:
            pass

    monkeypatch.setattr(hdf5, "_read_group", never_ending)
    monkeypatch.setattr(hdf5, "PATIENCE", 0.5)
    refused(path, r"is damaged \(HDF5 cannot read it\)")


def test_ctrl_c_while_a_file_is_looked_at_leaves_no_process(path, monkeypatch):
    monkeypatch.setattr(hdf5, "_read_group", lambda file, depth: time.sleep(60))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    before = psutil.Process().children()
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        open_hdf5(path, REMEDY)
    assert psutil.Process().children() == before


def test_the_look_says_nothing_and_changes_nothing(path, capfd):
    before = path.read_bytes(), signal.getsignal(signal.SIGINT)
    open_hdf5(path, REMEDY).close()
    assert (path.read_bytes(), signal.getsignal(signal.SIGINT)) == before
    assert capfd.readouterr() == ("", "")


def test_a_file_of_which_h5py_prints_is_refused(path, monkeypatch, capfd):
    """On standard output, in the midst of results."""
    monkeypatch.setattr(hdf5, "_read_group", lambda file, depth: print("Failed to find converter"))
    refused(path, r"is damaged \(HDF5 cannot read it\)")
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_two_thousand_files_with_bytes_altered(path, capfd):
    """About one in thirty crashes HDF5 1.10 where nothing has looked at it before, and of some h5py prints."""
    whole, read, lines = path.read_bytes(), 0, []
    for seed in range(2000):
        chosen, data = random.Random(seed), bytearray(whole)
        for _ in range(chosen.choice([1, 2, 8])):
            data[chosen.randrange(len(data))] = chosen.randrange(256)
        path.write_bytes(bytes(data))
        try:
            with reading(path, REMEDY) as file:
                file.visititems(
                    lambda _, item: (dict(item.attrs), isinstance(item, h5py.Dataset) and item[()])[2:] or None
                )
                read += 1
        except InputError as error:
            lines.append(str(error))
    assert all(str(path) in line and "\n" not in line for line in lines)
    assert read > 500
    assert capfd.readouterr().out == ""


def test_json_in_an_attribute(path):
    with h5py.File(path, "r+") as file:
        for name, value in {"text": '{"a": 1}', "bytes": b"[2]", "no": "{", "deep": b"[" * 60_000, "number": 7}.items():
            file.attrs[name] = value
        assert json_attribute(file, "text", path, REMEDY) == {"a": 1}
        assert json_attribute(file, "bytes", path, REMEDY) == [2]
        assert json_attribute(file, "none", path, REMEDY) is None
        for name, message in (
            ("no", "not valid JSON"),
            ("deep", r"not valid JSON \(more than 100 levels"),
            ("number", "is no text"),
        ):
            with pytest.raises(InputError, match=f"some.h5: the attribute {name} is.*{message[-8:]}.*make it again"):
                json_attribute(file, name, path, REMEDY)


def test_copies_made_at_different_times_are_equal_bytes(path, tmp_path):
    for name in ("one", "two"):
        with h5py.File(path, "r") as old, h5py.File(tmp_path / name, "w") as new:
            copy_without_times(old, new)
        time.sleep(1.1)  # HDF5 keeps times in seconds
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with h5py.File(tmp_path / "one", "r") as file:
        assert file.attrs["text"] == "some text"
        assert file["a"].attrs["names"].tolist() == [b"one", b"two"]
        np.testing.assert_array_equal(file["a/b/packed"][()], np.arange(4000))


def test_a_copy_that_stands_still_is_not_waited_for(tmp_path, monkeypatch):
    """As it may when another thread held a lock when it was copied: nothing is known, and the file is opened."""
    path = tmp_path / "x.h5"
    with h5py.File(str(path), "w") as file:
        file["x"] = [1, 2, 3]
    monkeypatch.setattr(hdf5, "_read_and_end", lambda path: time.sleep(1000))
    monkeypatch.setattr(hdf5, "STANDS_STILL", 0.2)
    with hdf5.reading(path, "make it again") as file:
        assert file["x"][1] == 2
