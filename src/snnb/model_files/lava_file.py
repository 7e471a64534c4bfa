"""Read the layers in a file that lava-dl exports (`.net`, HDF5).

lava-dl (github.com/lava-nc/lava-dl) trains networks for Loihi 2; `export_hdf5` writes a
group for each layer, `/layer/0`, `/layer/1` …. Arrays are channels first, and kernels
are those of PyTorch.

A layer that is read here has numbers of a kind and range that Lava takes; others are
refused by name. Whether the layers fit each other is left to `lava_dl`.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

import h5py
import numpy as np

from snnb.io.hdf5 import budget_of, reading, text_of, whole
from snnb.model_files.kinds import NotReadError
from snnb.network.geometry import Shape

INPUT = "input"
CONVOLUTION = "conv"
FLATTEN = "flatten"
DENSE = "dense"
RECURRENT = "dense_rec"
KINDS = (INPUT, CONVOLUTION, FLATTEN, DENSE, RECURRENT)
NEURON_KINDS = ("CUBA", "LOIHI")  # two names of one model
FULL_DECAY = 4096  # the decay with which nothing of a state remains in the next step
LARGEST_BIAS = 2**15 - 1  # in magnitude: 16 bits with the sign
LARGEST_THRESHOLD = 2**17
# In magnitude, of a convolution: float32 holds all whole numbers up to it
LARGEST_WEIGHT = 2**24
LONGEST_DELAY = 62  # time steps; Lava shortens longer delays to it
LARGEST_NUMBER = 2**63 - 1  # in magnitude, of int64
COPIES_BYTES = 64  # of a number of an array: its copies in int64 and float64
KERNEL_BYTES = 4  # of a weight in the projection of each delay: float32
VOLUME_BYTES = 16  # of a value of a volume: its number and its neuron's bias


@dataclass(frozen=True, eq=False)
class LavaNeuron:
    """The parameters of the neurons of a layer, whole numbers as in the file.

    Each is int64: a number, (), or flat, one for each channel or unit (not checked).
    """

    i_decay: np.ndarray  # iDecay, from 0 to `FULL_DECAY`
    v_decay: np.ndarray  # vDecay, likewise
    threshold: np.ndarray  # vThMant, from 0 to `LARGEST_THRESHOLD`


@dataclass(frozen=True, eq=False)
class LavaLayer:
    """A layer of a network in a file.

    What a kind of layer does not have is None or has its default; a flatten has none of
    it.
    """

    number: int  # in the file, from 0
    kind: str  # one of `KINDS`
    # Of its output: (channels, height, width), or (units,); () of a flatten
    shape: Shape
    # int64; None of a flatten, and of an input without neurons. Of an input: w, with
    # which a pixel from 0 to 1 is the bias w (2 pixel - 1) + `bias`, in the file's
    # shape. Of a convolution: (filters, channels of a group, height, width). Of a dense
    # layer: (units, inputs), the inputs in the order of the file
    weight: Optional[np.ndarray]
    recurrent_weight: Optional[np.ndarray]  # int64 (units, units), of a dense_rec
    # int64: a number, (), or flat, one for each channel or neuron (not checked)
    bias: np.ndarray
    # int64: time steps from a spike to its arrival in a dense layer, at least 0: (),
    # (units, 1), (1, inputs) or (units, inputs)
    delay: np.ndarray
    # None without neurons, of an input, a dense or a flatten
    neuron: Optional[LavaNeuron]
    # Of a convolution
    stride: Tuple[int, int] = (1, 1)  # along rows and columns, as the next two
    padding: Tuple[int, int] = (0, 0)
    dilation: Tuple[int, int] = (1, 1)
    groups: int = 1
    # Number of weights, biases and delays in the file that are not whole; they are
    # rounded towards 0
    truncated_values: int = 0

    @property
    def name(self) -> str:
        """Type and number: `conv1`."""
        return f"{self.kind}{self.number}"

    def refuse(self, fault: str) -> NotReadError:
        """Return an error that names the layer: "layer 1 (conv) {fault}"."""
        return _refuse(self.number, self.kind, fault)


def read_layers(path: Path) -> List[LavaLayer]:
    """Return the layers in a file, in order.

    There is at least one. Raise `NotReadError` for a layer that is not read, and
    `DamagedError` if the file is missing, not HDF5, or has values of a wrong type.
    """
    with reading(path) as file:
        group = file.get("layer")
        if not isinstance(group, h5py.Group):
            raise NotReadError("has no group layer, as lava-dl writes it")
        count = len(group)
        budget_of(group).draw_steps(count, "layers")
        has_all = all(str(number) in group for number in range(count))
        if not count or not has_all:
            listing = ", ".join(sorted(group)[:5]) or "none"
            raise NotReadError(f"has layers {listing}: they must be 0, 1, 2 …")
        return [_LayerReader(group[str(n)], n).read() for n in range(count)]


class _LayerReader:
    """Reads the group of one layer.

    `_layer` makes the layer from what all kinds have, and from what its kind has, which
    `_input`, `_convolution` and `_dense` read and check before.
    """

    def __init__(self, group: h5py.Group, number: int) -> None:
        self._group = group
        self._number = number
        self._truncated_values = 0  # so far
        self._kind = ""  # in the error of a layer without a type
        self._kind = self._text(group, "type")

    def read(self) -> LavaLayer:
        """Return the layer; raise `NotReadError` if it is not read."""
        kind = self._kind
        if kind not in KINDS:
            listing = ", ".join(KINDS)
            raise self._refuse(f"has a type that is not read; these are: {listing}")
        if kind == FLATTEN:
            return self._layer((), None)
        neuron = self._neuron()
        if kind == CONVOLUTION:
            return self._convolution(neuron)
        if kind == INPUT:
            return self._input(neuron)
        return self._dense(neuron)

    def _layer(
        self,
        shape: Shape,
        neuron: Optional[LavaNeuron],
        weight: Optional[np.ndarray] = None,
        recurrent_weight: Optional[np.ndarray] = None,
        delay: Optional[np.ndarray] = None,
    ) -> LavaLayer:
        """Return the layer, after its weights were read and counted."""
        self._draw_volume(shape, "output")
        return LavaLayer(
            number=self._number,
            kind=self._kind,
            shape=shape,
            weight=weight,
            recurrent_weight=recurrent_weight,
            bias=self._bias(),
            delay=np.zeros((), np.int64) if delay is None else delay,
            neuron=neuron,
            stride=self._pair("stride", 1),
            padding=self._pair("padding", 0),
            dilation=self._pair("dilation", 1),
            groups=self._pair("groups", 1)[0],
            truncated_values=self._truncated_values,
        )

    def _input(self, neuron: Optional[LavaNeuron]) -> LavaLayer:
        shape = self._shape()
        if neuron is None:
            return self._layer(shape, None)
        weight = self._integers("weight")
        if weight is None or "bias" not in self._group:
            raise self._refuse("has a neuron, but no weight and bias for the pixels")
        layer = self._layer(shape, neuron, weight)
        largest_weight = np.abs(weight).max(initial=0)
        largest = int(largest_weight + np.abs(layer.bias).max(initial=0))
        if largest > LARGEST_BIAS:
            raise self._refuse(
                f"makes biases of up to {largest:,} of pixels: Lava stores 16 bits"
            )
        return layer

    def _convolution(self, neuron: Optional[LavaNeuron]) -> LavaLayer:
        if neuron is None:
            raise self._refuse("has no neuron")
        if "delay" in self._group:
            raise self._refuse("has delays, which Lava ignores in a convolution")
        weight = self._weights("weight")
        if weight.ndim == 5 and weight.shape[-1] == 1:  # the last axis is time
            weight = weight[..., 0]
        if weight.ndim != 4:
            raise self._refuse(
                f"has weights of shape {weight.shape}: filters, channels, height and "
                "width are read"
            )
        if np.abs(weight).max(initial=0) > LARGEST_WEIGHT:
            raise self._refuse(f"has weights beyond {LARGEST_WEIGHT:,}")
        shape = self._shape()
        if len(shape) != 3:
            raise self._refuse(f"has the shape {shape}: it must have 3 axes")
        layer = self._layer(shape, neuron, weight)
        window_spans = []
        for axis in (0, 1):
            kernel_span = layer.dilation[axis] * (weight.shape[2 + axis] - 1) + 1
            stride_span = layer.stride[axis] * (shape[1 + axis] - 1)
            window_spans.append(stride_span + kernel_span)
        channels = weight.shape[1] * layer.groups
        self._draw_volume((channels, *window_spans), "padded input")
        return layer

    def _draw_volume(self, shape: Shape, name: str) -> None:
        """Draw the memory for a volume of the layer from the budget of the file."""
        budget_of(self._group).draw(
            math.prod(shape),
            f"values in the {name} of layer {self._number}",
            VOLUME_BYTES,
        )

    def _dense(self, neuron: Optional[LavaNeuron]) -> LavaLayer:
        units = math.prod(self._shape())
        weight = self._weights("weight")
        if weight.size % units:
            raise self._refuse(f"has {weight.size} weights for {units} units")
        weight = weight.reshape(units, -1)
        if self._kind == DENSE:
            delay = self._delays(*weight.shape)
            num_delays = np.unique(np.minimum(delay, LONGEST_DELAY)).size
            budget_of(self._group).draw(
                num_delays * weight.size,
                f"weights of layer {self._number} for {num_delays} delays",
                KERNEL_BYTES,
            )
            return self._layer((units,), neuron, weight, delay=delay)
        if neuron is None:
            raise self._refuse("has no neuron")
        if "delay" in self._group:
            raise self._refuse("has delays, of which Lava loses the weights' exponent")
        recurrent_weight = self._weights("weight_rec")
        if recurrent_weight.size != units * units:
            raise self._refuse(
                f"has {recurrent_weight.size} recurrent weights, not {units} × {units}"
            )
        square = recurrent_weight.reshape(units, units)
        return self._layer((units,), neuron, weight, square)

    def _neuron(self) -> Optional[LavaNeuron]:
        """Return the parameters of the neurons; None without the group `neuron`."""
        if "neuron" not in self._group:
            return None
        group = self._group["neuron"]
        kind = self._text(group, "type")
        if kind not in NEURON_KINDS:
            listing = " and ".join(NEURON_KINDS)
            raise self._refuse(f"has neurons of type {kind}; {listing} are read")
        if "gradedSpike" in group and np.any(whole(group["gradedSpike"])):
            raise self._refuse("has graded spikes; spikes of 1 are read")
        if "refDelay" in group and np.any(self._numbers(group, "refDelay") != 1):
            raise self._refuse("has a refDelay other than 1")
        return LavaNeuron(
            i_decay=self._parameter(group, "iDecay", 0, FULL_DECAY),
            v_decay=self._parameter(group, "vDecay", 0, FULL_DECAY),
            threshold=self._parameter(group, "vThMant", 0, LARGEST_THRESHOLD),
        )

    def _parameter(
        self,
        group: h5py.Group,
        name: str,
        lowest: int,
        highest: int,
    ) -> np.ndarray:
        """Return a parameter of the neurons, see `LavaNeuron`."""
        if name not in group:
            raise self._refuse(f"has neurons without {name}")
        values = self._numbers(group, name)
        is_inside = (values >= lowest) & (values <= highest)
        if not values.size or not is_inside.all() or (values % 1).any():
            raise self._refuse(
                f"has {name} other than whole numbers from {lowest} to {highest:,}"
            )
        numbers = values.ravel().astype(np.int64)
        return numbers[0] if numbers.size == 1 else numbers

    def _shape(self) -> Shape:
        """Return the shape of the output, of one or three axes."""
        if "shape" not in self._group:
            raise self._refuse("has no shape")
        lengths = self._numbers(self._group, "shape").ravel()
        is_length = (lengths >= 1) & (lengths % 1 == 0)
        if len(lengths) not in (1, 3) or not is_length.all():
            raise self._refuse(
                f"has the shape {tuple(lengths.tolist())}: 1 or 3 lengths from 1 on "
                "are read"
            )
        return tuple(lengths.astype(int).tolist())

    def _weights(self, name: str) -> np.ndarray:
        """Return an array of weights, int64; raise `NotReadError` if there is none."""
        weights = self._integers(name)
        if weights is None or not weights.size:
            raise self._refuse(f"has no {name}")
        return weights

    def _bias(self) -> np.ndarray:
        """Return the biases, see `LavaLayer`; 0 without any."""
        bias = self._integers("bias")
        if bias is None:
            return np.zeros((), np.int64)
        if np.abs(bias).max(initial=0) > LARGEST_BIAS:
            raise self._refuse(f"has biases beyond {LARGEST_BIAS:,}, of 16 bits")
        numbers = bias.ravel()
        return numbers[0] if numbers.size == 1 else numbers

    def _integers(self, name: str) -> Optional[np.ndarray]:
        """Return an array, its numbers rounded towards 0, int64; None without it.

        The numbers that this changes are counted.
        """
        if name not in self._group:
            return None
        if isinstance(self._group[name], h5py.Group):
            raise self._refuse(f"has a complex {name}")
        return self._truncate(self._numbers(self._group, name))

    def _truncate(self, values: np.ndarray) -> np.ndarray:
        """Return numbers rounded towards 0, int64, and count those that this changes."""
        if values.dtype.kind != "f":
            return values.astype(np.int64)
        whole_values = np.trunc(values)
        self._truncated_values += int((whole_values != values).sum())
        return whole_values.astype(np.int64)

    def _numbers(self, group: h5py.Group, name: str) -> np.ndarray:
        """Return an array of integers or floats that int64 can represent.

        Draw the memory for its copies.
        """
        values = np.asarray(whole(group[name]))
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise self._refuse(f"has {name} with values that are not numbers")
        # The next float64 above LARGEST_NUMBER is 2 ** 63
        if values.dtype.kind == "f":
            is_beyond = np.abs(values) >= float(LARGEST_NUMBER)
        else:  # int64 has -2 ** 63, whose magnitude it does not have
            is_beyond = (values > LARGEST_NUMBER) | (values < -LARGEST_NUMBER)
        if is_beyond.any():
            raise self._refuse(f"has {name} beyond {LARGEST_NUMBER:,}, of 64 bits")
        budget_of(group).draw(values.size, f"numbers of {name}", COPIES_BYTES)
        return values

    def _delays(self, units: int, inputs: int) -> np.ndarray:
        """Return the delays of a dense layer, see `LavaLayer`; they are rounded down.

        As many delays as units are those of its outputs, also if it has as many inputs.
        """
        if "delay" not in self._group:
            return np.zeros((), np.int64)
        values = self._numbers(self._group, "delay")
        if np.any(values < 0):
            raise self._refuse("has negative delays")
        delay = self._truncate(values)
        if delay.size == 1:
            return delay.reshape(())
        if delay.ndim == 1 and delay.size == units:
            return delay.reshape(units, 1)
        if delay.ndim == 1 and delay.size == inputs:
            return delay.reshape(1, inputs)
        if delay.shape != (units, inputs):
            raise self._refuse(
                f"has delays of shape {delay.shape} for {units} units and {inputs} "
                "inputs"
            )
        return delay

    def _pair(self, name: str, default: int) -> Tuple[int, int]:
        """Return two numbers, for rows and columns: whole, and at least the default.

        A single number in the file is for both. Without any, both are the default.
        """
        if name not in self._group:
            return default, default
        values = self._numbers(self._group, name).ravel()
        if values.size not in (1, 2) or np.any(values % 1) or np.any(values < default):
            raise self._refuse(f"has {name} {values.tolist()}")
        rows, columns = np.resize(values, 2).astype(int).tolist()
        return rows, columns

    def _text(self, group: h5py.Group, name: str) -> str:
        """Return the first text of an array, which lava-dl writes with one."""
        if name not in group:
            raise self._refuse(f"has no {name}")
        values = np.asarray(whole(group[name])).ravel()
        if not values.size:
            raise self._refuse(f"has an empty {name}")
        return text_of(values[0])

    def _refuse(self, fault: str) -> NotReadError:
        return _refuse(self._number, self._kind, fault)


def _refuse(number: int, kind: str, fault: str) -> NotReadError:
    """Return an error that names a layer; `kind` may be empty."""
    title = f"layer {number} ({kind})" if kind else f"layer {number}"
    return NotReadError(f"{title} {fault}")
