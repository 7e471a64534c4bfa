"""Trained models of other programs in a run; test_documented_commands.py runs the commands of their page."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnb.stages.open_run import open_run
from tests.model_files.conftest import DIGITS_NET, RECORDED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "external-models.md").read_text(encoding="utf-8")


def test_the_page_shows_how_the_model_of_the_package_was_trained():
    """After a change, run `make record-model-files`."""
    [code] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert (ROOT / "examples" / "digits_net.py").read_text(encoding="utf-8") == code


def test_pixels_are_folded_in_before_the_model_is_evaluated(
    tmp_path, monkeypatch, snnb
):
    """The accuracy is that of onnxruntime, also at the border, where the model pads zeros: pixels of the mean."""
    import onnxruntime

    monkeypatch.chdir(tmp_path)
    shutil.copy(str(DIGITS_NET), str(tmp_path / "digits_net.onnx"))
    session, accuracies = (
        onnxruntime.InferenceSession(
            "digits_net.onnx", providers=["CPUExecutionProvider"]
        ),
        [],
    )
    for text, mean, std in (
        ("mean=1,std=100", 1, 100),
        ("0-1", 0, 1),
        ("mean=1,std=0.1", 1, 0.1),
    ):
        run = Path(f"runs/{len(accuracies)}")
        output = snnb(
            f"train --model digits_net.onnx --dataset digits --run-dir {run} --pixels {text} --json"
        )
        accuracies.append(
            json.loads(output.stdout)["stages"][-1]["details"]["test_accuracy"]
        )
        assert ("close to chance" in output.stderr) == (len(accuracies) == 1)
        assert "border" not in output.stderr
        x, y = (np.load(run / f"dataset/{name}_test.npy") for name in "xy")
        pixels = ((x / 16 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
        name = session.get_inputs()[0].name
        classes = [
            session.run(None, {name: pixel[np.newaxis]})[0].argmax() for pixel in pixels
        ]
        assert accuracies[-1] == pytest.approx(np.mean(classes == y))
    assert accuracies[1] > max(accuracies[0], accuracies[2])


def test_a_network_that_was_read_wrongly_is_refused(tmp_path, monkeypatch, snnb):
    """With the weights of a convolution in the places of other filters."""
    from snnb.model_files import read_model

    def read_exchanged(path, warn, read=read_model.read_onnx):
        network = read(path, warn)
        layer = next(layer for layer in network.layers if layer.kind == "Conv2D")
        weights = {
            **layer.weights,
            "kernel": np.roll(layer.weights["kernel"], 1, axis=-1),
        }
        return network.with_layers({layer.name: replace(layer, weights=weights)})

    monkeypatch.setattr(read_model, "read_onnx", read_exchanged)
    line = f"train --model {DIGITS_NET} --dataset digits --run-dir {tmp_path / 'run'} --quiet"
    [line] = snnb(line, code=5).stderr.splitlines()
    assert (
        "digits_example.onnx: read as a network whose outputs differ by up to" in line
    )
    assert open_run(tmp_path / "run").record_of("train") is None


def test_weights_beside_the_model_are_recorded_with_it(tmp_path, monkeypatch, snnb):
    monkeypatch.chdir(tmp_path)
    for name in ("plain_torch_default.onnx", "plain_torch_default.onnx.data"):
        shutil.copy(str(RECORDED / name), str(tmp_path))
    random = np.random.default_rng(0)
    np.savez(
        "pictures.npz",
        x_test=random.integers(0, 256, (9, 8, 10), dtype=np.uint8),
        y_test=np.arange(9) % 3,
    )
    snnb(
        "train --model plain_torch_default.onnx --dataset arrays:pictures.npz --run-dir run"
    )
    record = open_run(tmp_path / "run").record_of("train")
    assert [Path(file.path).name for file in record.inputs if file.external] == [
        "plain_torch_default.onnx",
        "plain_torch_default.onnx.data",
    ]
    data = tmp_path / "plain_torch_default.onnx.data"
    data.write_bytes(data.read_bytes()[::-1])
    assert "plain_torch_default.onnx.data has changed" in snnb("status", "run").stdout
