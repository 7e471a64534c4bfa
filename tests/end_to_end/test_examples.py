"""The examples run as they stand, and say the same as the run directories that they leave."""

import ast
import json
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name, *arguments, cwd):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.mark.slow
def test_build_many_archives_each_and_names_what_fails(tmp_path):
    result = run_example(
        "build_many.py", "archive", "mini_network", "no_such_network", cwd=tmp_path
    )
    assert result.returncode == 1
    assert "no_such_network: unknown model" in result.stderr
    assert sorted(p.name for p in (tmp_path / "archive").iterdir()) == [
        "mini_network.tar.gz"
    ]
    with tarfile.open(tmp_path / "archive" / "mini_network.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked")
    unpacked_run = open_run(tmp_path / "unpacked" / "mini_network")
    assert all(
        problem.startswith("prepare:") for problem in verify_run(unpacked_run).problems
    )
    again = run_example("build_many.py", "archive", "mini_network", cwd=tmp_path)
    assert again.returncode == 0
    assert "is there" in again.stdout


@pytest.mark.slow
def test_a_network_on_cores(tmp_path):
    result = run_example("network_on_cores.py", tmp_path / "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = open_run(tmp_path / "run")
    record = run.record_of("map")
    assert (
        f"spikes between cores per sample: {record.metrics['connectivity']:,.1f}, "
        in result.stdout
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("core ")]
    assert len(lines) == record.metrics["cores"]
    assert sum(int(line.split(": ")[1].split()[0]) for line in lines) == 362
    assert verify_run(run).problems == []


@pytest.mark.slow
def test_the_notebook(tmp_path, monkeypatch, drawn_figures):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((EXAMPLES / "first_steps.ipynb").read_text(encoding="utf-8"))[
        "cells"
    ]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in code)
    names, values = {}, []
    monkeypatch.setattr(
        sys, "displayhook", values.append
    )  # called with the expression that a cell ends with
    for cell in code:
        *before, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(before, []), "first_steps.ipynb", "exec"), names)
        exec(compile(ast.Interactive([last]), "first_steps.ipynb", "single"), names)
    figures = [value for value in values if isinstance(value, Figure)]
    pictures = [Image.open(BytesIO(figure._repr_png_())) for figure in figures]
    others_values = [
        value
        for value in values
        if hasattr(value, "_repr_html_") and value not in figures
    ]
    tables = [ElementTree.fromstring(value._repr_html_()) for value in others_values]
    assert (len(tables), len(pictures)) == (5, 5)
    assert all(np.asarray(picture.convert("L")).std() > 5 for picture in pictures)
    run = open_run(tmp_path / "runs" / "first_steps")
    accuracy = run.record_of("simulate").metrics["snn_accuracy"]
    assert f"{100 * accuracy:.2f}" in {
        cell.text for table in tables for cell in table.iter("td")
    }
    assert verify_run(run).problems == []
