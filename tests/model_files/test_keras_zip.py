""".keras files: as Keras 3 computes, without Keras 3; and archives that are damaged, or made to do harm."""

import json
import struct
import zipfile

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.model_files.read_model import read_model

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@pytest.mark.parametrize(
    "name", ["plain_keras213.keras", "plain_keras215.keras", "plain_keras305.keras", "residual_keras3.keras"]
)
def test_a_keras_file_computes_what_the_program_does_that_wrote_it(recorded, name):
    path, x, y = recorded(name)
    told = []
    model = read_model(path, told.append)
    assert y.std() > 0.05
    np.testing.assert_allclose(model.predict(x), y, atol=1e-5)
    assert told == []


def test_hdf5_under_this_name_is_read_as_keras_wrote_it_until_2_11(recorded, tmp_path):
    path, x, y = recorded("residual_keras28.h5")
    (tmp_path / "net.keras").write_bytes(path.read_bytes())
    np.testing.assert_allclose(read_model(tmp_path / "net.keras", len).predict(x), y, atol=1e-5)


@pytest.fixture
def archive(recorded, tmp_path):
    """Write an archive like the recorded one, with some members replaced, or left out where the value is None."""

    def write(members=(), packed=zipfile.ZIP_STORED):
        with zipfile.ZipFile(str(recorded("residual_keras3.keras")[0])) as whole:
            content = {name: whole.read(name) for name in whole.namelist()}
        content.update(members)
        path = tmp_path / "net.keras"
        with zipfile.ZipFile(str(path), "w", packed) as file:
            for name, data in content.items():
                if data is not None:
                    file.writestr(name, data)
        return path

    return write


@pytest.fixture
def config(recorded):
    with zipfile.ZipFile(str(recorded("residual_keras3.keras")[0])) as whole:
        return json.loads(whole.read(CONFIG))


def refused(path, message):
    with pytest.raises(InputError, match=message) as raised:
        read_model(path, len)
    text = str(raised.value)
    assert text.startswith(str(path))
    assert "/tmp/snnb-" not in text
    assert len(text.splitlines()) == 1
    return text


def test_a_compressed_archive_is_read_too(recorded, archive):
    _, x, y = recorded("residual_keras3.keras")
    np.testing.assert_allclose(read_model(archive(packed=zipfile.ZIP_DEFLATED), len).predict(x), y, atol=1e-5)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95, 0.999])
def test_a_truncated_archive(archive, part):
    path = archive()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    refused(path, "is not a complete .keras file")


def test_a_byte_that_changed_on_the_way(archive):
    path = archive()
    content = bytearray(path.read_bytes())
    content[content.index(b"HDF") + 30_000] ^= 1
    path.write_bytes(bytes(content))
    refused(path, r"is not a complete .keras file \(Bad CRC-32")


def test_a_member_that_is_missing_or_there_twice(archive, tmp_path):
    refused(archive({WEIGHTS: None}), "has no model.weights.h5")
    refused(archive({CONFIG: None}), "has no config.json")
    path = archive()
    with zipfile.ZipFile(str(path), "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(CONFIG, "{}")
    refused(path, "has 2 config.json")


def test_names_that_lead_elsewhere_are_never_written(archive, recorded, tmp_path):
    _, x, y = recorded("residual_keras3.keras")
    path = archive({"../escaped": b"x", "/tmp/snnb_escaped": b"x", "assets/../../escaped": b"x"})
    np.testing.assert_allclose(read_model(path, len).predict(x), y, atol=1e-5)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.keras"]
    assert not (tmp_path.parent / "escaped").exists()


def test_an_archive_that_unpacks_to_more_than_its_layers_have(archive):
    path = archive({WEIGHTS: bytes(200_000_000)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    refused(path, "unpacks to 200 MB, but its layers have")
    refused(archive({CONFIG: b" " * (33 << 20)}, zipfile.ZIP_DEFLATED), "config.json is longer than 32 MiB")


def test_members_packed_in_other_ways(archive):
    refused(archive(packed=zipfile.ZIP_BZIP2), "packed in a way that Keras does not use")
    path = archive()
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of encrypted members
        at = content.find(signature)
        while at >= 0:
            (flags,) = struct.unpack_from("<H", content, at + offset)
            struct.pack_into("<H", content, at + offset, flags | 1)
            at = content.find(signature, at + 4)
    path.write_bytes(bytes(content))
    refused(path, "packed in a way that Keras does not use")


def test_weights_that_do_not_fit_or_are_none(archive, config, tmp_path):
    refused(archive({WEIGHTS: b"not at all" * 100}), "model.weights.h5 is not a complete HDF5 file")
    layers = {layer["config"]["name"]: layer["config"] for layer in config["config"]["layers"]}
    layers["hidden"]["units"] = 7
    refused(
        archive({CONFIG: json.dumps(config)}), "layer hidden needs weights of the shapes 11×7, 7, but the file holds 11"
    )
    layers["hidden"]["units"] = 10**6
    refused(archive({CONFIG: json.dumps(config)}), "its layers need 1[67],000,")
    with h5py.File(str(tmp_path / "empty.h5"), "w") as file:
        file.create_dataset("layers/conv2d/vars/0", (10**4, 10**4), np.float32)
    refused(archive({WEIGHTS: (tmp_path / "empty.h5").read_bytes()}), "declares 400,000,000 bytes")


LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"name": "evil", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
    "registered_name": None,
    "name": "evil",
    "inbound_nodes": [],
}


def test_what_could_run_code_is_refused_by_name(archive, config):
    model = config["config"]
    model["layers"].append(LAMBDA)
    refused(archive({CONFIG: json.dumps(config)}), r"layer evil \(Lambda\) is not loaded from a file, since it may run")
    model["layers"].pop()
    own = model["layers"][2]
    own.update(module="mypackage.layers", registered_name="mine>Conv2D")
    refused(
        archive({CONFIG: json.dumps(config)}), r"layer stem \(Conv2D\) of mypackage.layers is not loaded from a file"
    )
    own.update(module="keras.src.ops.numpy", class_name="Exp", registered_name="Exp")
    refused(archive({CONFIG: json.dumps(config)}), r"layer stem \(Exp\) is an operation")
    own.update(module=None, class_name="Swin", registered_name="mine>Swin")
    refused(archive({CONFIG: json.dumps(config)}), r"layer stem \(Swin\) is not loaded from a file")
    own.update(module="keras.layers", class_name="Conv2D", registered_name=None)
    own["config"]["activation"] = {
        "module": "builtins",
        "class_name": "function",
        "config": "mine",
        "registered_name": "f",
    }
    refused(archive({CONFIG: json.dumps(config)}), r"layer stem \(Conv2D\): its activation is none, which is not Ker")


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{}", "no JSON", '{"class_name": "Functional"}', "[" * 100_000, "\x00\xff"]
)
def test_a_description_of_nothing(archive, text):
    refused(archive({CONFIG: text.encode("latin-1")}), "config.json|not a Keras model's")
