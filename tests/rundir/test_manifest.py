import pytest
import yaml

from snnb.core.errors import InputError
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import load_manifest
from snnb.stages.all import KINDS


@pytest.fixture
def stored(run, write):
    with run.locked():
        write(run, "first")
    path = run.path / "manifest.yaml"
    return path, yaml.safe_load(path.read_text())


def test_what_is_read_is_what_was_written_with_keys_in_the_order_of_the_contract(run, stored):
    path, data = stored
    assert load_manifest(path, KINDS) == run.manifest
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
        (("stages", "prepare", "outputs", 0, "sha256"), "abc", "sha256"),
        (("stages", "prepare", "status"), "half", "status"),
        (("run", "model"), "../../../escaped", r"run\.model"),
        (("stages", "prepare", "outputs", 0, "path"), "train/x.npy", "is not in dataset/"),
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
        (b"", "it is empty; restore"),
        (b"- run", "it holds list, not a mapping"),
        (b"run: 2026-13-45", "a value that is not valid"),
        (b"!!python/object/apply:os.system ['touch /tmp/owned']", "not valid YAML"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, content, message):
    path = tmp_path / "manifest.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_manifest(path, KINDS)


@pytest.mark.parametrize("folder", ["simulations", "graphs"])
@pytest.mark.parametrize("stamp", ["../../victim", "x", "20260101T000000Z/..", "20260101T000000Z\n"])
def test_stamps_are_stamps(stored, folder, stamp):
    file, data = stored
    data["stages"][folder] = {stamp: {}}
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(InputError, match=f"{folder}"):
        RunDirectory.open(file.parent, KINDS)


def test_of_results_that_started_in_one_second_the_last_name_is_current(run, stored):
    record, names = run.record_of("prepare"), ["20261127T112301Z", "20261127T112302Z"]
    timing = record.timing.model_copy(update={"started_utc": "2200-01-01T00:00:00+00:00"})
    later = record.model_copy(update={"timing": timing})

    def current(results):
        stages = run.manifest.stages.model_copy(update={"maps": results})
        run.manifest = run.manifest.model_copy(update={"stages": stages})
        return run.current("map")

    assert current(dict.fromkeys(names, record)) == current(dict.fromkeys(reversed(names), record)) == names[1]
    assert current({names[0]: later, names[1]: record}) == names[0]
    assert current({}) is None
