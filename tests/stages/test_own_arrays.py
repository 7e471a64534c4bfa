"""Arrays of the user in a run: floats, which the model reads as they are; bytes of another scale; other labels."""

import json

import numpy as np
import pytest

from snnb.model_files.keras import keras
from tests.end_to_end.conftest import RECORDED

MODEL = RECORDED / "train" / "mini_network.h5"  # of digits, whose pixels are value / 16
MEAN, SPREAD = 0.3, 0.25


def load_trained(path):
    return keras.models.load_model(str(path), compile=False)


@pytest.fixture(scope="module")
def digits():
    arrays = {
        name: np.load(RECORDED / "dataset" / f"{name}.npy")
        for name in ("x_train", "y_train", "x_test", "y_test")
    }
    assert arrays["x_test"].max() == 16
    return arrays


@pytest.fixture
def make(digits, tmp_path, snnb):
    """Write arrays with other values into a run; return a function that calls commands on it."""

    def make(change, model=MODEL, labels=lambda y: y):
        data = {
            name: change(digits[name]) if name[0] == "x" else digits[name]
            for name in digits
        }
        np.savez(tmp_path / "mine.npz", **{**data, "y_test": labels(digits["y_test"])})
        new = ["--model", model, "--dataset", f"arrays:{tmp_path / 'mine.npz'}"]

        def call(command, *options, code=0):
            options_given = [] if (tmp_path / "run" / "manifest.yaml").exists() else new
            return snnb(
                command,
                *options_given,
                "--run-dir",
                tmp_path / "run",
                *options,
                code=code,
            )

        return call

    return make


@pytest.fixture
def standardised_model(tmp_path):
    """The recorded model, for pixels less a mean and divided by a spread."""
    model = load_trained(MODEL)
    kernel, bias, *other_weights = model.get_weights()
    model.set_weights(
        [kernel * SPREAD, bias + kernel.sum(axis=(0, 1, 2)) * MEAN, *other_weights]
    )
    model.save(str(tmp_path / "standardised.h5"), save_format="h5")
    return tmp_path / "standardised.h5"


def test_values_of_any_range_are_simulated(make, standardised_model, tmp_path):
    call = make(
        lambda x: ((x / 16 - MEAN) / SPREAD).astype(np.float32), standardised_model
    )
    result = call("train", "--json")
    assert "the pixels are -1.2 to 2.8, as in the arrays" in result.stderr
    x, y = (np.load(tmp_path / f"run/dataset/{name}_test.npy") for name in "xy")
    expected_accuracy = float(
        (load_trained(standardised_model).predict(x).argmax(axis=1) == y).mean()
    )
    assert expected_accuracy > 0.5
    details = {
        stage["stage"]: stage["details"]
        for stage in json.loads(result.stdout)["stages"]
    }
    assert details["train"]["test_accuracy"] == pytest.approx(expected_accuracy)
    call("simulate", "--samples", 30, "--duration", 40, "--record-spikes", 3)
    (folder,) = (tmp_path / "run/simulations").iterdir()
    with np.load(folder / "spike_rate_sums.npz") as sums:
        np.testing.assert_allclose(
            sums["input"], 40 * x[:30].sum(axis=0, dtype=float), rtol=1e-6, atol=1e-3
        )
    document = json.loads((folder / "sim_accuracies.json").read_text())
    assert document["readout_accuracy"] > 0.5
    call("graph")
    call("crosscheck", "--with", "scipy")
    refused_output = call("simulate", "--input", "poisson", code=2)
    assert (
        "--input poisson: the test set has pixels outside [0, 1]"
        in refused_output.stderr
    )
    refused_output = call("parse", "--weight-bits", 6, code=3)
    assert (
        "--weight-bits: an integer network reads pixels from 0 to 1 as integers"
        in refused_output.stderr
    )


def test_an_integer_network_reads_floats_as_255ths(make, tmp_path):
    """In each engine and in the crosscheck the same, also where a pixel is between two integers."""
    halves = ((np.arange(255) + 0.5) / 255).astype(np.float32)
    call = make(
        lambda x: (
            np.resize(np.random.default_rng(0).permutation(halves), x.shape)
            * (x / np.float32(16) > 0.3)
        )
    )
    call("parse", "--weight-bits", 5)
    counts = []
    for engine in ("event", "tensorflow"):
        options = [
            "--samples",
            20,
            "--duration",
            30,
            "--record-spikes",
            20,
            "--engine",
            engine,
        ]
        call("simulate", *options)
        folder = max((tmp_path / "run/simulations").iterdir())
        with np.load(folder / "spike_rate_sums.npz") as sums:
            counts.append({name: sums[name] for name in sums.files})
        call("graph")
        check_document = json.loads(
            call("crosscheck", "--with", "scipy", "--samples", 20, "--json").stdout
        )
        assert check_document["passed"]
        assert all(
            p["differing"] == 0 and p["spikes"] > 0
            for p in check_document["populations"]
        )
    for name, found_counts in counts[0].items():
        np.testing.assert_array_equal(found_counts, counts[1][name])


def test_floats_are_the_input_of_the_rescaling_layer_of_a_model(make, digits, tmp_path):
    plain_model = load_trained(MODEL)
    layers = [
        keras.layers.experimental.preprocessing.Rescaling(
            1 / 400, input_shape=(8, 8, 1)
        ),
        *plain_model.layers,
    ]
    model = keras.Sequential(
        [type(layer).from_config(layer.get_config()) for layer in layers]
    )
    model.set_weights(plain_model.get_weights())
    model.save(str(tmp_path / "scaled.h5"), save_format="h5")
    result = make(lambda x: x * np.float32(25), tmp_path / "scaled.h5")(
        "train", "--json"
    )
    assert "the model takes the values of the arrays" in result.stderr
    found_accuracy = json.loads(result.stdout)["stages"][-1]["details"]["test_accuracy"]
    guesses = plain_model.predict(digits["x_test"] / np.float32(16)).argmax(axis=1)
    assert found_accuracy == pytest.approx(np.mean(guesses == digits["y_test"]))


@pytest.mark.parametrize("pool", ["AveragePooling2D", "MaxPooling2D"])
def test_pooling_of_values_that_rates_cannot_represent_is_refused(make, tmp_path, pool):
    stack = [
        keras.Input((8, 8, 1)),
        getattr(keras.layers, pool)(2),
        keras.layers.Flatten(),
    ]
    keras.Sequential([*stack, keras.layers.Dense(10, activation="softmax")]).save(
        str(tmp_path / "pooled.h5"), save_format="h5"
    )
    result = make(lambda x: x / np.float32(8) - 1, tmp_path / "pooled.h5")(
        "parse", code=3
    )
    assert (
        "pools pixels outside [0, 1], which firing rates cannot represent"
        in result.stderr
    )


def test_bytes_of_another_scale_are_named_with_the_right_remedy(make):
    result = make(lambda x: x // 8)("train")
    assert (
        "prepare: the largest value of the train and test images is 2 of 255, a pixel of 0.00784"
        in result.stderr
    )
    assert "if 2 should be 1, multiply the values by 255 / 2" in result.stderr
    (advice,) = [
        line for line in result.stderr.splitlines() if "close to chance" in line
    ]
    assert "multiply the values by 255 / 2" in advice
    assert "--pixels" not in advice


def test_shifted_labels_are_printed_by_train_and_simulate(make, digits):
    call = make(lambda x: x / np.float32(16), labels=lambda y: (y + 3) % 10)
    guesses = (
        load_trained(MODEL).predict(digits["x_test"] / np.float32(16)).argmax(axis=1)
    )
    for command in (["train"], ["simulate", "--samples", 60, "--duration", 40]):
        (line,) = [
            line
            for line in call(*command).stderr.splitlines()
            if "other class numbers" in line
        ]
        assert "close to chance" not in line
        assert "far below chance" in line
        assert (
            "prediction→label: 0→3, 1→4, 2→5, 3→6, 4→7, 5→8, 6→9, 7→0, 8→1, 9→2, a shift by 3"
            in line
        )
        if command == ["train"]:
            wrong, right = (
                np.mean(guesses == (digits["y_test"] + 3) % 10),
                np.mean(guesses == digits["y_test"]),
            )
            assert f"the accuracy of {wrong:.1%}, far below" in line
            assert f"would be {right:.1%} with" in line


def test_a_label_without_an_output_is_named(make, tmp_path):
    """Of 10 outputs, whose labels are 0 to 9."""

    def with_ten(y):
        changed_labels = y.copy()
        changed_labels[5] = 10
        return changed_labels

    arrays = make(lambda x: x, labels=with_ten)  # 10 classes of y_train
    result = arrays("train", code=3)
    assert (
        "y_test: label 10 of sample 5 is not a class number from 0 to 9; y_train has 10 classes"
        in result.stderr
    )
    with np.load(tmp_path / "mine.npz") as written:
        test = {name: written[name] for name in ("x_test", "y_test")}
    np.savez(tmp_path / "mine.npz", **test)
    result = arrays("train", code=3)
    assert "y_test: label 10 of sample 5 is not from 0 to 9: " in result.stderr
    assert (
        f"{MODEL} has 10 outputs; correct the label, or give another model"
        in result.stderr
    )
    assert not (tmp_path / "run" / "dataset").exists()
