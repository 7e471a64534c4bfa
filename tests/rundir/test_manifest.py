import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from snnb.core.errors import InputError
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external_files import (
    changed,
    external_records,
    file_record,
    list_folder,
)
from snnb.rundir.manifest import SEAL, FileRecord, load_manifest, sealed
from snnb.stages.all import KINDS


@pytest.fixture
def stored_run(run, write):
    with run.locked():
        write(run, "first")
    path = run.path / "manifest.yaml"
    return path, yaml.safe_load(path.read_text())


def test_what_is_read_is_what_was_written_with_keys_in_the_order_of_the_contract(
    run, stored_run
):
    path, data = stored_run
    assert load_manifest(path, KINDS) == run.manifest
    assert list(data) == ["schema_version", "run", "stages"]
    assert list(data["stages"]["prepare"]) == [
        *("status", "command", "options", "params", "inputs", "outputs"),
        *("environment", "timing", "warnings", "details"),
    ]


def change(data, path, value):
    *parents, last = path
    for key in parents:
        data = data[key]
    data[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema_version",), 2, "schema_version is 2"),
        (("run", "colour"), "red", r"run\.colour"),
        (
            ("stages", "prepare", "params", "seed"),
            "seven",
            r"stages\.prepare\.params\.seed",
        ),
        (
            ("stages", "prepare", "params", "epochs"),
            3,
            r"stages\.prepare\.params\.epochs",
        ),
        (
            ("stages", "prepare", "outputs", 0, "path"),
            "../../etc/passwd",
            "leaves the run directory",
        ),
        (("stages", "prepare", "outputs", 0, "sha256"), "abc", "sha256"),
        (("stages", "prepare", "status"), "half", "status"),
        (("run", "model"), "../../../escaped", r"run\.model"),
        (
            ("stages", "prepare", "outputs", 0, "path"),
            "train/x.npy",
            "is not in dataset/",
        ),
        (
            ("stages", "prepare", "timing", "started_utc"),
            "9999999-99-99",
            r"timing\.started_utc",
        ),
    ],
)
def test_what_is_wrong_is_named_in_one_line(stored_run, path, value, message):
    file, data = stored_run
    change(data, path, value)
    file.write_text(sealed(yaml.safe_dump(data)))
    with pytest.raises(InputError, match=message) as caught:
        RunDirectory.open(file.parent, KINDS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("run: [", "not valid YAML"),
        ("", "it is empty; restore"),
        ("- run", "it holds list, not a mapping"),
        ("run: 2026-13-45", "a number, date or key that YAML does not allow"),
        ("run: 1:30", "line 1: 1:30 is a number in base 60"),
        ("!!python/object/apply:os.system ['touch /tmp/owned']", "not valid YAML"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, content, message):
    path = tmp_path / "manifest.yaml"
    path.write_text(sealed(f"{content}\n"))
    with pytest.raises(InputError, match=message):
        load_manifest(path, KINDS)


@pytest.mark.parametrize("folder", ["simulations", "graphs"])
@pytest.mark.parametrize(
    "stamp", ["../../victim", "x", "20260101T000000Z/..", "20260101T000000Z\n"]
)
def test_stamps_are_stamps(stored_run, folder, stamp):
    file, data = stored_run
    data["stages"][folder] = {stamp: {}}
    file.write_text(sealed(yaml.safe_dump(data)))
    with pytest.raises(InputError, match=f"{folder}"):
        RunDirectory.open(file.parent, KINDS)


def test_of_results_that_started_in_one_second_the_last_name_is_the_latest(
    run, stored_run
):
    record, names = run.record_of("prepare"), ["20261127T112301Z", "20261127T112302Z"]
    timing = record.timing.model_copy(
        update={"started_utc": "2200-01-01T00:00:00+00:00"}
    )
    later = record.model_copy(update={"timing": timing})

    def latest(results):
        stages = run.manifest.stages.model_copy(update={"maps": results})
        run.manifest = run.manifest.model_copy(update={"stages": stages})
        return run.latest("map")

    assert (
        latest(dict.fromkeys(names, record))
        == latest(dict.fromkeys(reversed(names), record))
        == names[1]
    )
    assert latest({names[0]: later, names[1]: record}) == names[0]
    assert latest({}) is None


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
    for name, content in (
        ("a/b/1", b"one"),
        ("a/2", b"two"),
        ("a-b/3", b"three"),
        ("notes.txt", b""),
    ):
        put(tmp_path / "pets" / name, content)
    put(tmp_path / "pets" / ".cache" / "4", b"hidden")
    return tmp_path / "pets"


LINES = "".join(
    f"{sha256(content)}  {name}\n"
    for name, content in (
        ("a/2", b"two"),
        ("a/b/1", b"one"),
        ("a-b/3", b"three"),
        ("notes.txt", b""),
    )
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
    assert record.listing == list_folder(folder).sha256
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
    copied_record = record.model_copy(update={"path": str(tmp_path / "copy")})
    assert list_folder(tmp_path / "copy").sha256 != record.listing
    assert changed(copied_record) is None
    put(tmp_path / "copy" / "a" / "2", b"TWO")
    assert changed(copied_record) == "has changed"


def test_a_folder_with_its_listing_is_not_read(folder, monkeypatch):
    record = record_of(folder)
    monkeypatch.setattr(
        "snnb.rundir.hashes.sha256_of", lambda path: pytest.fail(f"{path} was read")
    )
    assert changed(record) is None
    put(folder / "new", b"1")
    assert changed(record) == "has changed"  # the sizes say so


def test_a_file_is_compared_by_content_whatever_its_time(tmp_path):
    path = tmp_path / "model.h5"
    put(path, b"weights")
    record = file_record(path)
    assert (record.sha256, record.size_bytes, record.listing) == (
        sha256(b"weights"),
        7,
        None,
    )
    put(path, b"weights", time=1)
    assert changed(record) is None
    for other_content in (b"Weights", b"more weights"):
        put(path, other_content)
        assert changed(record) == "has changed"
    path.unlink()
    assert changed(record) is None


def test_a_picture_replaced_with_size_and_time_kept_is_found_by_reading_all(folder):
    record = record_of(folder)
    alter_in_secret(folder / "a" / "2")
    assert changed(record) is None
    assert changed(record, read_all=True) == "has changed"


def test_links_are_not_followed_and_what_they_lead_to_has_its_own_record(
    folder, tmp_path
):
    outside = tmp_path / "outside"
    put(outside / "5", b"longer")
    (outside / "back").symlink_to(outside)
    targets = {"e": outside, "f": folder / "a" / "2", "g": tmp_path / "nowhere"}
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    listing = list_folder(folder)
    assert listing.sizes == {
        "a/2": 3,
        "a/b/1": 3,
        "a-b/3": 5,
        "notes.txt": 0,
        **{name: len(str(target)) for name, target in targets.items()},
    }
    records = external_records([folder])
    assert [(record.path, record.files) for record in records] == [
        (str(folder), 7),
        (str(outside), 2),
    ]
    assert [changed(record, read_all=True) for record in records] == [None, None]
    put(outside / "5", b"other!")
    assert [changed(record, read_all=True) for record in records] == [
        None,
        "has changed",
    ]
    (folder / "e").unlink()
    (folder / "e").symlink_to(folder / "a")
    assert changed(records[0]) == "has changed"


def test_a_folder_is_listed_no_further_than_its_record(folder, monkeypatch):
    """A record from somebody else may name any folder."""
    record = record_of(folder)
    for number in range(50):
        put(folder / "z" / str(number), b"")
    listed_folders = []
    lstat = Path.lstat
    monkeypatch.setattr(
        Path, "lstat", lambda path: listed_folders.append(path) or lstat(path)
    )
    assert changed(record, read_all=True) == "has changed"
    files = [path for path in listed_folders if path.is_file()]
    assert record.files < len(files) <= record.files + 2


@pytest.mark.parametrize("path", ["/proc/self/mem", "/proc/kmsg", "/dev/zero"])
def test_a_file_without_end_is_not_read(path):
    record = FileRecord(path=path, sha256="0" * 64, size_bytes=0, external=True)
    assert changed(record, read_all=True) == "has changed"


def test_each_flipped_bit_of_a_manifest_is_found(stored_run):
    file, _ = stored_run
    content = file.read_bytes()
    for position in range(0, len(content), 37):
        altered_content = bytearray(content)
        altered_content[position] ^= 1 << position % 7
        file.write_bytes(altered_content)
        with pytest.raises(InputError) as caught:
            RunDirectory.open(file.parent, KINDS)
        assert "\n" not in str(caught.value)
    file.write_bytes(content[: content.index(b"stages:")])
    with pytest.raises(
        InputError, match="has no checksum in its last line; restore it"
    ):
        RunDirectory.open(file.parent, KINDS)


def test_an_edited_manifest_is_read_with_the_line_that_the_message_names(stored_run):
    file, _ = stored_run
    edited_text = file.read_text().replace("model: mini_network", "model: lenet_mnist")
    file.write_text(edited_text)
    with pytest.raises(
        InputError, match="was changed after it was written; restore it from a copy"
    ) as caught:
        RunDirectory.open(file.parent, KINDS)
    (line,) = re.findall("`(.*)`", str(caught.value))
    file.write_text(f"{edited_text[: edited_text.index(SEAL)]}{line}\n")
    assert RunDirectory.open(file.parent, KINDS).manifest.run.model == "lenet_mnist"
