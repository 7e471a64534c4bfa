""".keras files: damaged archives, and layers that could run code."""

import json
import zipfile

import numpy as np
import pytest

from snnb.model_files.read_model import read_model
from tests.model_files.conftest import assert_refused, changed_archive, outputs

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def test_hdf5_under_this_name_is_read_as_keras_wrote_it_until_2_11(
    recorded_file, tmp_path
):
    path, x, y = recorded_file("residual_keras28.h5")
    (tmp_path / "net.keras").write_bytes(path.read_bytes())
    np.testing.assert_allclose(
        outputs(read_model(tmp_path / "net.keras", len), x), y, atol=1e-5
    )


def test_weights_that_are_compared_with_the_size_of_the_file(
    recorded_file, monkeypatch
):
    monkeypatch.setattr("snnb.core.machine.SMALL_BYTES", 0)
    path, x, y = recorded_file("residual_keras3.keras")
    np.testing.assert_allclose(outputs(read_model(path, len), x), y, atol=1e-5)


@pytest.fixture
def archive(recorded_file, tmp_path):
    """Write an archive like the recorded one, with some members replaced, or left out where the value is None."""
    source = recorded_file("residual_keras3.keras")[0]
    return lambda members=(), **options: changed_archive(
        source, tmp_path / "net.keras", members, **options
    )


@pytest.fixture
def config(recorded_file):
    with zipfile.ZipFile(
        str(recorded_file("residual_keras3.keras")[0])
    ) as whole_archive:
        return json.loads(whole_archive.read(CONFIG))


def test_a_damaged_archive(archive):
    path = archive()
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    assert_refused(
        path, "not a complete HDF5 file"
    )  # without its end, nothing shows that it was an archive
    content[content.index(b"HDF") + 30_000] ^= 1
    path.write_bytes(content)
    assert_refused(path, r"not a complete .keras file \(Bad CRC-32")
    assert_refused(
        archive({WEIGHTS: None}), "not a complete .keras file .*model.weights.h5"
    )
    assert_refused(archive({CONFIG: None}), "not a complete .keras file .*config.json")
    assert_refused(
        archive({WEIGHTS: b"not at all" * 100}),
        "model.weights.h5: not a complete HDF5 file",
    )


LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {
        "name": "evil",
        "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}},
    },
    "registered_name": None,
    "name": "evil",
    "inbound_nodes": [],
}


def test_what_could_run_code_is_refused_by_name(archive, config):
    layers = config["config"]["layers"]
    stem = layers[2]

    def check(message):
        assert_refused(archive({CONFIG: json.dumps(config)}), message)

    layers.append(LAMBDA)
    check(r"layer evil \(Lambda\): is not loaded from a file, since it may run")
    layers.pop()
    stem.update(module="keras.src.ops.numpy", class_name="Exp", registered_name="Exp")
    check(r"layer stem \(Exp\): is of keras.src.ops.numpy, and not loaded from a file")
    stem.update(module="keras.layers", class_name="Conv2D", registered_name=None)
    function = {
        "module": "builtins",
        "class_name": "function",
        "config": "mine",
        "registered_name": "f",
    }
    stem["config"]["activation"] = function
    check(
        r"layer stem \(Conv2D\): activation is .*builtins.*, which a Conv2D cannot have"
    )


@pytest.mark.parametrize("text", ["[]", "\x00\xff"])
def test_a_description_of_nothing(archive, text):
    assert_refused(
        archive({CONFIG: text.encode("latin-1")}),
        "config.json: not text|does not describe a Keras model",
    )
