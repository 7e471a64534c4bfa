"""What populations and re-indexing layers compute from what they read, in PyTorch.

Every array has its axes in Keras's order, channels last. PyTorch's operations on images are given a view of it with
channels in front, which they call memory format channels_last.
"""

from functools import partial
from typing import Callable, List, Mapping, Sequence, Tuple, Type, Union

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnb.network.layers import AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, Layer, MaxPooling2D
from snnb.network.network import Population, Projection, Reindexed
from snnb.network.reindexing import Concatenate, ZeroPadding2D

Windows = Union[Conv2D, DepthwiseConv2D, AveragePooling2D, MaxPooling2D]
Padding = Tuple[int, int, int, int]
Current = Callable[[Tensor], Tensor]


def current_of(population: Population, device: str) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Prepare a population's current: the sum over its projections, and its bias.

    Parameters
    ----------
    population : Population
        None of its layers is max pooling, see `leading`.
    device : str

    Returns
    -------
    callable
        From what each volume passes on, float32 (samples, ...), by name, to the current, float32
        (samples, *population.shape).
    """
    terms: List[Tuple[str, Current]] = [(p.input, _PREPARE[type(p.layer)](p, device)) for p in population.projections]
    bias = None if population.bias is None else _tensor(population.bias, device)

    def current(read: Mapping[str, Tensor]) -> Tensor:
        (name, term), *others = terms
        total = term(read[name])
        for name, term in others:
            total += term(read[name])
        if bias is not None:
            total += bias
        return total

    return current


def _dense(projection: Projection, device: str) -> Current:
    kernel = _tensor(projection.weights()[0, 0], device)
    return lambda x: x @ kernel


def _convolution(projection: Projection, device: str) -> Current:
    layer, kernel, groups = projection.layer, projection.weights(), 1
    assert isinstance(layer, (Conv2D, DepthwiseConv2D))
    if isinstance(layer, DepthwiseConv2D):  # (height, width, channels, multiplier): each channel is a group of its own
        kernel, groups = kernel.reshape(*kernel.shape[:2], 1, -1), kernel.shape[2]
    weight = _tensor(kernel.transpose(3, 2, 0, 1), device).to(memory_format=torch.channels_last)
    left, right, above, below = _padding(
        layer, layer.kernel_size, layer.dilation_rate, projection.geometry.input_volume
    )
    within = (above, left) if (above, left) == (below, right) else (0, 0)  # by the convolution itself, without a copy
    before = (0, 0, 0, 0) if any(within) else (left, right, above, below)
    convolution = partial(
        functional.conv2d,
        weight=weight,
        stride=layer.strides,
        padding=within,
        dilation=layer.dilation_rate,
        groups=groups,
    )
    return lambda x: _last(convolution(_padded(x, before)))


def _average(projection: Projection, device: str) -> Current:
    """Average over what lies inside of the image, as Keras does."""
    layer = projection.layer
    assert isinstance(layer, AveragePooling2D)
    pool, strides, shape = layer.pool_size, layer.strides, projection.geometry.input_volume
    padding = _padding(layer, pool, (1, 1), shape)

    def summed(x: Tensor) -> Tensor:
        return _last(functional.avg_pool2d(_padded(x, padding), pool, strides, divisor_override=1))

    inside = summed(torch.ones((1, *shape[:2], 1), device=device))
    return lambda x: summed(x) / inside


_PREPARE: Mapping[Type[Layer], Callable[[Projection, str], Current]] = {
    Dense: _dense,
    Conv2D: _convolution,
    DepthwiseConv2D: _convolution,
    AveragePooling2D: _average,
}


def leading(layer: MaxPooling2D, accumulated: Tensor, spikes: Tensor) -> Tensor:
    """Return the present spike of each window's input that has accumulated most so far; the first of several."""
    padding = _padding(layer, layer.pool_size, (1, 1), spikes.shape[1:])
    candidates = _padded(accumulated, padding, -torch.inf)
    _, leader = functional.max_pool2d(candidates, layer.pool_size, layer.strides, return_indices=True)
    present = _padded(spikes, padding)
    return _last(present.flatten(2).gather(2, leader.flatten(2)).reshape(leader.shape))


def reindexed(volume: Reindexed, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the values of a volume without neurons, given those of the volumes that it reads, by name."""
    inputs = [tensors[name] for name in volume.inputs]
    if isinstance(volume.layer, Concatenate):
        return torch.cat(inputs, volume.layer.along(len(volume.shape)) + 1)
    if isinstance(volume.layer, ZeroPadding2D):
        (top, bottom), (left, right) = volume.layer.pads()
        return functional.pad(inputs[0], (0, 0, left, right, top, bottom))
    return inputs[0].reshape(-1, *volume.shape)  # Flatten and Reshape


def _padding(layer: Windows, size: Sequence[int], dilation: Sequence[int], shape: Sequence[int]) -> Padding:
    """How many zeros Keras puts left, right, above and below: of an odd number, the greater part behind."""
    zeros = [0, 0]
    if layer.padding == "same":
        for axis, stride in enumerate(layer.strides):
            reach, windows = (size[axis] - 1) * dilation[axis] + 1, -(-shape[axis] // stride)
            zeros[axis] = max((windows - 1) * stride + reach - shape[axis], 0)
    rows, columns = zeros
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


def _padded(x: Tensor, padding: Padding, value: float = 0.0) -> Tensor:
    """Pad images (samples, height, width, channels); return (samples, channels, height, width)."""
    image = x.permute(0, 3, 1, 2)
    return functional.pad(image, padding, value=value) if any(padding) else image


def _last(x: Tensor) -> Tensor:
    """Put the channels last."""
    return x.permute(0, 2, 3, 1)


def _tensor(values: np.ndarray, device: str) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32)).to(device)
