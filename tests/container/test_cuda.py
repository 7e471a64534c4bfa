"""The images with CUDA: without a GPU that the libraries are all there, with one that it trains and simulates."""

import json
import subprocess

import numpy as np
import pytest

from snnb.stages.open_run import open_run

pytestmark = pytest.mark.container
# What tensorflow/stream_executor/platform/default/dso_loader.cc of TensorFlow 2.2 opens by name, and cuBLAS' own part.
LIBRARIES = [
    "libcudart.so.10.1",
    "libcublas.so.10",
    "libcublasLt.so.10",
    "libcufft.so.10",
    "libcurand.so.10",
    "libcusolver.so.10",
    "libcusparse.so.10",
    "libcudnn.so.7",
]


@pytest.mark.parametrize("target", ["gpu"])
def test_the_loader_finds_every_library(confined_output):
    load = f"import ctypes; print(len([ctypes.CDLL(name) for name in {LIBRARIES}]))"
    assert confined_output("-c", load, entrypoint="python").strip() == str(
        len(LIBRARIES)
    )


@pytest.mark.gpu
@pytest.mark.parametrize("target", ["gpu", "today-cuda"])
def test_trains_on_a_gpu_and_counts_what_it_counts_without(
    confined_output, runs, target
):
    """The counts of the layers, in all; those of a softmax layer are drawn at random."""
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    capability = float(
        subprocess.run(
            query, capture_output=True, text=True, check=True
        ).stdout.split()[0]
    )
    if target == "gpu" and capability > 7.5:
        pytest.skip(
            f"CUDA 10.1 knows GPUs of compute capability up to 7.5, and this one has {capability}"
        )
    volumes, gpus = ("--volume", f"{runs}:/runs"), ("--gpus", "all")
    assert json.loads(confined_output("doctor", "--json", options=gpus))["gpus"]
    trained_model = confined_output(
        "train", "--model", "mini_network", "--json", options=(*volumes, *gpus)
    )
    assert json.loads(trained_model)["stages"][-1]["details"]["test_accuracy"] > 0.94
    for options in (gpus, ()):
        confined_output(
            "simulate",
            "--run-dir",
            "mini_network",
            "--engine",
            "tensorflow",
            options=(*volumes, *options),
        )
    arrays, two = (
        np.load(path)
        for path in sorted(runs.glob("mini_network/simulations/*/spike_rate_sums.npz"))
    )
    for name in [
        name for name in arrays.files if arrays[name].ndim and name != "input"
    ][:-1]:
        np.testing.assert_allclose(
            arrays[name].sum(), two[name].sum(), rtol=1e-3, err_msg=name
        )
    records = open_run(runs / "mini_network").records_of("simulate")
    assert [records[stamp].environment.device for stamp in sorted(records)] == [
        "gpu",
        "cpu",
    ]
