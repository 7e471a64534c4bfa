import resource

import psutil
import pytest
import yaml

from snnb.core.errors import InputError
from snnb.pipeline.all import KINDS
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import load_manifest


@pytest.fixture
def stored(run, write):
    with run.locked():
        write(run, "first")
    path = run.path / "manifest.yaml"
    return path, yaml.safe_load(path.read_text())


def test_reading_gives_what_was_written(run, write):
    with run.locked():
        write(run, "first")
    assert load_manifest(run.path / "manifest.yaml", KINDS) == run.manifest


def test_keys_stand_in_the_order_of_the_contract(stored):
    _, data = stored
    assert list(data) == ["schema_version", "run", "stages"]
    assert list(data["stages"]["prepare"]) == [
        *("status", "command", "params", "inputs", "outputs"),
        *("metrics", "environment", "timing", "warnings", "details"),
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
        (("stages", "prepare", "params", "seed"), "seven", r"stages\.prepare\.params\.seed"),
        (("stages", "prepare", "params", "epochs"), 3, r"stages\.prepare\.params\.epochs"),
        (("stages", "prepare", "outputs", 0, "path"), "../../etc/passwd", "leaves the run directory"),
        (("stages", "prepare", "outputs", 0, "path"), "/etc/passwd", "leaves the run directory"),
        (("stages", "prepare", "outputs", 0, "sha256"), "abc", "sha256"),
        (("stages", "prepare", "status"), "half", "status"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(stored, path, value, message):
    file, data = stored
    change(data, path, value)
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(InputError, match=message) as caught:
        RunDirectory.open(file.parent, KINDS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"run: [", "not valid YAML"),
        (b"\xff\xfe\x00", "not text"),
        (b"- 1\n", "no manifest"),
        (b"", "no manifest"),
        (b"!!python/object/apply:os.system ['touch /tmp/owned']", "not valid YAML"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, content, message):
    path = tmp_path / "manifest.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_manifest(path, KINDS)


MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: 1}}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1]\nb: [*a, *a]\n", "line 2 has an alias"),
        (MERGES, "has an alias"),
        ("[" * 200_000, r"levels deep|not valid YAML \(line 1, column 1001\)"),
        ("{a: " * 200_000, r"levels deep|not valid YAML \(line 1, column"),
        ("schema_version: 2026-13-45", "holds a value that is not valid"),
        ("schema_version: !!float abc", "holds a value that is not valid"),
        ("schema_version: !!python/object/apply:os.system [ls]", "not valid YAML"),
        (f"schema_version: {'9' * 5000}", "holds a value that is not valid"),
        ("schema_version: !!binary x", "not valid YAML|value that is not valid"),
        ("\0", "not valid YAML"),
        ("? [a]\n: b", "not valid YAML|value that is not valid"),
        ("", "not a mapping"),
    ],
    ids=range(12),
)
def test_a_manifest_made_to_harm_is_refused_at_once(stored, text, message):
    file, _ = stored
    file.write_text(text)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 300 * 2**20, hard))
    try:
        with pytest.raises(InputError, match=message) as caught:
            RunDirectory.open(file.parent, KINDS)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert len(str(caught.value)) < 500


def test_a_manifest_longer_than_any_is_not_read(stored):
    file, _ = stored
    with file.open("r+b") as opened:
        opened.truncate(1 << 33)
    with pytest.raises(InputError, match="longer than"):
        RunDirectory.open(file.parent, KINDS)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("run", "model"), "../../../escaped", r"run\.model"),
        (("run", "model"), "a/b", r"run\.model"),
        (("stages", "prepare", "outputs", 0, "path"), "train/x.npy", "is not in dataset/"),
        (("stages", "prepare", "outputs", 0, "size_bytes"), 10**400, "size_bytes"),
        (("stages", "prepare", "timing", "wall_s"), float("nan"), "wall_s"),
    ],
)
def test_what_a_manifest_names_stays_in_its_place(stored, path, value, message):
    file, data = stored
    change(data, path, value)
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(InputError, match=message):
        RunDirectory.open(file.parent, KINDS)


@pytest.mark.parametrize("folder", ["simulations", "graphs"])
@pytest.mark.parametrize("stamp", ["../../victim", "x", "20260101T000000Z/..", "20260101T000000Z\n"])
def test_stamps_are_stamps(stored, folder, stamp):
    file, data = stored
    data["stages"][folder] = {stamp: {}}
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(InputError, match=f"{folder}"):
        RunDirectory.open(file.parent, KINDS)
