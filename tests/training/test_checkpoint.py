"""Interrupted trainings: what a checkpoint holds, and how a training continues from it."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from snnb.core.errors import InputError, UsageError
from snnb.model_files.keras import keras
from snnb.training.batches import split_rows
from snnb.training.checkpoint import FILE, Checkpoint, load_checkpoint, save_checkpoint
from snnb.training.recipe import Recipe
from tests.training.conftest import plain_model

SGD = Recipe(
    optimizer="sgd",
    momentum=0.9,
    schedule="cosine",
    epochs=3,
    batch_size=16,
    learning_rate=0.1,
    flip=True,
)
STEPS = 6  # batches per epoch
EARLY = Recipe(epochs=40, batch_size=16, learning_rate=0.5, early_stopping=2)


def weights(path):
    return keras.models.load_model(str(path)).get_weights()


def test_a_resumed_training_continues_with_the_optimizer_and_the_batches_of_its_epoch(
    training, tmp_path
):
    def interrupt(done, total, note=""):
        if done >= STEPS + 3:
            raise KeyboardInterrupt

    training(
        SGD, build=plain_model, folder="uninterrupted", checkpoint=tmp_path / "other"
    )
    with pytest.raises(KeyboardInterrupt):
        training(SGD, build=plain_model, progress=interrupt)
    assert len(load_checkpoint(tmp_path / "checkpoint").history) == 1
    result = training(SGD, build=plain_model, resume=True)
    assert (result.document.epochs_run, result.warnings) == (3, [])
    resumed_weights, uninterrupted_weights = (
        weights(tmp_path / folder / "small.h5") for folder in ("train", "uninterrupted")
    )
    for ours, theirs in zip(resumed_weights, uninterrupted_weights):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_early_stopping_keeps_the_best_weights_also_after_an_interruption(
    training, data, tmp_path
):
    _, rows = split_rows(120, 0.25, 5)
    pixels, targets = (
        data.x_train[rows] / np.float32(255),
        np.eye(3)[data.y_train[rows]],
    )

    def check(result, folder):
        state = load_checkpoint(tmp_path / "checkpoint")
        losses = [row["val_loss"] for row in state.history]
        assert (
            result.document.epochs_run == len(losses) == int(np.argmin(losses)) + 3 < 40
        )
        model = keras.models.load_model(str(tmp_path / folder / "small.h5"))
        assert model.evaluate(pixels, targets, verbose=0)[0] == pytest.approx(
            min(losses), rel=1e-5
        )
        return state

    state = check(training(EARLY, folder="first"), "first")
    # As it was one epoch before the end: the best weights are those of an earlier epoch than the last.
    save_checkpoint(tmp_path / "checkpoint", replace(state, history=state.history[:-1]))
    check(training(EARLY, resume=True), "train")


def test_a_checkpoint_of_another_training_is_refused_or_by_default_not_used(
    training, data, tmp_path
):
    recipe = Recipe(epochs=1, batch_size=16)
    (tmp_path / "initial.h5").touch()
    training(recipe.changed(epochs=2), build=plain_model)
    for changes, message in [
        ({"seed": 6}, "differs in seed: .*without --resume"),
        (
            {"recipe": Recipe(epochs=1, batch_size=8, learning_rate=0.5)},
            "differs in batch size and learning rate",
        ),
        ({"validation_split": 0.5}, "differs in validation split"),
        ({"build": lambda: plain_model(8)}, "differs in model"),
        ({"y_train": 2 - data.y_train}, "differs in data set"),
        ({"x_train": 255 - data.x_train}, "differs in data set"),
        ({"initial_weights": tmp_path / "initial.h5"}, "differs in initial weights"),
        ({}, "holds 2 epochs, more than the 1 requested"),
    ]:
        with pytest.raises(UsageError, match=message):
            training(**{"recipe": recipe, "build": plain_model, **changes}, resume=True)
    assert training(recipe, build=plain_model, resume=None).document.epochs_run == 1


def test_without_a_checkpoint_the_training_begins_and_says_so(training):
    result = training(Recipe(epochs=1), build=plain_model, resume=True)
    assert result.warnings == [
        "no checkpoint to resume from: trained from the beginning"
    ]


@pytest.fixture
def recorded_checkpoints(tmp_path):
    """A checkpoint of one epoch, written without Keras."""
    arrays = [np.arange(12, dtype=np.float32).reshape(3, 4), np.ones(4, np.float32)]
    checkpoint = Checkpoint(
        {"seed": "5"},
        [{"loss": 0.5, "lr": 0.01}],
        arrays,
        [np.int64(7), *arrays],
        arrays,
    )
    save_checkpoint(tmp_path / "checkpoint", checkpoint)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: path.write_bytes(pickle.dumps(Harmful())),
        lambda path: np.savez(path, described=np.array([Harmful()], dtype=object)),
        lambda path: np.savez(path, x=np.ones(3)),
        lambda path: np.savez(
            path, described=np.load(path)["described"], weights_00000=np.ones(3)
        ),
    ],
    ids=["truncated", "a pickle", "objects", "other arrays", "fewer arrays"],
)
@pytest.mark.usefixtures("recorded_checkpoints")
def test_a_damaged_checkpoint_is_refused_and_runs_no_code(
    tmp_path, monkeypatch, damage
):
    monkeypatch.chdir(tmp_path)
    damage(tmp_path / "checkpoint" / FILE)
    with pytest.raises(
        InputError, match=f"{FILE}: (not a complete npz file|has no array|lacks arrays)"
    ):
        load_checkpoint(tmp_path / "checkpoint")
    assert not (tmp_path / "harm").exists()


def test_nothing_is_written_through_a_link(training, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "checkpoint").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="checkpoint is a symbolic link"):
        training(build=plain_model)
    (tmp_path / "checkpoint").unlink()
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "checkpoint").mkdir()
    for name in (FILE, f".{FILE}.partial"):
        (tmp_path / "checkpoint" / name).symlink_to(target)
    training(Recipe(epochs=1), build=plain_model)
    assert target.read_text() == "mine"
    assert list((tmp_path / "elsewhere").iterdir()) == []
