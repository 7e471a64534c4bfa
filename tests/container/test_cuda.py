"""The CUDA libraries of the gpu image are all there. No GPU is needed."""

import pytest

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
def test_the_loader_finds_every_library(confined):
    load = f"import ctypes; print(len([ctypes.CDLL(name) for name in {LIBRARIES}]))"
    assert confined("-c", load, entrypoint="python").strip() == str(len(LIBRARIES))
