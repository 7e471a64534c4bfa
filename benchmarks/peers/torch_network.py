"""PyTorch: the dense loop as a user would write it, or with the neuron of SpikingJelly's `ann2snn`.

Every synapse is computed in every step, for all samples at once.

python torch_network.py PARSED SAMPLES RESULT STEPS {PyTorch,SpikingJelly}
"""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from snnb.network.layers import AveragePooling2D, Conv2D, Dense, DepthwiseConv2D
from snnb.network.network import Network, Population, Projection, Reindexed
from snnb.network.read_network import read_network

Neurons = Callable[[bool], Callable[[Any], Any]]
Step = Callable[
    [Sequence[Any]], Any
]  # function of the inputs of a volume that returns its current or its values


def torch_loop(
    network: Network, x: np.ndarray, duration: int, neurons: Optional[Neurons] = None
) -> Callable[[], List[Any]]:
    """Prepare the loop, which simulates all samples at once and returns the counts of each population.

    Parameters
    ----------
    network : Network
    x : ndarray of float32, shape (samples, height, width, channels)
        A constant current, so that the layers that read nothing else are computed once.
    duration : int
    neurons : callable, optional
        For each population, the function from its current to spikes, 0 or 1; plain operations otherwise.
    """
    steps = {volume.name: _step(volume, network) for volume in network.volumes[1:]}
    make = neurons or _plain

    def run() -> List[Any]:
        with torch.no_grad():
            pictures = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
            fire = {p.name: make(p is network.output) for p in network.populations}
            return list(_simulated(network, steps, fire, pictures, duration).values())

    return run


def _simulated(
    network: Network,
    steps: Dict[str, Step],
    fire: Dict[str, Any],
    pictures: Any,
    duration: int,
) -> Dict[str, Any]:
    values, constant = {network.input.name: pictures}, {}
    for volume in network.volumes[1:]:
        if set(volume.inputs) <= set(values):
            values[volume.name] = constant[volume.name] = steps[volume.name](
                [values[name] for name in volume.inputs]
            )
        if isinstance(volume, Population):
            values.pop(volume.name, None)
    counts: Dict[str, Any] = {
        population.name: 0.0 for population in network.populations
    }
    for _ in range(duration):
        for volume in network.volumes[1:]:
            name = volume.name
            current = (
                constant[name]
                if name in constant
                else steps[name]([values[read] for read in volume.inputs])
            )
            if isinstance(volume, Reindexed):
                values[name] = current
                continue
            values[name] = fire[name](current)
            counts[name] = counts[name] + values[name]
    return counts


def _plain(softmax: bool) -> Callable[[Any], Any]:
    """Neurons as a user would write them: reset by subtraction; of the softmax layer, random and to zero."""
    potential: Any = 0.0

    def fire(current: Any) -> Any:
        nonlocal potential
        potential = potential + current
        if softmax:
            spikes = (torch.rand_like(potential) <= potential.softmax(1)).float()
            potential = potential * (1 - spikes)
        else:
            spikes = (potential >= 1).float()
            potential = potential - spikes
        return spikes

    return fire


def _step(volume: Any, network: Network) -> Step:
    if isinstance(volume, Reindexed):
        assert volume.layer.kind == "Flatten"  # Keras flattens channels last
        image = len(network.volume(volume.inputs[0]).shape) == 3
        return lambda read: (
            read[0].permute(0, 2, 3, 1).reshape(len(read[0]), -1) if image else read[0]
        )
    terms = [_term(projection) for projection in volume.projections]
    bias = (
        None
        if volume.bias is None
        else _tensor(volume.bias.reshape(-1, *(1,) * (len(volume.shape) - 1)))
    )

    def current(read: Sequence[Any]) -> Any:
        total = terms[0](read[0])
        for term, x in zip(terms[1:], read[1:]):
            total = total + term(x)
        return total if bias is None else total + bias

    return current


def _term(projection: Projection) -> Callable[[Any], Any]:
    layer, geometry = projection.layer, projection.geometry
    if isinstance(layer, Dense):
        return partial(
            functional.linear, weight=_tensor(np.asarray(projection.kernel).T)
        )
    if isinstance(layer, AveragePooling2D):
        assert layer.padding == "valid"
        return partial(
            functional.avg_pool2d, kernel_size=layer.pool_size, stride=layer.strides
        )
    assert isinstance(layer, (Conv2D, DepthwiseConv2D))
    kernel = np.asarray(projection.kernel)
    if isinstance(layer, DepthwiseConv2D):
        if (
            layer.kernel_size == layer.strides == (1, 1) and kernel.shape[3] == 1
        ):  # a shortcut
            scale = _tensor(kernel[0, 0, :, :, np.newaxis])
            return lambda x: x * scale
        weights, groups = (
            _tensor(kernel.reshape(*kernel.shape[:2], 1, -1).transpose(3, 2, 0, 1)),
            kernel.shape[2],
        )
    else:
        weights, groups = _tensor(kernel.transpose(3, 2, 0, 1)), 1
    margins = [
        _margins(axis.size, axis.outputs, *along)
        for axis, *along in _axes(layer, geometry)
    ]
    convolution = partial(
        functional.conv2d, weight=weights, stride=layer.strides, groups=groups
    )
    if all(before == after for before, after in margins):
        return partial(convolution, padding=tuple(before for before, _ in margins))
    (top, bottom), (left, right) = margins
    return lambda x: convolution(functional.pad(x, (left, right, top, bottom)))


def _axes(layer: Any, geometry: Any) -> List[Tuple[Any, int, int]]:
    return list(
        zip((geometry.rows, geometry.columns), layer.kernel_size, layer.strides)
    )


def _margins(size: int, outputs: int, taps: int, stride: int) -> Tuple[int, int]:
    """How many zeros Keras puts before and after an axis; none where the padding is `valid`."""
    zeros = max((outputs - 1) * stride + taps - size, 0)
    return zeros // 2, zeros - zeros // 2


def _tensor(values: np.ndarray) -> Any:
    return torch.from_numpy(np.array(values))


def integrate_and_fire(softmax):
    """A fresh neuron that resets by subtraction; for the softmax layer too, whose spikes are not compared."""
    from spikingjelly.activation_based.neuron import IFNode

    return IFNode(v_threshold=1.0, v_reset=None).eval()


parsed, x, result, steps, kind = (
    Path(sys.argv[1]),
    np.load(sys.argv[2]),
    sys.argv[3],
    int(sys.argv[4]),
    sys.argv[5],
)
network = read_network(parsed)
neurons = integrate_and_fire if kind == "SpikingJelly" else None
run = torch_loop(network, x.reshape(-1, *network.input.shape), steps, neurons)
run()  # the first call prepares the network
began = time.perf_counter()
counts = run()
seconds = time.perf_counter() - began
last = [np.moveaxis(layer.numpy(), 1, -1).reshape(len(x), -1) for layer in counts]
np.savez(
    result,
    seconds=seconds,
    **{p.name: layer for p, layer in zip(network.populations, last)},
)
