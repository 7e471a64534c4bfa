"""An interrupted training, resumed, against one that was left alone: the same files, bit by bit."""

import inspect
import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from snnb.errors import UsageError
from snnb.training.recipe import Recipe

RECIPES = {
    "adam with early stopping and augmentation": Recipe(
        epochs=5, batch_size=16, learning_rate=0.1, early_stopping=2, flip=True, shift=0.2
    ),
    "sgd with momentum and cosine": Recipe(
        optimizer="sgd", momentum=0.9, nesterov=True, schedule="cosine", epochs=3, batch_size=16, learning_rate=0.1
    ),
    "rmsprop in cycles": Recipe(optimizer="rmsprop", schedule="cycle", epochs=4, batch_size=16),
}


def interrupt_at(batch):
    def progress(done, total, note=""):
        if done >= batch:
            raise KeyboardInterrupt

    return progress


def assert_same_files(folder, other):
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert len(names) == 4
    for name in names:
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_training_interrupted_twice_and_resumed_equals_one_left_alone(training, tmp_path, recipe):
    training(recipe, folder="whole", checkpoint=tmp_path / "other")
    # Six batches an epoch: in the middle of the first epoch, and at the end of the third, before its checkpoint.
    for batch in (3, 18):
        with pytest.raises(KeyboardInterrupt):
            training(recipe, resume=batch > 3, progress=interrupt_at(batch))
    result = training(recipe, resume=True)
    assert_same_files(tmp_path / "whole", tmp_path / "train")
    assert result.warnings == []


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(training, tmp_path, monkeypatch):
    """Writing takes four synchronised steps: the arrays, the directory, the state that names them, the directory."""
    recipe = Recipe(optimizer="sgd", momentum=0.9, epochs=1, batch_size=16, learning_rate=0.1)
    training(recipe, folder="whole", checkpoint=tmp_path / "other")
    real = os.fsync
    for last in range(8):
        steps = []

        def dying(descriptor, steps=steps, last=last):
            if len(steps) == last:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
                raise KeyboardInterrupt
            steps.append(descriptor)
            real(descriptor)

        checkpoint = tmp_path / f"checkpoint-{last}"
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dying)
            with pytest.raises(KeyboardInterrupt):
                training(recipe, checkpoint=checkpoint)
        training(recipe, resume=True, checkpoint=checkpoint)
        assert_same_files(tmp_path / "whole", tmp_path / "train")


def test_a_process_that_is_killed_leaves_what_another_can_resume(training, tmp_path, data, small_model):
    recipe = RECIPES["adam with early stopping and augmentation"]
    training(recipe, folder="whole", checkpoint=tmp_path / "other")
    np.savez(tmp_path / "data.npz", **vars(data))
    script = tmp_path / "killed.py"
    script.write_text(
        f"""
import os, signal
from pathlib import Path
import numpy as np
from snnb.training.batches import LabelledPictures
from snnb.training.fit import train
from snnb.training.training_setup import TrainingSetup
from snnb.training.recipe import Recipe

{inspect.getsource(small_model)}

def progress(done, total, note=""):
    if done >= 15:
        os.kill(os.getpid(), signal.SIGKILL)

here = Path({str(tmp_path)!r})
(here / "train").mkdir()
data = np.load(here / "data.npz")
training_set = LabelledPictures(data["x_train"], data["y_train"], 255.0, 3)
test_set = LabelledPictures(data["x_test"], data["y_test"], 255.0, 3)
train(_small_model, training_set, test_set, TrainingSetup({recipe!r}, 0.25, 5), model_file=here / "train" / "small.h5",
      checkpoint=here / "checkpoint", progress=progress)
"""
    )
    (tmp_path / "tmp").mkdir()
    here = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONDONTWRITEBYTECODE": ""}
    ended = subprocess.run([sys.executable, script], check=False, env=here)
    assert ended.returncode == -signal.SIGKILL
    assert list((tmp_path / "tmp").iterdir()) == []  # where TensorFlow keeps code that it makes
    training(recipe, resume=True)
    assert_same_files(tmp_path / "whole", tmp_path / "train")


def test_only_the_models_that_are_needed_are_kept(training, tmp_path):
    recipe = Recipe(epochs=40, batch_size=16, learning_rate=0.5, early_stopping=2)
    done = training(recipe).epochs_run
    assert done < 40
    kept = sorted(path.name[:10] for path in (tmp_path / "checkpoint").iterdir())
    assert kept == [f"epoch-{done - 2:04d}", f"epoch-{done:04d}", "state.json"]


def test_more_epochs_go_on_where_fewer_ended(training, tmp_path):
    long = Recipe(epochs=2, batch_size=16)
    training(long, folder="whole", checkpoint=tmp_path / "other")
    training(long.model_copy(update={"epochs": 1}), folder="short")
    training(long, resume=True)
    assert_same_files(tmp_path / "whole", tmp_path / "train")
    with pytest.raises(UsageError, match="holds 2 epochs, more than the 1 asked for"):
        training(long.model_copy(update={"epochs": 1}), resume=True)


def test_with_nothing_to_resume_the_training_begins_and_says_so(training):
    assert training(resume=True).warnings == ["there was no checkpoint to resume from: trained from the beginning"]


def test_a_checkpoint_of_another_training_is_refused(training, data):
    def wider():
        from tensorflow.keras import Input, Sequential
        from tensorflow.keras.layers import Dense, Flatten

        return Sequential([Input((6, 5, 1), name="input"), Flatten(), Dense(3, activation="softmax")])

    recipe = Recipe(epochs=1, batch_size=16)
    training(recipe)
    for changes, what in [
        ({"seed": 6}, "seed"),
        ({"recipe": recipe.model_copy(update={"learning_rate": 0.5, "batch_size": 8})}, "batch size and learning rate"),
        ({"validation_split": 0.5}, "validation split"),
        ({"build": wider}, "model"),
        ({"y_train": 2 - data.y_train}, "data set"),
        ({"x_train": 255 - data.x_train}, "data set"),
    ]:
        with pytest.raises(UsageError, match=f"made with another {what}: .*without --resume"):
            training(**{"recipe": recipe, **changes}, resume=True)
