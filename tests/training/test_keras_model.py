import pytest

from snnb.core.errors import ResourceError
from snnb.io import files
from snnb.training.keras_model import bytes_needed, compile_model, write_model
from snnb.training.recipe import Recipe


def test_the_bound_of_the_size_holds_and_is_checked_before_writing(small_model, tmp_path, monkeypatch):
    model = small_model()
    compile_model(model, Recipe(), 3)
    write_model(model, tmp_path / "model.h5")
    size = (tmp_path / "model.h5").stat().st_size
    assert size <= bytes_needed(model)
    (tmp_path / "model.h5").unlink()
    usage = files.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage._replace(free=size))
    with pytest.raises(ResourceError, match="the model needs"):
        write_model(model, tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []
