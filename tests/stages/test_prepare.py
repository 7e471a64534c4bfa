"""`prepare` on folders of pictures and files of one's own: what is recorded, and when it has to run again."""

import numpy as np
import pytest
from PIL import Image

from snnb import Run
from snnb.datasets import preparation
from snnb.rundir.manifest import RunInfo
from snnb.stages.model import identify_model, input_shape
from snnb.stages.open_run import open_run
from snnb.stages.states import state_of_stages


@pytest.fixture
def pets(tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        for name in ("ant", "bee"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (6, 4), (number, 0, 0)).save(
                    tmp_path / "pets" / part / name / f"{number}.png"
                )
    return tmp_path / "pets"


def test_pictures_that_were_changed_make_it_run_again(pets, tmp_path):
    """Also one that a limit leaves out."""
    Run("lenet_mnist", tmp_path / "run", dataset=f"folder:{pets}").prepare(
        shape=(4, 4, 1), limit=2
    )
    assert state_of_stages(open_run(tmp_path / "run"))[0].reason is None
    (pets / "train" / "bee" / "5.png").rename(pets / "train" / "ant" / "9.png")
    assert (
        state_of_stages(open_run(tmp_path / "run"))[0].reason
        == f"{pets}/train has changed"
    )


def test_pictures_that_are_changed_while_they_are_read_make_it_run_again(
    pets, tmp_path, monkeypatch
):
    written = preparation.write_arrays

    def write(*given):
        Image.new("RGB", (6, 4), (99, 0, 0)).save(pets / "train" / "ant" / "0.png")
        return written(*given)

    monkeypatch.setattr(preparation, "write_arrays", write)
    Run("lenet_mnist", tmp_path / "run", dataset=f"folder:{pets}").prepare(
        shape=(4, 4, 1)
    )
    assert (
        state_of_stages(open_run(tmp_path / "run"))[0].reason
        == f"{pets}/train has changed"
    )


@pytest.mark.parametrize(
    ("options", "side", "fit"), [("", 32, "pad"), ("--shape 40x40x1", 40, "resize")]
)
def test_defaults_keep_how_pictures_are_fitted(tmp_path, snnb, options, side, fit):
    pictures = {
        f"x_{part}": np.full((count, 28, 28), 9, np.uint8)
        for part, count in (("train", 20), ("test", 10))
    }
    labels = {
        name.replace("x", "y"): np.arange(len(x)) % 10 for name, x in pictures.items()
    }
    np.savez(tmp_path / "mnist.npz", **pictures, **labels)
    run = f"prepare --model lenet_padded_mnist --run-dir {tmp_path / 'run'} --source {tmp_path} {options}".split()
    for more in ([], ["--defaults", "--force"], ["--defaults"]):
        said = snnb(*run, *more).stderr
        assert np.load(tmp_path / "run" / "dataset" / "x_test.npy").shape == (
            10,
            side,
            side,
            1,
        )
        assert open_run(tmp_path / "run").record_of("prepare").params.fit == fit
    assert "prepare: up to date" in said.splitlines()[-1]


def test_a_folder_is_recorded_by_its_full_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert identify_model("lenet_mnist", "folder:~/pets")[1] == "folder:/home/me/pets"
    assert identify_model("lenet_mnist", "folder:pets")[1] == f"folder:{tmp_path}/pets"


@pytest.mark.parametrize(
    ("model", "options_given", "message"),
    [
        ("lenet_padded_mnist", None, ((32, 32, 1), "pad")),
        ("lenet_padded_mnist", (32, 32, 1), ((32, 32, 1), "pad")),
        ("lenet_padded_mnist", (40, 40, 1), ((40, 40, 1), "resize")),
        ("lenet_mnist", None, ((28, 28, 1), "exact")),
        (
            "lenet_mnist",
            (28, 28, 1),
            ((28, 28, 1), "resize"),
        ),  # as for a data set of smaller pictures
    ],
)
def test_the_shape_of_the_model_is_fitted_alike_whether_given_or_not(
    model, options_given, message
):
    assert (
        input_shape(
            RunInfo(model=model, dataset="mnist", created_utc="", snnb_version=""),
            options_given,
        )
        == message
    )


def test_a_shape_that_has_to_be_given_is_that_of_the_result_unless_defaults_are_asked_for(
    tmp_path, pets, snnb
):
    (tmp_path / "net.py").write_text("def net(input_shape, num_classes): return None")
    model = [
        "--model",
        f"{tmp_path / 'net.py'}:net",
        "--dataset",
        f"folder:{pets}",
        "--run-dir",
        str(tmp_path / "run"),
    ]
    refusal = snnb("prepare", *model, code=2).stderr
    assert "have no fixed size; prepare them with --shape, as in 64x64x3" in refusal
    snnb("prepare", *model, "--shape", "4x4x1")
    assert "prepare: up to date" in snnb("prepare", *model).stderr
    assert snnb("prepare", *model, "--defaults", code=2).stderr == refusal
    assert (
        "prepare: up to date" in snnb("prepare", *model).stderr
    )  # what is refused changes nothing
