"""Files that declare more than they hold: refused by name before memory is taken."""

import gzip
import struct
import zipfile

import numpy as np
import pytest
from official_files import idx_bytes
from own_process import prepared_alone

MOST = 300  # MiB


def refused(name, tmp_path, source, file):
    line, mebibytes = prepared_alone(name, tmp_path / "target", source)
    print(f"\n{file}: {line} [{mebibytes} MiB]")
    assert line.startswith("InputError: ")
    assert str(file) in line
    assert mebibytes < MOST
    return line


def length(size, value):
    return value.to_bytes(size, "little")


HUGE = {
    "LONG_BINPUT": b"r" + length(4, 2**28),
    "PUT": b"p1000000000\n",
    "a PUT of many digits": b"p" + b"9" * 5000 + b"\n",
    "LONG1": b"\x8a\xff" + b"\x01",
    "LONG4": b"\x8b" + length(4, 2**31 - 1),
    "a LONG of many digits": b"L" + b"9" * 400_000 + b"L\n",
    "an INT of many digits": b"I" + b"9" * 400_000 + b"\n",
    "BINSTRING": b"T" + length(4, 2**31 - 1),
    "BINBYTES": b"B" + length(4, 2**32 - 1),
    "BINBYTES8": b"\x8e" + length(8, 2**32),
    "BINUNICODE": b"X" + length(4, 2**32 - 1),
    "BINUNICODE8": b"\x8d" + length(8, 2**32),
    "BYTEARRAY8": b"\x96" + length(8, 2**32),
    "FRAME": b"\x95" + length(8, 2**62),
    "BINBYTES8 beyond 64 bits": b"\x8e" + length(8, 2**64 - 1),
    "many sets": b"\x8f" * 20_000_000,
    "a tuple of tuples as a key": b"}" + b")" + b"2\x86" * 60 + b"Ns",
    "text encoded again and again": b"c_codecs\nencode\nq\x00X"
    + length(4, 10**7)
    + b"x" * 10**7
    + b"\x8c\x06latin1\x86q\x01"
    + b"h\x00h\x01R" * 600,
}


@pytest.mark.parametrize("what", HUGE)
def test_a_pickle_takes_no_more_than_its_size(tmp_path, cifar10_folder, what):
    path = cifar10_folder / "cifar-10-batches-py" / "data_batch_2"
    path.write_bytes(b"\x80\x04N" + HUGE[what] + b"." if what != "LONG1" else b"\x80\x04" + HUGE[what])
    refused("cifar10", tmp_path, cifar10_folder, path)


def test_a_batch_larger_than_any_is_not_read(tmp_path, cifar10_folder):
    path = cifar10_folder / "cifar-10-batches-py" / "data_batch_1"
    with path.open("r+b") as file:
        file.truncate(10**10)
    assert "longer than" in refused("cifar10", tmp_path, cifar10_folder, path)


def idx_header(*shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)


def write_gzipped_zeros(path, header, zeros):
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header)
        for start in range(0, zeros, 2**24):
            file.write(bytes(min(2**24, zeros - start)))


def test_a_gzip_bomb_is_not_unpacked_beyond_what_its_header_says(tmp_path, mnist_folder):
    path = mnist_folder / "t10k-images-idx3-ubyte.gz"
    write_gzipped_zeros(path, idx_header(20, 28, 28), 3 * 10**9 // 4)
    assert "too long: 15,696 bytes expected" in refused("mnist", tmp_path, mnist_folder, path)


def test_a_gzip_bomb_whose_header_says_so_is_not_unpacked(tmp_path, mnist_folder):
    path = mnist_folder / "t10k-images-idx3-ubyte.gz"
    write_gzipped_zeros(path, idx_header(10**6, 28, 28), 784 * 10**6)
    assert "declares 784,000,016 bytes" in refused("mnist", tmp_path, mnist_folder, path)


@pytest.mark.parametrize("packed", [True, False])
def test_an_idx_file_that_declares_terabytes(tmp_path, mnist_folder, packed):
    name = "train-images-idx3-ubyte"
    path = mnist_folder / (f"{name}.gz" if packed else name)
    (mnist_folder / name).unlink()
    header = idx_header(10**12 // 28**2, 28, 28) + bytes(100)
    path.write_bytes(gzip.compress(header) if packed else header)
    line = refused("mnist", tmp_path, mnist_folder, path)
    assert "999,999,999,952 bytes" in line


def write_npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                for block in content:
                    file.write(block)


def npy_header(shape, kind="|u1"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_an_npz_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "mnist.npz"
    zeros = [npy_header((800_000, 1000)), *([bytes(10**8)] * 8)]
    write_npz(path, x_train=zeros, y_train=[], x_test=[], y_test=[])
    assert "declares far more data" in refused("mnist", tmp_path, path, path)


def test_an_npz_that_declares_terabytes(tmp_path):
    path = tmp_path / "mnist.npz"
    parts = {name: [npy_header((10**12, 28, 28)), bytes(784)] for name in ("x_train", "y_train", "x_test", "y_test")}
    write_npz(path, **parts)
    assert "784,000,000,000,000 bytes" in refused("mnist", tmp_path, path, path)


def test_a_plain_large_file_is_still_read(tmp_path, mnist_folder, mnist_arrays):
    count = 200_000  # as many as no MNIST file has
    for name, array in (("images-idx3", np.zeros((count, 28, 28))), ("labels-idx1", np.zeros(count))):
        (mnist_folder / f"train-{name}-ubyte").write_bytes(idx_bytes(array))
    line, _ = prepared_alone("mnist", tmp_path / "target", mnist_folder)
    assert line == "prepared"
