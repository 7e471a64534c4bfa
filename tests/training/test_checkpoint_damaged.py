"""Checkpoints that are damaged, made to harm, or in the wrong place."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from snnb.errors import InputError, ResourceError
from snnb.training import checkpoint as checkpoints
from snnb.training.checkpoint_state import state_digest
from snnb.training.recipe import Recipe

ANEW = "`snnb train --no-resume` starts the training from the beginning"


def interrupt_at(batch):
    def progress(done, total, note=""):
        if done >= batch:
            raise KeyboardInterrupt

    return progress


def test_no_code_in_a_checkpoint_runs(training, tmp_path):
    """Such as that of a Lambda, which Keras keeps as bytecode and runs when it builds the model again."""
    from tensorflow import keras

    def harm(x, mark=str(tmp_path / "harm")):
        open(mark, "w").close()  # noqa: PTH123  bytecode knows no imports
        return x

    recipe = Recipe(epochs=2, batch_size=16)
    training(recipe.model_copy(update={"epochs": 1}))
    harmful = keras.Sequential([keras.layers.Lambda(harm, input_shape=(6, 5, 1))])
    harmful.compile("adam", "mse")
    for arrays in (tmp_path / "checkpoint").glob("epoch-*"):
        for name in (arrays.name, "epoch-0000.h5", "epoch-0001.h5"):
            harmful.save(str(arrays.with_name(name)), save_format="h5")
    (tmp_path / "harm").unlink()
    with pytest.raises(InputError, match=ANEW):
        training(recipe, resume=True)
    assert not (tmp_path / "harm").exists()


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, arguments, small_model):
    """A checkpoint after two of three epochs, the first of which was the better one."""
    from snnb.training.fit import train

    folder = tmp_path_factory.mktemp("interrupted")
    options = arguments(folder, recipe=Recipe(epochs=3, batch_size=16, learning_rate=0.5, early_stopping=3))
    with pytest.raises(KeyboardInterrupt):
        train(small_model, **options, progress=interrupt_at(13))
    assert sorted(path.name[:10] for path in (folder / "checkpoint").iterdir()) == [
        "epoch-0001",
        "epoch-0002",
        "state.json",
    ]
    return options


def resealed(change):
    """Change what the state says, with a checksum that fits, as somebody who means harm would."""

    def apply(path):
        content = json.loads(path.read_text())
        change(content["state"])
        content["sha256"] = state_digest(content["state"])
        path.write_text(json.dumps(content))

    return apply


def replaced(make):
    def apply(path):
        path.unlink()
        make(path)

    return apply


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: path.write_bytes(b""),
    "a bit flipped": flipped,
    "missing": lambda path: path.unlink(),
    "a directory": replaced(lambda path: path.mkdir()),
    "a directory that is not empty": replaced(lambda path: (path / "more").mkdir(parents=True)),
    "a FIFO": replaced(os.mkfifo),
    "a link": replaced(lambda path: path.symlink_to("/etc/passwd")),
    "a link to itself": replaced(lambda path: path.symlink_to(path)),
    "text": lambda path: path.write_text("not at all"),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
}
STATES = {
    "deep": lambda path: path.write_text("[" * 200_000),
    "deep within": lambda path: path.write_text(
        '{"sha256": "", "state": {"identity": ' + '{"":' * 400 + "1" + "}" * 402
    ),
    "long": lambda path: path.write_bytes(b" " * (33 << 20)),
    "a list": lambda path: path.write_text("[]"),
    "a number": lambda path: path.write_text("1" * 5000),
    "of nothing": lambda path: path.write_text("{}"),
    "of other types": lambda path: path.write_text('{"sha256": [], "state": {}}'),
    "without history": resealed(lambda state: state.pop("history")),
    "without identity": resealed(lambda state: state.pop("identity")),
    "without arrays": resealed(lambda state: state.pop("arrays")),
    "of no arrays": resealed(lambda state: state.update(arrays={})),
    "of a list of arrays": resealed(lambda state: state.update(arrays=[])),
    "of arrays elsewhere": resealed(lambda state: state["arrays"].update({"../../x": "a" * 64})),
    "of arrays without a checksum": resealed(lambda state: state["arrays"].update({"2": None})),
    "of another checksum": resealed(lambda state: state["arrays"].update({"2": "a" * 64})),
    "of a huge epoch": resealed(lambda state: state["arrays"].update({"9" * 400: "a" * 64})),
    "of a list of parameters": resealed(lambda state: state.update(identity=[])),
    "of a history that is text": resealed(lambda state: state.update(history="ab")),
    "of a row that is a list": resealed(lambda state: state["history"].append([])),
    "of a row with another column": resealed(lambda state: state["history"][1].update(colour=1.0)),
    "of a row that lacks one": resealed(lambda state: state["history"][1].pop("lr")),
    "of text for a figure": resealed(lambda state: state["history"][0].update(loss="low")),
    "of truth for a figure": resealed(lambda state: state["history"][0].update(loss=True)),
    "of nothing for a figure": resealed(lambda state: state["history"][0].update(loss=None)),
    "of no number": resealed(lambda state: state["history"][0].update(loss=float("nan"))),
    "of an infinite one": resealed(lambda state: state["history"][0].update(val_loss=float("inf"))),
    "of one as long as a book": resealed(lambda state: state["history"][0].update(loss=10**4000)),
}


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(pytest.param(file, damage, id=f"{file} {name}") for file in (0, 1, 2) for name, damage in DAMAGE.items()),
        *(pytest.param(2, damage, id=f"state {name}") for name, damage in STATES.items()),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_never_in_the_way_of_a_new_start(
    interrupted, small_model, tmp_path, file, damage
):
    """Each of its files: the arrays of the best epoch, those of the last one, the state."""
    from snnb.training.fit import train

    checkpoint = Path(shutil.copytree(interrupted["checkpoint"], tmp_path / "checkpoint"))
    damage(sorted(checkpoint.iterdir())[file])
    options = {**interrupted, "checkpoint": checkpoint, "model_file": tmp_path / "small.h5"}
    with pytest.raises(InputError, match=f"; {ANEW}$") as caught:
        train(small_model, **options, resume=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(KeyboardInterrupt):
        train(small_model, **options, resume=False, progress=interrupt_at(7))
    assert sorted(path.name[:10] for path in checkpoint.iterdir()) == ["epoch-0001", "state.json"]
    checkpoints.load_checkpoint(
        checkpoint, {}, set(json.loads((checkpoint / "state.json").read_text())["state"]["history"][0])
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("weight_00000"),
        lambda arrays: arrays.update(weight_00000=arrays["weight_00000"][..., :1]),
        lambda arrays: arrays.update(weight_00000=arrays["weight_00000"].astype(np.float64)),
        lambda arrays: arrays.update(weight_00000=np.array([{}], dtype=object)),
        lambda arrays: arrays.update(optimizer_00000=np.float32(0)),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_refused(interrupted, small_model, tmp_path, change):
    from snnb.training.fit import train

    checkpoint = Path(shutil.copytree(interrupted["checkpoint"], tmp_path / "checkpoint"))
    path = sorted(checkpoint.iterdir())[1]
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(tmp_path / "changed.npz", **arrays)
    digest = checkpoints.sha256_of(tmp_path / "changed.npz")
    (tmp_path / "changed.npz").rename(checkpoints._arrays_path(checkpoint, 2, digest))
    resealed(lambda state: state["arrays"].update({"2": digest}))(checkpoint / "state.json")
    with pytest.raises(InputError, match=f"{digest[:12]}.*; {ANEW}$"):
        train(small_model, **{**interrupted, "checkpoint": checkpoint}, resume=True)


def test_a_checkpoint_of_an_earlier_version_is_not_read(training, tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint/state.json").write_text('{"identity": {}, "history": []}')
    (tmp_path / "checkpoint/epoch-0000.h5").write_bytes(b"")
    with pytest.raises(
        InputError, match=rf"state\.json was written by an earlier version of snnb, .* cannot read; {ANEW}$"
    ):
        training(resume=True)
    training(resume=False)
    assert not (tmp_path / "checkpoint/epoch-0000.h5").exists()


@pytest.mark.parametrize("resume", [True, False])
def test_nothing_is_written_through_a_link_in_place_of_the_checkpoint(training, tmp_path, resume):
    (tmp_path / "elsewhere").mkdir()
    for make, message in [
        (lambda path: path.symlink_to(tmp_path / "elsewhere"), "is a symbolic link.*; move it away"),
        (lambda path: path.symlink_to(tmp_path / "nowhere"), "is a symbolic link.*; move it away"),
        (lambda path: path.write_text(""), "is a file where a directory is expected; move it away"),
        (os.mkfifo, "is a FIFO where a directory is expected; move it away"),
    ]:
        make(tmp_path / "checkpoint")
        with pytest.raises(InputError, match=message):
            training(resume=resume)
        (tmp_path / "checkpoint").unlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_files_of_a_checkpoint_are_not_written_through_links(training, tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "checkpoint").mkdir()
    for name in ("state.json", ".state.json.partial", ".epoch.partial"):
        (tmp_path / "checkpoint" / name).symlink_to(target)
    training(Recipe(epochs=1, batch_size=16), resume=False)
    assert target.read_text() == "mine"
    assert not (tmp_path / "checkpoint/state.json").is_symlink()


def test_a_disk_without_room_is_an_error_that_leaves_the_state_as_it_was(training, tmp_path, monkeypatch):
    recipe = Recipe(epochs=2, batch_size=16)
    training(recipe.model_copy(update={"epochs": 1}))
    before = {path: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}
    monkeypatch.setattr(checkpoints, "_NPZ_BYTES_BESIDE_AN_ARRAY", 1 << 62)  # more than any disk has
    with pytest.raises(ResourceError, match="MB free; make room"):
        training(recipe, resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()} == before
