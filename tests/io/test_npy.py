import io
import zipfile

import numpy as np
import pytest

from snnb.core.errors import InputError, ResourceError
from snnb.core.machine import Memory
from snnb.io.budget import Budget
from snnb.io.npy import (
    check_archive,
    load_archive,
    load_array,
    read_member,
    write_member,
)

ARRAYS = {
    "plain": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.int64).reshape(2, 3, 4)),
    "big endian": np.arange(5, dtype=">u4"),
    "text": np.array(["one", "fünf"]),
    "a number": np.array(7, dtype=np.int16),
    "empty": np.empty((0, 28, 28), np.uint8),
}


def test_an_npy_file_is_mapped_read_only(tmp_path):
    for array in ARRAYS.values():
        np.save(tmp_path / "x.npy", array)
        found_array = load_array(tmp_path / "x.npy")
        assert found_array.dtype == array.dtype
        assert np.array_equal(found_array, array)
        assert not found_array.flags.writeable or found_array.size == 0


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_is_read(tmp_path, save):
    save(tmp_path / "x.npz", **ARRAYS)
    found_archive = load_archive(tmp_path / "x.npz")
    assert list(found_archive) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found_archive[name].dtype == array.dtype
        assert np.array_equal(found_archive[name], array)
    assert list(load_archive(tmp_path / "x.npz", names=["text"])) == ["text"]
    with pytest.raises(InputError, match=r"x\.npz: has no array y"):
        load_archive(tmp_path / "x.npz", must=["text", "y"])


def test_arrays_written_one_at_a_time_are_read_by_numpy(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name, array in ARRAYS.items():
            write_member(archive, name, array)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found_arrays:
        assert all(
            np.array_equal(found_arrays[name], array) for name, array in ARRAYS.items()
        )


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'"]
)
@pytest.mark.parametrize("load", [load_array, load_archive])
def test_other_files_are_refused(tmp_path, content, load):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=r"x: not a") as error_info:
        load(tmp_path / "x")
    assert "\n" not in str(error_info.value)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_declares_more_than_its_member_holds_is_refused(
    tmp_path, compression
):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<i8", "fortran_order": False, "shape": (4,)}
    )
    with zipfile.ZipFile(tmp_path / "x.npz", "w", compression) as archive:
        archive.writestr("a.npy", content.getvalue() + bytes(31))
    for check in (load_archive, check_archive):
        with pytest.raises(
            InputError,
            match=r"x\.npz: a\.npy declares 4 values of int64, and holds 31 bytes",
        ):
            check(tmp_path / "x.npz")


def test_an_archive_of_many_zeros_is_limited_by_memory(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(2_500_000))
    assert load_archive(tmp_path / "x.npz")["a"].size == 2_500_000
    monkeypatch.setattr("snnb.core.machine.memory", lambda: Memory(10**12, 19_999_999))
    with pytest.raises(ResourceError, match=r"x\.npz: the 2,500,000 values of a\.npy"):
        load_archive(tmp_path / "x.npz")


def test_the_arrays_of_an_archive_are_limited_together(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(100_000), b=np.zeros(100_000))
    monkeypatch.setattr("snnb.io.budget.FREE_BYTES", 1_500_000)
    monkeypatch.setattr("snnb.io.budget.BYTES_PER_BYTE", 1)
    assert load_archive(tmp_path / "x.npz", names=["a"])["a"].size == 100_000
    for check in (load_archive, check_archive):
        with pytest.raises(
            InputError,
            match=r"x\.npz: describes 100,000 values of b\.npy: 1,600,000 bytes",
        ):
            check(tmp_path / "x.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_than_deflate_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("a.npy", bytes(100))
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        for check in (
            load_archive,
            check_archive,
            lambda path: read_member(Budget(path), archive, "a.npy"),
        ):
            with pytest.raises(
                InputError, match=r"x\.npz: a\.npy is compressed, but not by deflate"
            ):
                check(tmp_path / "x.npz")


def test_objects_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([None]), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([None]))
    for load, name in ((load_array, "x.npy"), (load_archive, "x.npz")):
        with pytest.raises(
            InputError,
            match=r"(?i)object arrays cannot be loaded|array can't be memory-mapped",
        ):
            load(tmp_path / name)


def test_an_archive_cut_or_changed_anywhere_never_gives_other_numbers(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.arange(100))
    complete = path.read_bytes()
    for end in range(0, len(complete), 7):
        path.write_bytes(complete[:end])
        with pytest.raises(InputError, match=r"x\.npz"):
            load_archive(path, must=["a"])
    refusal_count = 0
    for place in range(0, len(complete), 3):
        path.write_bytes(
            complete[:place] + bytes([complete[place] ^ 0x55]) + complete[place + 1 :]
        )
        try:
            found_archive = load_archive(path)
            assert list(found_archive) == ["a"]
            assert np.array_equal(found_archive["a"], np.arange(100))
        except InputError:
            refusal_count += 1
    assert refusal_count > len(complete) // 6
