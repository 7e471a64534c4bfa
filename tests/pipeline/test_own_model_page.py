"""docs/your-own-model.md, tried as it stands: its files are written, its commands run in their order."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnb.stages.runs import open_run

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-model.md").read_text(encoding="utf-8")
NAMED = re.findall(r"into a file `([\w.]+)`:", PAGE)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = list(zip(NAMED, (text for language, text in BLOCKS if language == "python")))
LINES = [line for language, text in BLOCKS if not language for line in text.splitlines()]
COMMANDS = [line for line in LINES if line.startswith(("snnb ", "cp "))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader of the page has ended: pictures of three colours, the page's files, every command done."""
    place = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 4)):
        for channel, name in enumerate(("ant", "bee", "fly")):
            (place / "pictures" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 100, (30, 40, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(place / "pictures" / split / name / f"{number}.jpg")
    for name, text in FILES:
        (place / name).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    for line in COMMANDS:
        command = shlex.split(line)
        if command[0] == "snnb":
            command = [sys.executable, "-c", "from snnb.cli.app import app; app()", *command[1:]]
        result = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
    return place


def test_the_page_has_what_is_tried():
    assert [name for name, _ in FILES] == ["net.py", "pooled.py"]
    assert len(COMMANDS) == 7


def test_each_command_leaves_the_network_that_the_page_means(folder):
    def synapses(filters):
        """Kernel taps, pooling, classifier of `small` at 16×16×3 with three classes."""
        return filters * (14 * 14 * 27 + 14 * 14 + 7 * 7 * 3)

    graphs = {name: open_run(folder / "runs" / name) for name in ("small", "trained", "pooled")}
    found = {name: run.record_of("graph").details.synapses for name, run in graphs.items()}
    assert found == {"small": synapses(8), "trained": synapses(8), "pooled": synapses(4)}
    assert len(graphs["small"].records_of("simulate")) == 2
    assert list((folder / "runs" / "small" / "exports").glob("*/*.csv"))


def test_what_was_trained_is_what_was_judged(folder):
    trained, small = (open_run(folder / "runs" / name).record_of("train") for name in ("trained", "small"))
    assert trained.details.epochs_run == 0
    assert trained.metrics["test_accuracy"] == small.metrics["test_accuracy"]
