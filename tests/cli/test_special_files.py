"""Pipes and devices in place of the files that a command reads or writes: refused at once."""

import json
import os
import shlex
import shutil
import signal
import stat
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from snnb import Run
from snnb.cli.main import main
from tests.end_to_end.conftest import RECORDED
from tests.model_files.conftest import RECORDED as MODELS
from tests.nir_interpreter import write

MAP = "map imported --hardware spinemap_5x5"
NEW = "--run-dir new"
# Command line, and the file that is a pipe or a device
ROWS = [
    *(
        (f"prepare {NEW} --dataset digits --model net.{end}", f"net.{end}")
        for end in ("h5", "keras", "onnx", "nir")
    ),
    (f"prepare {NEW} --dataset digits --model net.py:net", "net.py"),
    pytest.param(
        f"prepare {NEW} --dataset digits --model plain_torch_default.onnx",
        "plain_torch_default.onnx.data",
        marks=pytest.mark.skipif(find_spec("onnx") is None, reason="needs onnx"),
    ),
    (f"train {NEW} --model mini_network --initial-weights weights.h5", "weights.h5"),
    (f"graph {NEW} --from graph.csv", "graph.csv"),
    (f"graph {NEW} --from net_graph.h5", "net_graph.h5"),
    (f"graph {NEW} --from few.csv --rates spikes.npy", "spikes.npy"),
    (f"graph {NEW} --from sonata", "sonata/nodes.h5"),
    (f"graph {NEW} --from parts", "parts/edges.parquet"),
    ("map imported --hardware chip.yaml", "chip.yaml"),
    (f"{MAP} --partition cores.txt", "cores.txt"),
    (f"{MAP} --partition known.txt --placement places.txt", "places.txt"),
    (f"prepare {NEW} --model lenet_mnist --dataset mnist --source mnist", "mnist"),
    (f"prepare {NEW} --model lenet_mnist --dataset folder:pictures", "pictures"),
    (f"prepare {NEW} --model lenet_mnist --dataset folder:some", "some/test/a/0.png"),
    (f"prepare {NEW} --model lenet_mnist --dataset arrays:all.npz", "all.npz"),
    (f"prepare {NEW} --model small.nir --dataset events:events", "events"),
    (
        f"prepare {NEW} --model small.nir --dataset events:recorded",
        "recorded/test/0/a.npy",
    ),
    (f"prepare {NEW} --model small.nir --dataset steps:steps", "steps"),
    ("status run", "run/manifest.yaml"),
    ("compare imported run", "run/manifest.yaml"),
]


@pytest.fixture(scope="module")
def other_files(tmp_path_factory):
    """The other files of the commands."""
    folder = tmp_path_factory.mktemp("others")
    (folder / "few.csv").write_text("source,target\n0,1\n1,2\n")
    (folder / "known.txt").write_text("0\n1\n0\n")
    Run.from_graph(folder / "few.csv", folder / "imported")
    for name in (
        "sonata",
        "parts",
        "run",
        "some/train/a",
        "some/test/a",
        "recorded/test/0",
    ):
        (folder / name).mkdir(parents=True)
    ends = {
        end: {"type": kind, "shape": [2, 8, 8]}
        for end, kind in (("input", "Input"), ("output", "Output"))
    }
    neuron = {"type": "IF", "r": 1.0, "v_threshold": 1.0}
    write(
        folder / "small.nir",
        {**ends, "if": neuron},
        [("input", "if"), ("if", "output")],
    )
    for part in ("train", "test"):
        Image.new("L", (28, 28)).save(folder / "some" / part / "a" / "1.png")
    circuit = {"networks": {"nodes": [{"nodes_file": "nodes.h5"}], "edges": []}}
    (folder / "sonata/circuit_config.json").write_text(json.dumps(circuit))
    shutil.copy(MODELS / "plain_torch_default.onnx", folder)
    return folder


@pytest.fixture
def no_waiting():
    """End a test that waits for a pipe."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(("words", "name"), ROWS)
def test_a_pipe_or_device_is_refused(
    words, name, kind, other_files, tmp_path, monkeypatch, capsys, no_waiting
):
    shutil.copytree(other_files, tmp_path / "in")
    path = tmp_path / "in" / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(os.devnull)
    monkeypatch.chdir(tmp_path / "in")
    assert main([*shlex.split(words), "--quiet"]) == 3
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"{name}: neither a regular file nor a directory" in line


@pytest.mark.parametrize(
    "words",
    [
        "export run --format csv --output pipe.svg",
        "export run --format npz --output pipe.svg",
        "report run --output pipe.svg",
        "compare run --figure pipe.svg",
    ],
)
def test_a_pipe_is_not_replaced(words, tmp_path, monkeypatch, capsys, no_waiting):
    shutil.copytree(RECORDED, tmp_path / "run")
    os.mkfifo(tmp_path / "pipe.svg")
    monkeypatch.chdir(tmp_path)
    assert main([*shlex.split(words), "--force", "--quiet"]) == 2
    assert (
        "pipe.svg is a pipe, socket or device, which is not replaced"
        in capsys.readouterr().err
    )
    assert stat.S_ISFIFO(Path("pipe.svg").stat().st_mode)


def test_a_figure_of_a_comparison_does_not_replace_a_result(
    tmp_path, monkeypatch, capsys
):
    shutil.copytree(RECORDED, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    plot = tmp_path / "run" / "train" / "training_plot.png"
    before = plot.read_bytes()
    assert main(["compare", "run", "--figure", str(plot), "--force"]) == 2
    assert (
        f"{plot} is inside the run {tmp_path}/run; give another path"
        in capsys.readouterr().err
    )
    assert plot.read_bytes() == before
