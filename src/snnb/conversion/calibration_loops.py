"""Compiled loops of the calibration.

They compute errors of candidate scale factors, and integrate-and-fire neurons.
"""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled, inlined


@compiled
def rounded_errors(
    sums: np.ndarray,
    target: np.ndarray,
    bias: np.ndarray,
    scales: np.ndarray,
    steps: int,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return squared errors and spikes of activations rounded to `steps` levels.

    They are for candidate scale factors.

    A neuron with scale factor s fires min(T, ⌊½ + T · z / s⌋) spikes, each of which
    stands for the activation s / T. All arrays are float32: `sums`, z without the bias,
    and the trained activations `target` (rows, channels), `bias` (channels,), `scales`
    (candidates, channels). The results are float64 (candidates, channels), sums over
    the rows.
    """
    errors = np.zeros(scales.shape)
    spikes = np.zeros(scales.shape)
    levels = np.float32(steps)
    unit = scales / levels
    for row in range(sums.shape[0]):
        for candidate in range(scales.shape[0]):
            for channel in range(sums.shape[1]):
                current = sums[row, channel] + bias[channel]
                rate = current / unit[candidate, channel]
                level = np.floor(rate + np.float32(0.5))
                level = min(max(level, np.float32(0)), levels)
                difference = level * unit[candidate, channel] - target[row, channel]
                errors[candidate, channel] += difference * difference
                spikes[candidate, channel] += level
    return errors, spikes


@compiled
def balanced_bias(
    sums: np.ndarray,
    target: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    steps: int,
) -> np.ndarray:
    """Return the bias that gives the rounded activations the mean of the target.

    It is float32 (channels,).

    The arguments are those of `rounded_errors`, `scale` (channels,). The mean does not
    decrease with the bias, so the interval of one scale factor around `bias` is halved
    until its length is 1/1000 of a level.
    """
    levels = np.float32(steps)
    unit = scale / levels
    target_spikes = np.zeros(bias.size)
    for row in range(target.shape[0]):
        target_spikes += target[row] / unit
    low = bias - scale / np.float32(2)
    high = bias + scale / np.float32(2)
    for _ in range(int(np.ceil(np.log2(1000 * steps)))):
        middle = (low + high) / np.float32(2)
        spikes = np.zeros(bias.size)
        for row in range(sums.shape[0]):
            for channel in range(bias.size):
                current = sums[row, channel] + middle[channel]
                level = np.floor(current / unit[channel] + np.float32(0.5))
                spikes[channel] += min(max(level, np.float32(0)), levels)
        for channel in range(bias.size):
            if spikes[channel] < target_spikes[channel]:
                low[channel] = middle[channel]
            else:
                high[channel] = middle[channel]
    return (low + high) / np.float32(2)


@inlined
def integrate_and_fire(
    potential: np.float32,
    current: np.float32,
) -> Tuple[np.float32, np.bool_]:
    """Return the potential of a neuron after a time step, and whether it spikes.

    It has no leak, and is reset by subtraction. The numbers are float32, in units of
    the threshold.
    """
    sum_of_inputs = potential + current
    fires = sum_of_inputs >= 1
    return sum_of_inputs - np.float32(fires), fires


@compiled
def firing_errors(
    currents: np.ndarray,
    target: np.ndarray,
    steps: int,
    weights: np.ndarray,
    bias: np.ndarray,
    scales: np.ndarray,
    delays: np.ndarray,
) -> np.ndarray:
    """Return the squared errors of simulated firing rates.

    They are for candidate scale factors and delays.

    A delay (D, B) lowers the initial potential to ½ − D and raises the bias by B /
    `steps`: spikes come later. All arrays are float32: `currents` (time, rows,
    channels) without the bias, `delays` (number, 2), the others as in `rounded_errors`;
    `weights`, float64, has the weight of the error of the rates after each step. The
    errors are float64 (delays, candidates, channels), sums over the rows.
    """
    # Candidates and channels are one axis, so that the inner loops are long.
    scale = scales.ravel()
    size = scales.size
    errors = np.zeros((len(delays), size))
    inputs = np.empty((len(weights), size), np.float32)
    offsets = (bias / scales).ravel()
    potential = np.empty_like(scale)
    spikes = np.empty_like(scale)
    targets = np.empty_like(scale)
    for row in range(currents.shape[1]):
        for start in range(0, size, bias.size):
            candidate = slice(start, start + bias.size)
            inputs[:, candidate] = currents[:, row] / scale[candidate]
            targets[candidate] = target[row]
        for delay in range(len(delays)):
            shift = offsets + delays[delay, 1] / np.float32(steps)
            potential[:] = np.float32(0.5) - delays[delay, 0]
            spikes[:] = np.float32(0)
            for step in range(len(weights)):
                for k in range(size):
                    current = inputs[step, k] + shift[k]
                    potential[k], fires = integrate_and_fire(potential[k], current)
                    spikes[k] += np.float32(fires)
                if weights[step] > 0:
                    for k in range(size):
                        rate_unit = scale[k] / np.float32(step + 1)
                        difference = spikes[k] * rate_unit - targets[k]
                        errors[delay, k] += weights[step] * (difference * difference)
    return errors.reshape(len(delays), *scales.shape)


@compiled
def fire(
    currents: np.ndarray,
    bias: np.ndarray,
    start: np.ndarray,
    spikes: np.ndarray,
) -> None:
    """Simulate integrate-and-fire neurons with reset by subtraction.

    Set `spikes` where they fire.

    `currents` and the bool array `spikes` have the shape (steps, rows, channels),
    `bias` and the initial potential `start` (channels,); all are in units of the
    threshold.
    """
    potential = np.empty(currents.shape[1:], np.float32)
    potential[:] = start
    for step in range(currents.shape[0]):
        for row in range(currents.shape[1]):
            for channel in range(currents.shape[2]):
                current = currents[step, row, channel] + bias[channel]
                value, fires = integrate_and_fire(potential[row, channel], current)
                spikes[step, row, channel] = fires
                potential[row, channel] = value
