"""Pictures that are too large, broken, or no files at all: named, and never waited for."""

import os
import shutil
import struct
import time
import zlib

import numpy as np
import pytest
from own_process import prepared_alone
from PIL import Image

from snnb.datasets import pictures


@pytest.fixture
def own(tmp_path, picture):
    """A hundred pictures of two classes for training, one of each for the test."""
    for number in range(100):
        picture(f"own/train/{'ab'[number % 2]}/{number}.png", (number, 0, 0), size=(4, 4))
    for name in "ab":
        picture(f"own/test/{name}/0.png", size=(4, 4))
    return tmp_path / "own"


def plain_png(path, width, height, grey=True):
    """A PNG of one colour, written line by line, so that no picture of that size is ever in memory."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    line = b"\0" + bytes(width * (1 if grey else 3))
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def make_bomb(path):
    plain_png(path, 12_000, 12_000)
    assert path.stat().st_size < 200_000


MADE = {
    "a bomb": (make_bomb, r"144 megapixels, more than 50; make it smaller"),
    "a larger bomb": (lambda path: plain_png(path, 30_000, 30_000), "decompression bomb"),
    "a FIFO": (os.mkfifo, "is a FIFO, not a regular file"),
    "a directory": (os.mkdir, "is a directory, not a regular file"),
    "a link to nowhere": (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a regular file"),
    "a huge file": (lambda path: (path.touch(), os.truncate(path, 10**10)), "longer than 256 MiB"),
    "PostScript": (lambda path: Image.new("RGB", (4, 4)).save(path, "EPS"), "not a picture"),
    "too little": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "not a picture"),
}


@pytest.mark.parametrize("what", MADE)
def test_it_is_named_among_the_broken_ones(own, tmp_path, what):
    make, reason = MADE[what]
    path = own / "train" / "a" / "0.png"
    path.unlink()
    make(path)
    line, mebibytes = prepared_alone(f"folder:{own}", tmp_path / "target", shape=(4, 4, 3), tell=True, timeout=20)
    print(f"\n{what}: {line} [{mebibytes} MiB]")
    assert line.startswith(f"1 of 100 train pictures cannot be read and are left out: {path}")
    assert reason in line
    assert mebibytes < 60


def test_many_large_pictures_at_once_take_the_memory_of_few(own, tmp_path):
    plain_png(tmp_path / "large.png", 6000, 6000, grey=False)
    for number in range(0, 24, 2):
        shutil.copyfile(tmp_path / "large.png", own / "train" / "a" / f"{number}.png")
    line, mebibytes = prepared_alone(f"folder:{own}", tmp_path / "target", shape=(4, 4, 3), threads=12, tell=True)
    print(f"\n{line} [{mebibytes} MiB]")
    assert line == "prepared"
    assert mebibytes < 300


def test_a_picture_up_to_the_limit_is_decoded(run_prepare, own, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "LARGEST_PIXELS", 16)
    _, prepared = run_prepare(f"folder:{own}", shape=(4, 4, 3))
    assert prepared.warnings == []
    monkeypatch.setattr(pictures, "LARGEST_PIXELS", 15)
    with pytest.raises(Exception, match="0 megapixels, more than 0"):
        run_prepare(f"folder:{own}", shape=(4, 4, 3))


def decoded(run_prepare, tmp_path, shape):
    return np.load(run_prepare(f"folder:{tmp_path / 'own'}", shape=shape)[0] / "x_train.npy")[0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_of_any_format_is_turned_upright_once(run_prepare, tmp_path, picture, suffix, orientation):
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:8] = 255  # the edge that is at the top of the stored picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    for part in ("train", "test"):
        picture(f"own/{part}/a/0.{suffix}", stored, exif=exif)
    turned = orientation > 4
    upright = decoded(run_prepare, tmp_path, (48, 32, 3) if turned else (32, 48, 3))
    edges = {
        1: upright[:6],
        3: upright[-6:],
        6: upright[:, -6:],  # the top of what is stored is on the right (EXIF 2.3, tag 274)
        8: upright[:, :6],
    }
    assert edges[orientation].mean() > 250
    assert upright.mean() < 100


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0" + b"\xff" * 40, b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x01" * 30]
)
def test_metadata_that_are_nonsense_do_not_matter(run_prepare, tmp_path, exif):
    for part in ("train", "test"):
        path = tmp_path / "own" / part / "a" / "0.jpg"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), (200, 100, 50)).save(path, exif=exif, quality=100)
    assert np.abs(decoded(run_prepare, tmp_path, (8, 8, 3)).astype(int) - (200, 100, 50)).max() < 4


def test_a_waiting_picture_goes_on_when_another_is_done():
    budget = pictures._Budget(10)
    order = []
    with pictures.ThreadPoolExecutor(2) as pool, budget.taken(7):
        later = pool.submit(lambda: [order.append("later") for _ in [0] if budget.taken(4).__enter__() is None])
        time.sleep(0.05)
        order.append("first")
    later.result()
    assert order == ["first", "later"]
