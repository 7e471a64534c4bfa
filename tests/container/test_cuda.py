"""The CUDA libraries of the gpu image: all there, and a build without one fails. No GPU is needed."""

import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.container
ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def build_on(docker, tmp_path):
    """Build the gpu image with a CUDA image in which `command` was run, and give what the build printed."""
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE))
    cuda = os.environ.get("CUDA_IMAGE", arguments["CUDA_IMAGE"])
    base = os.environ.get("BASE_IMAGE", arguments["BASE_IMAGE"])
    tag = f"snnb-test:{tmp_path.name}"  # one for each test: they run side by side

    def build(command):
        (tmp_path / "Dockerfile").write_text(f"FROM {cuda}\nRUN {command}\n")
        docker("build", "--network", "host", "--tag", tag, str(tmp_path))
        images = ("--build-arg", f"CUDA_IMAGE={tag}", "--build-arg", f"BASE_IMAGE={base}")
        where = ("--file", str(ROOT / "docker/Dockerfile"), "--target", "gpu", str(ROOT))
        done = docker("build", "--network", "host", "--progress", "plain", *images, *where, succeeds=False)
        assert done.returncode != 0
        return done.stderr

    yield build
    docker("image", "rm", "--force", tag)


@pytest.mark.parametrize("target", ["gpu"])
def test_the_loader_finds_every_library(confined):
    load = f"import ctypes; print(len([ctypes.CDLL(name) for name in {LIBRARIES}]))"
    assert confined("-c", load, entrypoint="python").strip() == str(len(LIBRARIES))


def test_a_missing_library_fails_the_build(build_on):
    assert re.search(r"libcudnn\.so\.7.*not found", build_on("rm /usr/lib/x86_64-linux-gnu/libcudnn.so.7*"))


def test_an_unresolved_library_fails_the_build(build_on):
    damaged = "/usr/local/cuda-10.1/lib64/libcusolver.so.10"
    damage = rf"sed 's/libc\.so\.6/libq.so.6/g' /lib/x86_64-linux-gnu/libm.so.6 > {damaged}"
    assert "libq.so.6 => not found" in build_on(damage)
