import hashlib
import os
import shutil

import pytest

from snnb.rundir.manifest import changed, external_records, file_record, folder_listing


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def put(path, content, time=1_700_000_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time, time))


def alter_in_secret(path):
    """Change a byte in the middle; size and time of change stay."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def folder(tmp_path):
    for name, content in (("a/b/1", b"one"), ("a/2", b"two"), ("a-b/3", b"three"), ("notes.txt", b"")):
        put(tmp_path / "pets" / name, content)
    put(tmp_path / "pets" / ".cache" / "4", b"hidden")
    return tmp_path / "pets"


LINES = "".join(
    f"{sha256(content)}  {name}\n"
    for name, content in (("a/2", b"two"), ("a/b/1", b"one"), ("a-b/3", b"three"), ("notes.txt", b""))
)


def record_of(folder):
    [record] = external_records([folder])
    return record


def test_a_folder_is_one_record_of_the_content_of_its_files(folder):
    record = record_of(folder)
    assert record.path == str(folder)
    assert record.sha256 == sha256(LINES.encode())
    assert record.size_bytes == 11
    assert record.external
    assert record.listing == folder_listing(folder)[0]
    assert changed(record) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: put(folder / "a" / "2", b"TWO"),
        lambda folder: put(folder / "a" / "5", b""),
        lambda folder: (folder / "a" / "2").unlink(),
        lambda folder: (folder / "a").rename(folder / "c"),
        shutil.rmtree,
    ],
    ids=["other bytes", "added", "removed", "renamed", "gone"],
)
def test_a_folder_that_was_changed_is_told_and_one_that_is_gone_is_not(folder, change):
    record = record_of(folder)
    change(folder)
    for path in folder.rglob("*"):
        os.utime(path, (1_700_000_002, 1_700_000_002))
    assert changed(record) == (None if not folder.exists() else "has changed")


def test_a_copy_with_other_times_is_the_same_folder(folder, tmp_path):
    record = record_of(folder)
    shutil.copytree(folder, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (1, 1))
    copied = record.model_copy(update={"path": str(tmp_path / "copy")})
    assert folder_listing(tmp_path / "copy")[0] != record.listing
    assert changed(copied) is None
    put(tmp_path / "copy" / "a" / "2", b"TWO")
    assert changed(copied) == "has changed"


def test_a_folder_with_its_listing_is_not_read(folder, monkeypatch):
    record = record_of(folder)
    monkeypatch.setattr("snnb.rundir.manifest.sha256_of", lambda path: pytest.fail(f"{path} was read"))
    assert changed(record) is None
    put(folder / "new", b"1")
    assert changed(record) == "has changed"  # the sizes say so


def test_a_file_is_compared_by_content_whatever_its_time(tmp_path):
    path = tmp_path / "model.h5"
    put(path, b"weights")
    record = file_record(path)
    assert (record.sha256, record.size_bytes, record.listing) == (sha256(b"weights"), 7, None)
    put(path, b"weights", time=1)
    assert changed(record) is None
    for other in (b"Weights", b"more weights"):
        put(path, other)
        assert changed(record) == "has changed"
    path.unlink()
    assert changed(record) is None


def test_a_picture_replaced_with_size_and_time_kept_is_found_by_reading_all(folder):
    record = record_of(folder)
    alter_in_secret(folder / "a" / "2")
    assert changed(record) is None
    assert changed(record, read_all=True) == "has changed"


def test_files_behind_links_count_and_broken_links_do_not(folder, tmp_path):
    put(tmp_path / "outside" / "5", b"longer")
    for name, target in (("e", tmp_path / "outside"), ("f", folder / "a" / "2"), ("g", tmp_path / "nowhere")):
        (folder / name).symlink_to(target)
    assert folder_listing(folder)[1] == {"a/2": 3, "a/b/1": 3, "a-b/3": 5, "e/5": 6, "f": 3, "notes.txt": 0}
