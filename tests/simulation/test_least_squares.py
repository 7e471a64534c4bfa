"""Kernels fitted to firing rates, against numpy's least squares."""

from functools import partial

import numpy as np
import pytest

from snnb.conversion import least_squares
from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.least_squares import (
    RIDGES,
    add_change,
    channel_blocks,
    fit_change,
    fit_population,
    fitted_rows,
    weights_of_channel,
    window_size,
    windows,
)
from snnb.conversion.rewriting import centred_output, compose_pooling
from snnb.forward.analogue import Analogue, PopulationSums
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble, read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from tests.simulation.alike import simulate_calibrated, weighted_entry

SAMPLES = 60
RELU = {"filters": 4, "activation": "relu"}


@pytest.fixture(scope="module")
def network():
    """A convolution, and a population that sums a strided convolution, a 1×1 and a depthwise one."""
    layer = partial(weighted_entry, np.random.default_rng(3), spread=(0.4, 0))
    window, half = (
        {"kernel_size": [3, 3], "padding": "same"},
        {"kernel_size": [1, 1], "strides": [2, 2]},
    )
    entries = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": [None, 8, 8, 2]}, (), {}
        ),
        layer(
            "first",
            "Conv2D",
            {"filters": 4, "activation": "relu", **window},
            ("input",),
            3,
            3,
            2,
            4,
        ),
        layer(
            "left",
            "Conv2D",
            {"filters": 4, "strides": [2, 2], **window},
            ("first",),
            3,
            3,
            4,
            4,
        ),
        layer("middle", "Conv2D", {"filters": 4, **half}, ("first",), 1, 1, 4, 4),
        layer("right", "DepthwiseConv2D", half, ("first",), 1, 1, 4, 1),
        StoredLayer("sum", "Add", {}, ("left", "middle", "right"), {}),
        StoredLayer("rectified", "Activation", {"activation": "relu"}, ("sum",), {}),
    ]
    return assemble(entries)


def test_the_inputs_of_the_weights_give_the_sums(network):
    """Of the convolutions that are fitted, the depthwise one is not."""
    random, population = np.random.default_rng(4), network.output
    read = {"first": random.random((5, 8, 8, 4)).astype(np.float32)}
    change = random.normal(0, 1, (weights_of_channel(population), 4))
    changed_change = add_change(population, change)
    own_inputs, sums = (
        PopulationSums(network, p).compute(read).reshape(-1, 4)
        for p in (population, changed_change)
    )
    np.testing.assert_allclose(
        sums - own_inputs, windows(population, read) @ change, atol=1e-4
    )
    assert changed_change.projections[2] is population.projections[2]


GROUPED = {"kernel_size": [3, 3], "padding": "same", "groups": 2, "strides": [2, 2]}
TRANSPOSED = {"kernel_size": [3, 2], "padding": "same", "strides": [2, 2], "filters": 4}
ROW = {"kernel_size": [1, 3], "padding": "same"}
DILATED = {"kernel_size": [2, 3], "padding": "same", "dilation_rate": [2, 1]}


@pytest.fixture(scope="module")
def grouped_network():
    """A sum of a convolution in two groups, a dense one and a transposed one."""
    layer = partial(weighted_entry, np.random.default_rng(7), spread=(0.4, 0))
    head = {"batch_input_shape": [None, 8, 8, 2]}
    entries = [
        StoredLayer("input", "InputLayer", head, (), {}),
        layer("first", "Conv2D", {**DILATED, **RELU}, ("input",), 2, 3, 2, 4),
        layer("half", "Conv2D", {**GROUPED, **RELU}, ("first",), 3, 3, 2, 4),
        layer("small", "Conv2D", {**GROUPED, **RELU}, ("half",), 3, 3, 2, 4),
        layer("left", "Conv2D", {**GROUPED, "filters": 4}, ("first",), 3, 3, 2, 4),
        layer("middle", "Conv2D", {**ROW, "filters": 4}, ("half",), 1, 3, 4, 4),
        layer("right", "Conv2DTranspose", TRANSPOSED, ("small",), 3, 2, 4, 4),
        StoredLayer("sum", "Add", {}, ("left", "middle", "right"), {}),
        StoredLayer("rectified", "Activation", {"activation": "relu"}, ("sum",), {}),
    ]
    return assemble(entries)


def test_the_inputs_of_groups_give_the_sums(grouped_network):
    """The transposed kernel is not fitted."""
    random = np.random.default_rng(8)
    network = grouped_network
    population = network.output
    read = {
        "first": random.random((5, 8, 8, 4)).astype(np.float32),
        "half": random.random((5, 4, 4, 4)).astype(np.float32),
        "small": random.random((5, 2, 2, 4)).astype(np.float32),
    }
    change = random.normal(0, 1, (weights_of_channel(population), 4))
    changed_population = add_change(population, change)
    own_sums, sums = (
        PopulationSums(network, each).compute(read).reshape(-1, 4)
        for each in (population, changed_population)
    )
    inputs = windows(population, read)
    assert inputs.shape == (5 * 16, window_size(population))
    first_half, second_half = channel_blocks(population)
    for block in (first_half, second_half):
        np.testing.assert_allclose(
            (sums - own_sums)[:, block.channels],
            inputs[:, block.columns] @ change[:, block.channels],
            atol=1e-4,
        )
    # 9 taps of two channels of the groups, then 3 taps of four channels
    assert not set(first_half.columns[:18]) & set(second_half.columns[:18])
    np.testing.assert_array_equal(first_half.columns[18:], np.arange(36, 48))
    np.testing.assert_array_equal(second_half.columns[18:], np.arange(36, 48))
    assert changed_population.projections[2] is population.projections[2]


def test_a_population_in_groups_gets_the_kernels_that_solve_its_equations(
    grouped_network,
):
    """Where sums are linear in the inputs, the change of the weights is found."""
    random = np.random.default_rng(9)
    population = grouped_network.output
    change = random.normal(0, 1, (weights_of_channel(population), 4))
    inputs = random.random((4000, window_size(population))).astype(np.float32)
    errors = np.zeros((4000, 4), np.float32)
    for block in channel_blocks(population):
        sums = inputs[:, block.columns] @ change[:, block.channels]
        errors[:, block.channels] = sums
    fitted_population = fit_population(population, inputs, errors)
    wanted_population = add_change(population, change)
    for fitted, wanted in zip(
        fitted_population.projections, wanted_population.projections
    ):
        np.testing.assert_allclose(fitted.kernel, wanted.kernel, atol=0.02)


def _ridge_regression(x, y, ridge):
    """Solve with additional equations in the place of the penalty."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    penalty = np.sqrt(ridge * np.square(x).sum(axis=0).mean()) * np.eye(x.shape[1])
    return np.linalg.lstsq(
        np.concatenate([x, penalty]),
        np.concatenate([y, np.zeros_like(y[: len(penalty)])]),
        None,
    )[0]


def _equations(noise):
    random = np.random.default_rng(6)
    x = random.random((300, 12)) ** 3
    return x.astype(np.float32), (
        x @ random.normal(0, 1, (12, 3)) + random.normal(0, noise, (300, 3))
    ).astype(np.float32)


@pytest.mark.parametrize(("noise", "message"), [(0.01, 0.001), (2, 1)])
def test_the_ridge_predicts_one_half_of_the_rows_best_from_the_other(noise, message):
    x, y = (values.astype(np.float64) for values in _equations(noise))
    halves = [(x[:150], y[:150]), (x[150:], y[150:])]
    errors = []
    for ridge in RIDGES:
        rests = [
            c - a @ _ridge_regression(*fitted_half, ridge)
            for fitted_half, (a, c) in zip(halves, halves[::-1])
        ]
        errors.append(sum(rest.var(axis=0).sum() for rest in rests))
    assert RIDGES[int(np.argmin(errors))] == message
    # The covariances are those within the halves.
    within = (
        np.concatenate([part - part.mean(axis=0) for part in parts])
        for parts in zip(*halves)
    )
    solution = _ridge_regression(*within, message)
    np.testing.assert_allclose(
        fit_change(*_equations(noise)), solution, rtol=1e-3, atol=1e-5
    )


def test_negative_pre_activations_may_have_any_negative_sum():
    """Sums whose trained value is far below zero would dominate the plain regression."""
    x, target_activations = _equations(0.01)
    target_activations = np.where(
        target_activations > 0.5,
        target_activations - 0.5,
        20 * (target_activations - 0.5),
    ).astype(np.float32)
    errors = []
    for pre_activations in (None, target_activations):
        sums = x @ fit_change(x, target_activations, pre_activations)
        shifts = np.linspace(-20, 20, 4001)[:, np.newaxis, np.newaxis]
        rest = np.maximum(sums + shifts, 0) - np.maximum(target_activations, 0)
        errors.append(np.square(rest).mean(axis=1).min(axis=0).sum())
    assert errors[1] < 0.5 * errors[0]


def test_fitted_kernels_lessen_the_error(network, monkeypatch):
    x, settings = (
        np.random.default_rng(5).random((SAMPLES, 8, 8, 2)).astype(np.float32),
        {"calibrate": 4},
    )
    fitted_calibration = calibrate(network, x, ConversionSettings(**settings))
    monkeypatch.setattr(least_squares, "ROWS_PER_WEIGHT", np.inf)
    plain_calibration = calibrate(network, x, ConversionSettings(**settings))
    assert fitted_calibration.layers["first"].after == pytest.approx(
        plain_calibration.layers["first"].after
    )  # it reads the images
    assert (
        fitted_calibration.layers["rectified"].after
        < plain_calibration.layers["rectified"].after
    )


def test_fitted_kernels_lessen_the_error_of_other_images_with_free_firing(
    trained_case, monkeypatch
):
    network = read_network(trained_case.parsed)
    x = trained_case.x[:100]
    errors = []
    logits = Analogue(centred_output(compose_pooling(network))).outputs(x)
    for least_weight in (least_squares.ROWS_PER_WEIGHT, np.inf):
        monkeypatch.setattr(least_squares, "ROWS_PER_WEIGHT", least_weight)
        calibration = calibrate(
            network,
            trained_case.x[100:],
            ConversionSettings(calibrate=8, firing="free"),
        )
        errors.append(simulate_calibrated(EventEngine, calibration, x, 8, logits)[-1])
    assert errors[0] < 0.9 * errors[1]


def test_kernels_with_few_equations_stay(network):
    taken_rows = [
        fitted_rows(network.output, samples) for samples in (24, 25, 100_000)
    ]  # 40 weights, 16 rows each
    assert [None if rows is None else rows.step for rows in taken_rows] == [None, 1, 17]


def test_fewer_samples_than_asked_for_are_reported(network):
    settings = ConversionSettings(calibrate=4, calibration_samples=2)
    [line] = calibrate(network, np.zeros((1, 8, 8, 2), np.float32), settings).warnings
    assert line == "--calibration-samples 2: only 1 normalisation samples exist"
