import io
import os
import signal
import struct
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.io.npy import load_archive, load_array, parse_archive

ARRAYS = {
    "plain": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.int64).reshape(2, 3, 4)),
    "big endian": np.arange(5, dtype=">u4"),
    "flags": np.array([True, False]),
    "text": np.array(["one", "fünf"]),
    "bytes": np.array([b"ab", b"c"]),
    "a number": np.array(7, dtype=np.int16),
    "empty": np.empty((0, 28, 28), np.uint8),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_writes_is_read(tmp_path, name, version):
    path, array = tmp_path / "x.npy", ARRAYS[name]
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version)
    found = load_array(path, "make it again")
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_an_array_is_mapped_and_cannot_be_changed(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    found = load_array(tmp_path / "x.npy", "")
    assert isinstance(found, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_gives_the_arrays_asked_for(tmp_path, save):
    save(tmp_path / "x.npz", **ARRAYS)
    found = load_archive(tmp_path / "x.npz", "")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    assert list(load_archive(tmp_path / "x.npz", "", names=["text"])) == ["text"]
    assert list(parse_archive((tmp_path / "x.npz").read_bytes(), "x.npz", "", names=["text"])) == ["text"]
    with pytest.raises(InputError, match=r"x\.npz has no array y; make it again"):
        load_archive(tmp_path / "x.npz", "make it again", must=["text", "y"])


def npy(header, data=b"", version=1):
    text = header.encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def described(shape, kind="'|u1'", order="False"):
    return f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@contextmanager
def within(seconds):
    """Fail instead of waiting for ever."""

    def end(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


WRONG = {
    "nothing": (b"", "is no numpy array"),
    "text": (b"<html>", "is no numpy array"),
    "a later version": (npy(described("(3,)"), bytes(3), version=4), "is no numpy array"),
    "a long header": (npy(described("(3,)") + " " * 20_000, bytes(3)), "a header of 20,0"),
    "a header without end": (npy("{'descr': '|u1'"), "no array of plain numbers"),
    "objects": (npy(described("(1,)", "'|O'"), b"N."), "no array of plain numbers"),
    "a structure": (npy(described("(1,)", "[('a', '|u1')]"), b"1"), "no array of plain numbers"),
    "times": (npy(described("(1,)", "'<M8[s]'"), bytes(8)), "no array of plain numbers"),
    "an unknown type": (npy(described("(1,)", "'<i3'"), bytes(3)), "unknown type <i3"),
    "no size": (npy(described("(1,)", "'<U0'")), "of no size"),
    "a size beyond all": (npy(described("(1,)", "'|S99999999999'")), "no array of plain numbers"),
    "a negative size": (npy(described("(1,)", "'<U2000000000'")), "no array of plain numbers"),
    "too little": (
        npy(described("(784000000000000,)"), bytes(9)),
        "declares 784,000,000,000,000 bytes of data, but has 9",
    ),
    "too much": (npy(described("(3,)"), bytes(4)), "declares 3 bytes of data, but has 4"),
    "leading zeros": (npy(described("(003,)"), bytes(4)), "declares 3 bytes of data, but has 4"),
    "a negative length": (npy(described("(-3,)"), bytes(3)), "no array of plain numbers"),
    "a call": (npy(described("__import__('os').system('true')"), bytes(3)), "no array of plain numbers"),
    "digits without end": (npy(described("(" + "1" * 9000 + "x)"), bytes(3)), "no array of plain numbers"),
    "numbers without commas": (npy(described("(" + "1 " * 4000 + ")"), bytes(3)), "no array of plain numbers"),
    "many axes": (npy(described("(" + "1," * 33 + ")"), bytes(1)), "33 axes"),
    "nothing of much": (npy(described("(0," + "9" * 18 + "," + "9" * 18 + ")")), "shape"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_array_is_named(tmp_path, what):
    content, message = WRONG[what]
    (tmp_path / "x.npy").write_bytes(content)
    with within(5), pytest.raises(InputError, match=f"x.npy.*{message}.*; make it again"):
        load_array(tmp_path / "x.npy", "make it again")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("y.npy", content)
    with within(5), pytest.raises(InputError, match=f"x.npz: y.*{message}.*; make it again"):
        load_archive(tmp_path / "x.npz", "make it again")


def test_numpy_writes_objects_that_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(InputError, match="no array of plain numbers"):
        load_array(tmp_path / "x.npy", "")


def test_another_shape_than_expected_is_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 4)))
    assert load_array(tmp_path / "x.npy", "", shape=(None, 4)).shape == (3, 4)
    with pytest.raises(InputError, match="has the shape 3×4, expected is any×5"):
        load_array(tmp_path / "x.npy", "", shape=(None, 5))
    with pytest.raises(InputError, match="has the shape 3×4, expected is 3"):
        load_array(tmp_path / "x.npy", "", shape=(3,))


def packed(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def test_an_archive_cut_or_changed_anywhere_is_named(tmp_path):
    path, whole = tmp_path / "x.npz", packed(a=np.arange(100))
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"x\.npz.*; make it again"):
            load_archive(path, "make it again", must=["a"])
    refused = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert np.array_equal(load_archive(path, "make it again", must=["a"])["a"], np.arange(100))
        except InputError:
            refused += 1
    assert refused > len(whole) // 6


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(described("(400000000,)")) + bytes(400_000_000))
    with pytest.raises(InputError, match=r"declares far more data than 388,[0-9]{3} bytes can hold; make it again"):
        load_archive(path, "make it again")


@pytest.mark.parametrize("load", [load_array, load_archive])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, load):
    os.mkfifo(tmp_path / "x")
    with within(5), pytest.raises(InputError, match="x is a FIFO"):
        load(tmp_path / "x", "")
