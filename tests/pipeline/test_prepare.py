"""`prepare` on folders of pictures and files of one's own: what is recorded, and when it has to run again."""

import pytest
from PIL import Image

from snnb import Run
from snnb.pipeline.model import identify_model, input_shape
from snnb.pipeline.open_run import open_run
from snnb.pipeline.plan import state_of_stages
from snnb.rundir.manifest import RunInfo


@pytest.fixture
def pets(tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        for name in ("ant", "bee"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / "pets" / part / name / f"{number}.png")
    return tmp_path / "pets"


@pytest.mark.parametrize(
    "change",
    [
        lambda pets: Image.new("RGB", (6, 4), (99, 0, 0)).save(pets / "train" / "ant" / "0.png"),
        lambda pets: (pets / "train" / "bee" / "5.png").rename(pets / "train" / "ant" / "9.png"),
    ],
)
@pytest.mark.parametrize("limit", [None, 2])
def test_pictures_that_were_changed_make_it_run_again(pets, tmp_path, change, limit):
    def reason():
        return state_of_stages(open_run(tmp_path / "run"))[0].reason

    Run("lenet_mnist", tmp_path / "run", dataset=f"folder:{pets}").prepare(shape=(4, 4, 1), limit=limit)
    assert reason() is None
    change(pets)
    assert reason() == f"{pets}/train has changed"


def test_a_folder_is_recorded_by_its_full_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert identify_model("lenet_mnist", "folder:~/pets")[1] == "folder:/home/me/pets"
    assert identify_model("lenet_mnist", "folder:pets")[1] == f"folder:{tmp_path}/pets"


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("lenet_padded_mnist", None, ((32, 32, 1), "pad")),
        ("lenet_padded_mnist", (32, 32, 1), ((32, 32, 1), "pad")),
        ("lenet_padded_mnist", (40, 40, 1), ((40, 40, 1), "resize")),
        ("lenet_mnist", None, ((28, 28, 1), "exact")),
        ("lenet_mnist", (28, 28, 1), ((28, 28, 1), "resize")),  # as for a data set of smaller pictures
    ],
)
def test_the_shape_of_the_model_is_fitted_alike_whether_given_or_not(model, given, expected):
    assert input_shape(RunInfo(model=model, dataset="mnist", created_utc="", snnb_version=""), given) == expected
