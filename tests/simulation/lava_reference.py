"""Networks of lava-dl, written to files at random and simulated in whole numbers.

The simulation is written from the description of Lava's process models in
docs/spiking-networks.md, with int64 arrays, channels first, a step and a layer at a
time. It shares no code with the package.
"""

from typing import Dict, List, NamedTuple, Optional

import h5py
import numpy as np

STATE_LIMIT = 2**23


class Layer(NamedTuple):
    """A layer of a random network."""

    kind: str
    shape: tuple
    weight: Optional[np.ndarray] = None
    recurrent: Optional[np.ndarray] = None
    bias: Optional[np.ndarray] = None
    delay: Optional[np.ndarray] = None
    neuron: Optional[Dict[str, np.ndarray]] = None
    stride: tuple = (1, 1)
    padding: tuple = (0, 0)
    dilation: tuple = (1, 1)
    groups: int = 1


def write(path, layers: List[Layer]) -> None:
    """Write layers as lava-dl does."""
    with h5py.File(str(path), "w") as file:
        for number, layer in enumerate(layers):
            group = file.create_group(f"layer/{number}")
            group["type"] = np.array([layer.kind.encode()])
            group["shape"] = np.array(layer.shape)
            arrays = {
                "weight": layer.weight,
                "weight_rec": layer.recurrent,
                "bias": layer.bias,
                "delay": layer.delay,
            }
            for name, values in arrays.items():
                if values is not None:
                    group[name] = values
            if layer.kind == "conv":
                for name in ("stride", "padding", "dilation", "groups"):
                    group[name] = np.array(getattr(layer, name))
            for name, values in (layer.neuron or {}).items():
                group[f"neuron/{name}"] = values


def stored_by_lava(arrays):
    """Return the exponent and the stored numbers of weights: the rules of 8 bits."""
    values = np.concatenate([array.ravel() for array in arrays])
    low, high = int(values.min()), int(values.max())
    if (low < 0 and high > 254) or (high > 0 and low < -256):
        arrays = [np.clip(array, -256, 254) for array in arrays]
        return stored_by_lava(arrays)
    two_signs = low < 0 <= high
    exponent = -20
    for candidate in range(-8, 10):
        top = 127 if two_signs else 255
        bottom = 128 if two_signs else 256
        if high * 2.0**candidate <= top and -low * 2.0**candidate <= bottom:
            exponent = candidate + int(two_signs)
    even_bits = 0
    while even_bits < 8 and all((a % 2 ** (even_bits + 1) == 0).all() for a in arrays):
        even_bits += 1
    bits = 8 - exponent - even_bits + int(two_signs)
    numbers = []
    for array in arrays:
        scaled = array * 2**exponent
        mixed = scaled.min() < 0 < scaled.max()
        if mixed:
            kept = 2 ** (9 - bits)
            numbers.append(np.clip(scaled, -256, 255) // kept * kept)
            continue
        sign = -1 if scaled.min() < 0 else 1
        kept = 2 ** (8 - bits)
        magnitude = np.clip(np.abs(scaled), 0, 255) // kept * kept
        numbers.append(sign * magnitude)
    return exponent, numbers


def toward_zero(values, share):
    """Return values × share / 4096, rounded towards 0: what remains of a state."""
    product = values * share
    return np.where(product < 0, -(-product // 4096), product // 4096)


class _Cell:
    """The neurons of a layer in one sample."""

    def __init__(self, layer: Layer, shape, bias) -> None:
        spread = (-1,) + (1,) * (len(shape) - 1)
        # A layer without neurons keeps its current, and never spikes
        numbers = layer.neuron or {"iDecay": 0, "vDecay": 4096, "vThMant": 2**17}

        def column(name):
            return np.asarray(numbers[name], np.int64).reshape(spread)

        self.kept_current = 4096 - column("iDecay")
        self.kept_voltage = 4096 - column("vDecay")
        self.threshold = 64 * column("vThMant")
        self.bias = bias
        self.current = np.zeros(shape, np.int64)
        self.voltage = np.zeros(shape, np.int64)

    def step(self, total):
        current = toward_zero(self.current, self.kept_current) + 64 * total
        high, low = current > STATE_LIMIT, current <= -STATE_LIMIT
        self.current = current - 2 * STATE_LIMIT * high + 2 * STATE_LIMIT * low
        voltage = toward_zero(self.voltage, self.kept_voltage) + self.current
        voltage += 64 * self.bias
        voltage = np.clip(voltage, 1 - STATE_LIMIT, STATE_LIMIT - 1)
        spikes = voltage > self.threshold
        self.voltage = np.where(spikes, 0, voltage)
        return spikes


def convolve(layer: Layer, x):
    """Return the sums of a convolution of spikes (channels, rows, columns)."""
    rows, columns = layer.padding
    x = np.pad(x.astype(np.int64), ((0, 0), (rows, rows), (columns, columns)))
    filters, height, width = layer.shape
    per_group = filters // layer.groups
    channels = layer.weight.shape[1]
    sums = np.zeros(layer.shape, np.int64)
    for unit in range(filters):
        first = unit // per_group * channels
        for row in range(height):
            for column in range(width):
                for i in range(layer.weight.shape[2]):
                    for j in range(layer.weight.shape[3]):
                        a = row * layer.stride[0] + i * layer.dilation[0]
                        b = column * layer.stride[1] + j * layer.dilation[1]
                        weights = layer.weight[unit, :, i, j]
                        values = x[first : first + channels, a, b]
                        sums[unit, row, column] += weights @ values
    return (sums + 2**23) % 2**24 - 2**23


def simulate(layers: List[Layer], x, steps: int) -> List[np.ndarray]:
    """Return the spikes of each layer with neurons, bool (*shape, steps).

    `x` are spikes (*shape, steps), or pixels (*shape,) of an input with neurons.
    """
    reads_pixels = layers[0].kind == "input" and layers[0].neuron is not None
    simulated = []
    for layer in layers:
        if layer.kind != "flatten" and (layer.kind != "input" or layer.neuron):
            simulated.append(_Simulated(layer, x, steps))
    for step in range(steps):
        spikes = None if reads_pixels else x[..., step]
        for layer in simulated:
            spikes = layer.step(spikes, step)
    return [layer.output for layer in simulated]


class _Simulated:
    """A layer with neurons in one sample."""

    def __init__(self, layer: Layer, x, steps: int) -> None:
        self._layer = layer
        bias = np.zeros((), np.int64) if layer.bias is None else layer.bias
        bias = np.trunc(np.asarray(bias)).astype(np.int64)
        if layer.kind == "input":
            weight = layer.weight.item()
            bias = np.trunc(2 * weight * x - weight + bias.item()).astype(np.int64)
        elif bias.size > 1:
            bias = bias.reshape((-1,) + (1,) * (len(layer.shape) - 1))
        self._cell = _Cell(layer, layer.shape, bias)
        if layer.kind.startswith("dense"):
            arrays = [a for a in (layer.weight, layer.recurrent) if a is not None]
            whole = [np.trunc(a).astype(np.int64) for a in arrays]
            self._exponent, self._numbers = stored_by_lava(whole)
            self._delay = _delays(layer)
        self._received = []  # spikes of all steps so far, flat
        self.output = np.zeros((*layer.shape, steps), bool)

    def step(self, spikes, step: int):
        """Return the spikes of a step."""
        kind = self._layer.kind
        total = np.zeros(self._layer.shape, np.int64)
        if kind == "conv":
            total = convolve(self._layer, spikes)
        elif kind != "input":
            self._received.append(spikes.reshape(-1).astype(np.int64))
            total = self._dense_sum(step)
        self.output[..., step] = self._cell.step(total)
        return self.output[..., step]

    def _dense_sum(self, step: int):
        total = np.zeros(self._layer.shape, np.int64)
        for lag in np.unique(self._delay):
            if lag <= step:
                weights = np.where(self._delay == lag, self._numbers[0], 0)
                sums = weights @ self._received[step - lag]
                total += sums // 2**self._exponent
        if self._layer.recurrent is not None and step:
            own_spikes = self.output[:, step - 1].astype(np.int64)
            total += (self._numbers[1] @ own_spikes) // 2**self._exponent
        return total


def _delays(layer: Layer):
    """Return the delay of each weight of a dense layer."""
    if layer.delay is None:
        return np.zeros(layer.weight.shape, np.int64)
    delay = np.minimum(np.asarray(layer.delay), 62).astype(np.int64)
    if delay.ndim == 1 and delay.size == layer.weight.shape[0] > 1:
        delay = delay[:, np.newaxis]
    return np.broadcast_to(delay, layer.weight.shape)


def random_network(random) -> List[Layer]:
    """Return the layers of a random network; the first reads spikes or pixels."""
    if random.random() < 0.5:
        return _random_dense_network(random)
    return _random_image_network(random)


def _random_neuron(random, channels: int, scale: int) -> Dict[str, np.ndarray]:
    def draw(values):
        size = 1 if random.random() < 0.7 else channels
        return random.choice(values, size)

    threshold = max(1, int(random.integers(1, 3 * scale)))
    return {
        "type": np.array([random.choice([b"CUBA", b"LOIHI"])]),
        "iDecay": draw([0, 1, 128, 1024, 2048, 3000, 4095, 4096]),
        "vDecay": draw([0, 1, 10, 410, 1024, 2048, 4095, 4096]),
        "vThMant": np.array([min(threshold, 2**17)]),
        "refDelay": np.array([1]),
    }


def _random_weights(random, shape):
    kind = random.integers(7)
    if kind == 0:  # both signs
        return random.integers(-100, 101, shape)
    if kind == 1:  # clipped
        return random.integers(-300, 300, shape)
    if kind == 2:  # one sign, of 8 bits
        return random.integers(1, 256, shape)
    if kind == 3:  # negative, and even
        return -2 * random.integers(1, 129, shape)
    if kind == 4:  # small
        return random.integers(-7, 8, shape)
    if kind == 5:  # negative or 0, the least a power of 2: the sums have fractions
        weights = -random.integers(0, 64, shape)
        weights.flat[0] = -64
        weights.flat[-1] = 0
        weights.flat[weights.size // 2] = -63
        return weights
    return random.normal(0, 20, shape)  # truncated


def _nonzero(random, shape):
    weights = _random_weights(random, shape)
    while not np.trunc(weights).any():
        weights = _random_weights(random, shape)
    return weights


def _random_dense(random, inputs: int, *, is_last: bool) -> Layer:
    units = int(random.integers(2, 20))
    is_recurrent = not is_last and random.random() < 0.3
    weight = _nonzero(random, (units, inputs))
    delay = None
    if not is_recurrent and random.random() < 0.6:
        shape = [(1,), (units,), (inputs,), (units, inputs)][random.integers(4)]
        delay = random.integers(0, random.choice([3, 12, 90]), shape)
    neuron = _random_neuron(random, units, 200)
    if is_last and random.random() < 0.3:
        neuron = None
    bias = random.integers(-30, 60, units) if random.random() < 0.6 else None
    if not is_recurrent:
        return Layer("dense", (units,), weight, None, bias, delay, neuron)
    # Both matrices have both signs: else Lava stores one of them in 9 bits, wrongly
    weight = random.integers(-100, 101, (units, inputs))
    recurrent = random.integers(-32, 33, (units, units))
    return Layer("dense_rec", (units,), weight, recurrent, bias, None, neuron)


def _random_dense_network(random) -> List[Layer]:
    inputs = int(random.integers(2, 40))
    layers = []
    count = int(random.integers(1, 4))
    for number in range(count):
        layer = _random_dense(random, inputs, is_last=number == count - 1)
        layers.append(layer)
        inputs = layer.shape[0]
    return layers


def _random_image_network(random) -> List[Layer]:
    shape = tuple(int(n) for n in random.integers((1, 5, 5), (5, 10, 10)))
    neuron = None
    weight = None
    bias = None
    if random.random() < 0.5:
        neuron = _random_neuron(random, 1, 40)
        weight, bias = np.array([40]), np.array([36])
    layers = [Layer("input", shape, weight, None, bias, None, neuron)]
    for _ in range(int(random.integers(1, 3))):
        layer = _random_convolution(random, shape)
        layers.append(layer)
        shape = layer.shape
    if random.random() < 0.6:
        size = int(np.prod(shape))
        layers.append(Layer("flatten", (size, 1, 1)))
        layers.append(_random_dense(random, size, is_last=True))
    return layers


def _random_convolution(random, shape) -> Layer:
    channels = shape[0]
    groups = int(random.choice([n for n in (1, 1, 2, 3, 4) if channels % n == 0]))
    filters = groups * int(random.integers(1, 4))
    kernel = tuple(int(n) for n in random.integers(1, 4, 2))
    stride = tuple(int(n) for n in random.integers(1, 3, 2))
    padding = tuple(int(n) for n in random.integers(0, 3, 2))
    dilation = tuple(int(n) for n in random.integers(1, 3, 2))
    lengths = []
    for axis in (0, 1):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        if shape[1 + axis] + 2 * padding[axis] < span:
            return _random_convolution(random, shape)
        free = shape[1 + axis] + 2 * padding[axis] - span
        lengths.append(free // stride[axis] + 1)
    scale = 2**21 if random.random() < 0.15 else 100  # the large ones wrap around
    weight = random.integers(-scale, scale + 1, (filters, channels // groups, *kernel))
    bias = random.integers(-30, 60, filters) if random.random() < 0.6 else None
    return Layer(
        "conv",
        (filters, *lengths),
        weight,
        None,
        bias,
        None,
        _random_neuron(random, filters, 400),
        stride,
        padding,
        dilation,
        groups,
    )
