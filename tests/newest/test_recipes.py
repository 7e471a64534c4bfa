"""The recipes of docs/python.md that need no TensorFlow, with the packages of this environment."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from snnb import Run

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
RECORDED = Path(__file__).parents[1] / "fixtures" / "mini_network"
# They simulate, or read what the first simulation of the page has recorded. tests/pipeline/test_python.py runs them.
SIMULATED = (
    "snnb from Python",
    "Rates of each class",
    "Rates over time",
    "Accuracy over durations, from one run",
    "Comparing percentiles",
)


def test_the_recipes_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run(path=Path(shutil.copytree(RECORDED, tmp_path / "run")))
    [simulated] = (run.path / "simulations").iterdir()
    names = {"run": run, "simulation": SimpleNamespace(directory=simulated), "built": run.graph()}
    _, *parts = re.split(r"^##? (.*)$", PAGE, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2]))
    assert set(SIMULATED) < set(sections)
    for title in [title for title in sections if title not in SIMULATED]:
        for block in re.findall(r"```python\n(.*?)```", sections[title], re.DOTALL):
            exec(compile(block, f"docs/python.md, {title}", "exec"), names)
    assert names["frame"]["edge"].sum() == pytest.approx(names["traffic"].sum(dtype=np.float64), rel=1e-5)
    assert names["network"].ecount() == names["built"].record.details.synapses
