import pytest

from snnb.core.errors import InputError, ResourceError
from snnb.io import files
from snnb.training.modelfile import bytes_needed, check_names, write_model
from snnb.training.objective import new_optimizer
from snnb.training.recipe import Recipe


def test_the_bound_of_the_size_holds_and_is_checked_before_writing(small_model, tmp_path, monkeypatch):
    model = small_model()
    model.compile(new_optimizer(Recipe()), "categorical_crossentropy", ["accuracy"])
    write_model(model, tmp_path / "model.h5")
    size = (tmp_path / "model.h5").stat().st_size
    assert size <= bytes_needed(model)
    (tmp_path / "model.h5").unlink()
    usage = files.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage._replace(free=size))
    with pytest.raises(ResourceError, match="the model needs"):
        write_model(model, tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", ["a/b/c a/b", "a ab", "a a/a", "a/a a"])
def test_refuses_before_training_the_names_that_keras_cannot_save(names, tmp_path):
    from snnb.io.keras import keras

    keras.backend.clear_session()
    model = keras.Sequential([keras.layers.Input((2,)), *(keras.layers.Dense(2, name=name) for name in names.split())])
    try:
        model.save(str(tmp_path / "model.h5"))
    except (RuntimeError, ValueError):
        with pytest.raises(InputError, match=r"layer a/a.* cannot save"):
            check_names(model)
    else:
        check_names(model)
