"""`prepare` on folders of pictures and files of one's own: what is recorded, and when it has to run again."""

import pytest
from PIL import Image

from snnb.pipeline import prepare
from snnb.pipeline.all import KINDS
from snnb.pipeline.model import identify_model
from snnb.pipeline.open_run import open_run
from snnb.pipeline.stage import stale_reason
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import RunInfo


@pytest.fixture
def pets(tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        for name in ("ant", "bee"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / "pets" / part / name / f"{number}.png")
    return tmp_path / "pets"


@pytest.fixture
def prepared(tmp_path, pets):
    info = RunInfo(
        model="lenet_mnist", dataset=f"folder:{pets}", created_utc="2026-01-01T00:00:00+00:00", snnb_version="0"
    )
    run = RunDirectory.create(tmp_path / "run", info, KINDS)

    def go(**options):
        with run.locked():
            prepare.run(run, prepare.resolve(run, {"shape": (4, 4, 1), **options}))
        return open_run(run.path)

    return go


def reason(run):
    return stale_reason(run, run.record_of("prepare"), {})


def replace(pets):
    Image.new("RGB", (6, 4), (99, 0, 0)).save(pets / "train" / "ant" / "0.png")


@pytest.mark.parametrize(
    "change",
    [
        replace,
        lambda pets: (pets / "train" / "bee" / "5.png").rename(pets / "train" / "ant" / "9.png"),
    ],
)
@pytest.mark.parametrize("limit", [None, 2])
def test_pictures_that_were_changed_make_it_run_again(prepared, pets, change, limit):
    run = prepared(limit=limit)
    assert reason(run) is None
    change(pets)
    assert reason(run) == f"{pets}/train has changed"


def test_a_folder_is_recorded_by_its_full_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert identify_model("lenet_mnist", "folder:~/pets")[1] == "folder:/home/me/pets"
    assert identify_model("lenet_mnist", "folder:pets")[1] == f"folder:{tmp_path}/pets"
