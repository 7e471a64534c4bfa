"""Compiled loops of the calibration: errors of candidate scale factors, and integrate-and-fire neurons."""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled


@compiled
def rounded_errors(
    sums: np.ndarray, target: np.ndarray, bias: np.ndarray, scales: np.ndarray, steps: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Return squared errors and spikes of activations rounded to `steps` levels, for candidate scale factors.

    A neuron with scale factor s fires min(T, ⌊½ + T · z / s⌋) spikes, each of which stands for the activation s / T.
    All arrays are float32: `sums`, z without the bias, and the trained activations `target` (rows, channels), `bias`
    (channels,), `scales` (candidates, channels). The results are float64 (candidates, channels), sums over the rows.
    """
    errors, spikes = np.zeros(scales.shape), np.zeros(scales.shape)
    unit, levels = scales / np.float32(steps), np.float32(steps)
    for row in range(sums.shape[0]):
        for candidate in range(scales.shape[0]):
            for channel in range(sums.shape[1]):
                level = np.floor((sums[row, channel] + bias[channel]) / unit[candidate, channel] + np.float32(0.5))
                level = min(max(level, np.float32(0)), levels)
                difference = level * unit[candidate, channel] - target[row, channel]
                errors[candidate, channel] += difference * difference
                spikes[candidate, channel] += level
    return errors, spikes


@compiled
def balanced_bias(sums: np.ndarray, target: np.ndarray, bias: np.ndarray, scale: np.ndarray, steps: int) -> np.ndarray:
    """Return the bias, float32 (channels,), with which the mean of the rounded activations is that of the target.

    The arguments are those of `rounded_errors`, `scale` (channels,). The mean does not decrease with the bias, so the
    interval of one scale factor around `bias` is halved until its length is 1/1000 of a level.
    """
    unit, levels = scale / np.float32(steps), np.float32(steps)
    wanted = np.zeros(bias.size)
    for row in range(target.shape[0]):
        wanted += target[row] / unit
    low, high = bias - scale / np.float32(2), bias + scale / np.float32(2)
    for _ in range(int(np.ceil(np.log2(1000 * steps)))):
        middle, counted = (low + high) / np.float32(2), np.zeros(bias.size)
        for row in range(sums.shape[0]):
            for channel in range(bias.size):
                level = np.floor((sums[row, channel] + middle[channel]) / unit[channel] + np.float32(0.5))
                counted[channel] += min(max(level, np.float32(0)), levels)
        for channel in range(bias.size):
            if counted[channel] < wanted[channel]:
                low[channel] = middle[channel]
            else:
                high[channel] = middle[channel]
    return (low + high) / np.float32(2)


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
    """Return the squared errors of simulated firing rates, for candidate scale factors and delays.

    A delay (D, B) lowers the initial potential to ½ − D and raises the bias by B / `steps`: spikes come later. All
    arrays are float32: `currents` (time, rows, channels) without the bias, `delays` (number, 2), the others as in
    `rounded_errors`; `weights`, float64, has the weight of the error of the rates after each step. The errors are
    float64 (delays, candidates, channels), sums over the rows.
    """
    # Candidates and channels are one axis, so that the inner loops are long.
    scale, size = scales.ravel(), scales.size
    errors, inputs = np.zeros((len(delays), size)), np.empty((len(weights), size), np.float32)
    offsets, potential = (bias / scales).ravel(), np.empty_like(scale)
    spikes, wanted = np.empty_like(scale), np.empty_like(scale)
    for row in range(currents.shape[1]):
        for first in range(0, size, bias.size):
            part = slice(first, first + bias.size)
            inputs[:, part], wanted[part] = currents[:, row] / scale[part], target[row]
        for delay in range(len(delays)):
            shift = offsets + delays[delay, 1] / np.float32(steps)
            potential[:], spikes[:] = np.float32(0.5) - delays[delay, 0], np.float32(0)
            for step in range(len(weights)):
                for k in range(size):
                    reached = potential[k] + (inputs[step, k] + shift[k])
                    fires = np.float32(reached >= 1)
                    potential[k] = reached - fires
                    spikes[k] += fires
                if weights[step] > 0:
                    for k in range(size):
                        difference = spikes[k] * (scale[k] / np.float32(step + 1)) - wanted[k]
                        errors[delay, k] += weights[step] * (difference * difference)
    return errors.reshape(len(delays), *scales.shape)


@compiled
def fire(currents: np.ndarray, bias: np.ndarray, start: np.ndarray, spikes: np.ndarray) -> None:
    """Simulate integrate-and-fire neurons with reset by subtraction, and set `spikes` where they fire.

    `currents` and the bool array `spikes` have the shape (steps, rows, channels), `bias` and the initial potential
    `start` (channels,); all are in units of the threshold.
    """
    potential = np.empty(currents.shape[1:], np.float32)
    potential[:] = start
    for step in range(currents.shape[0]):
        for row in range(currents.shape[1]):
            for channel in range(currents.shape[2]):
                reached = potential[row, channel] + (currents[step, row, channel] + bias[channel])
                fires = reached >= 1
                spikes[step, row, channel] = fires
                potential[row, channel] = reached - np.float32(fires)
