"""Random numbers belong to (seed, sample, step, neuron), and Poisson input has the rate that was asked for."""

import numpy as np
import pytest

from snnb.simulation.engines.engine import INPUT, SOFTMAX, Streams


def test_seeds_samples_and_uses_have_numbers_of_their_own():
    streams = [(seed, sample, use) for seed in (0, 1) for sample in (0, 1) for use in (INPUT, SOFTMAX, SOFTMAX + 1)]
    numbers = [Streams(seed, range(s, s + 1), use).uniform(1, (1000,)).ravel() for seed, s, use in streams]
    assert len(np.unique(np.concatenate(numbers))) > 0.999 * 12 * 1000  # float32 has a few equal ones by chance


@pytest.mark.parametrize("rate", [1000.0, 400.0, 2500.0])
def test_poisson_rates_are_within_statistical_bounds(rate):
    x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1).repeat(50, axis=0)
    steps, trials = 200, 200 * 50
    share = Streams(3, range(50), INPUT).poisson(x, rate, steps).mean(axis=(0, 1))
    expected = np.minimum(1, x[0] * rate / 1000)
    error = np.abs(share - expected)
    assert (error <= 5 * np.sqrt(expected * (1 - expected) / trials)).all()  # one in 30,000 such tests by chance
    assert share[0, 0] == 0
    assert (share[expected == 1] == 1).all()
