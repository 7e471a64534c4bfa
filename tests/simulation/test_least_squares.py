"""Kernels fitted to firing rates, against numpy's least squares on columns made with one-hot kernels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from snnb.conversion import calibrate as calibration
from snnb.conversion.calibrate import RIDGE, calibrate, can_be_fitted, with_fitted_kernels
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.forward.currents import Currents
from snnb.network.read_network import Entry, assemble

SAMPLES = 60


@pytest.fixture(scope="module")
def network():
    """A convolution, and a population that sums a strided convolution, a 1×1 and a depthwise one."""
    random = np.random.default_rng(3)

    def layer(name, kind, config, read, *shape):
        key = "depthwise_kernel" if kind == "DepthwiseConv2D" else "kernel"
        arrays = {key: random.normal(0, 0.4, shape).astype(np.float32), "bias": np.zeros(4, np.float32)}
        return Entry(name, kind, config, (read,), arrays)

    window, half = {"kernel_size": [3, 3], "padding": "same"}, {"kernel_size": [1, 1], "strides": [2, 2]}
    entries = [
        Entry("input", "InputLayer", {"batch_input_shape": [None, 8, 8, 2]}, (), {}),
        layer("first", "Conv2D", {"filters": 4, "activation": "relu", **window}, "input", 3, 3, 2, 4),
        layer("left", "Conv2D", {"filters": 4, "strides": [2, 2], **window}, "first", 3, 3, 4, 4),
        layer("middle", "Conv2D", {"filters": 4, **half}, "first", 1, 1, 4, 4),
        layer("right", "DepthwiseConv2D", half, "first", 1, 1, 4, 1),
        Entry("sum", "Add", {}, ("left", "middle", "right"), {}),
        Entry("rectified", "Activation", {"activation": "relu"}, ("sum",), {}),
    ]
    return assemble(Path("made"), entries)


def test_the_kernels_are_those_of_ridge_regression(network):
    random = np.random.default_rng(4)
    population = network.output
    x = random.random((SAMPLES, 8, 8, 4)).astype(np.float32)
    missing = random.normal(0, 1, (SAMPLES, 4, 4, 4)).astype(np.float32)
    halves = [({"first": tf.constant(x[half])}, missing[half]) for half in (slice(25), slice(25, None))]
    fitted = with_fitted_kernels(population, halves)
    columns = []
    for projection in population.projections[:2]:
        shape = (*projection.kernel.shape[:3], 1)
        for weight in range(int(np.prod(shape))):
            kernel = np.zeros(shape, np.float32)
            kernel.flat[weight] = 1
            only = replace(population, projections=(replace(projection, kernel=kernel),), bias=None)
            columns.append(Currents([only]).of(only, {"first": tf.constant(x)}).numpy().ravel())
    equations = np.stack(columns, axis=1) - np.mean(columns, axis=1)
    penalty = np.sqrt(RIDGE * np.square(equations).sum(axis=0).mean()) * np.eye(len(columns))
    wanted = missing.reshape(-1, 4) - missing.mean(axis=(0, 1, 2))
    wanted = np.concatenate([wanted, np.zeros((len(columns), 4))])
    change = np.linalg.lstsq(np.concatenate([equations, penalty]), wanted, rcond=None)[0]
    kernels = zip(fitted.projections, population.projections)
    found = [new.kernel - old.kernel for new, old in kernels]
    np.testing.assert_allclose(np.concatenate([f.reshape(-1, 4) for f in found[:2]]), change, atol=3e-7)
    assert not found[2].any()


@pytest.mark.parametrize("firing", ["separated", "free"])
def test_fitted_kernels_lessen_the_error(network, firing, monkeypatch):
    x, settings = np.random.default_rng(5).random((SAMPLES, 8, 8, 2)).astype(np.float32), {"calibrate": 4}
    fitted = calibrate(network, x, ConversionSettings(**settings, firing=firing))
    monkeypatch.setattr(calibration, "ROWS_PER_WEIGHT", np.inf)
    plain = calibrate(network, x, ConversionSettings(**settings, firing=firing))
    assert fitted.layers["first"].after == pytest.approx(plain.layers["first"].after)  # it reads the images
    assert fitted.layers["rectified"].after < plain.layers["rectified"].after


def test_kernels_with_few_equations_stay(network):
    assert [can_be_fitted(network.output, samples) for samples in (24, 25)] == [False, True]  # 40 weights, 16 rows each


def test_fewer_samples_than_asked_for_are_reported(network):
    settings = ConversionSettings(calibrate=4, calibration_samples=2)
    [line] = calibrate(network, np.zeros((1, 8, 8, 2), np.float32), settings).warnings
    assert line == "--calibration-samples 2: only 1 normalisation samples exist"
