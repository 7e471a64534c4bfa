"""docs/models-from-elsewhere.md, tried as it stands: what its PyTorch code exports is recorded, its commands run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snnb.stages.runs import open_run
from tests.model_files.conftest import RECORDED

PAGE = (Path(__file__).parents[2] / "docs" / "models-from-elsewhere.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
[CODE] = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if not language for line in text.splitlines() if line.startswith("snnb ")]


def snnb(line, folder):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", "from snnb.cli.app import app; app()", *shlex.split(line)[1:]]
    return subprocess.run(command, cwd=str(folder), env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader of the page has ended."""
    place = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(str(RECORDED / "digits_net.onnx"), str(place))
    for line in COMMANDS:
        result = snnb(line, place)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
        if line.startswith("snnb run"):
            assert "a softmax is put behind them" in result.stderr
    return place


def test_the_recorded_model_is_that_of_the_page():
    """If not, run `make record-model-files`."""
    assert (RECORDED / "digits_net.txt").read_text(encoding="utf-8") == CODE
    assert len(COMMANDS) == 2


def test_the_network_that_pytorch_trained_is_simulated_and_every_synapse_is_there(folder):
    run = open_run(folder / "runs" / "digits_net")
    training = run.record_of("train")
    assert training.metrics["test_accuracy"] > 0.9
    # Taps of a 3×3 kernel, padded, on 8×8; pooling; the second convolution on 4×4; the classifier.
    taps = 22 * 22
    assert run.record_of("graph").details.synapses == 8 * taps + 8 * 64 + 12 * 4 * 72 + 48 * 10
    assert list((folder / "runs" / "digits_net" / "exports").glob("*/*.csv"))


def test_pixels_are_folded_in_before_the_model_is_evaluated(folder):
    """A network that gets the wrong pixels is worse; with those it was trained with, it is as good as ever."""
    line = "snnb train --model digits_net.onnx --dataset digits --run-dir runs/other --pixels mean=1,std=0.1 --json"
    result = snnb(line, folder)
    assert result.returncode == 0, result.stderr
    assert "pads with zeros" in result.stderr
    accuracy = json.loads(result.stdout)["stages"][-1]["metrics"]["test_accuracy"]
    assert accuracy < open_run(folder / "runs" / "digits_net").record_of("train").metrics["test_accuracy"] - 0.1
    refused = snnb("snnb train --model mini_network --run-dir runs/mini --pixels tf", folder)
    assert refused.returncode == 2
    assert "--pixels is for a model in a file of yours" in refused.stderr
    wrong = snnb("snnb train --model digits_net.onnx --dataset digits --run-dir runs/wrong --pixels imagenet", folder)
    assert wrong.returncode == 2
    assert "none of 0-1, 0-255, tf, torch, caffe" in wrong.stderr


def test_weights_beside_the_model_are_recorded_with_it(tmp_path):
    for name in ("plain_torch_default.onnx", "plain_torch_default.onnx.data"):
        shutil.copy(str(RECORDED / name), str(tmp_path))
    random = np.random.default_rng(0)
    from PIL import Image

    for split in ("train", "test"):
        for name in "abc":
            (tmp_path / "pictures" / split / name).mkdir(parents=True)
            for number in range(3):
                pixels = random.integers(0, 256, (8, 10), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pictures" / split / name / f"{number}.png")
    line = "snnb train --model plain_torch_default.onnx --dataset folder:pictures --run-dir run"
    result = snnb(line, tmp_path)
    assert result.returncode == 0, result.stderr
    record = open_run(tmp_path / "run").record_of("train")
    assert [Path(file.path).name for file in record.inputs if file.external] == [
        "plain_torch_default.onnx",
        "plain_torch_default.onnx.data",
    ]
    data = tmp_path / "plain_torch_default.onnx.data"
    data.write_bytes(data.read_bytes()[::-1])
    assert "plain_torch_default.onnx.data has changed" in snnb("snnb status run", tmp_path).stdout
