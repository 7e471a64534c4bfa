"""Orientation and metadata of pictures, and formats that are not read."""

import numpy as np
import pytest
from PIL import Image

from snnb.core.errors import InputError


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


def test_a_format_for_which_pillow_runs_another_program_is_not_read(run_prepare, tmp_path, picture):
    for part in ("train", "test"):
        picture(f"own/{part}/a/0.png", size=(4, 4))
    Image.new("RGB", (4, 4)).save(tmp_path / "own/train/a/1.png", "EPS")
    with pytest.raises(InputError, match=r"1 of 2 pictures cannot be read.*1\.png: not a picture"):
        run_prepare(f"folder:{tmp_path / 'own'}", shape=(4, 4, 3))
