"""Layers on cores: memories and verdicts are Sinabs's, figures are counted by hand, and each limit is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from snnb.mapping.hardware import CoreMemory, LayerHardware, read_hardware
from snnb.mapping.layer_cores import assign, place_layers
from snnb.network.read_network import Entry, assemble

RECORDED = json.loads((Path(__file__).parents[1] / "fixtures" / "sinabs_mappings.json").read_text())
SPECK = read_hardware("speck2f")


class Layers:
    """Entries of a network, layer by layer."""

    def __init__(self, *shape):
        self.entries = [Entry("input", "InputLayer", {"batch_input_shape": (None, *shape)}, (), {})]
        self.shapes = {"input": shape}

    def add(self, kind, shape, arrays, inputs=(), name=None, **config):
        name = name or f"{len(self.entries) - 1:02d}{kind}"
        self.entries.append(Entry(name, kind, config, tuple(inputs) or (self.entries[-1].name,), arrays))
        self.shapes[name] = shape
        return name

    def conv(self, filters, kernel=3, stride=1, padding="valid", bias=True, inputs=(), name=None, activation="relu"):
        rows, columns, channels = self.shapes[inputs[0] if inputs else self.entries[-1].name]
        sides = [(n - kernel) // stride + 1 if padding == "valid" else -(-n // stride) for n in (rows, columns)]
        arrays = weights((kernel, kernel, channels, filters), filters, bias)
        return self.add(
            "Conv2D", (*sides, filters), arrays, inputs, name, activation=activation,
            filters=filters, kernel_size=(kernel, kernel), strides=(stride, stride), padding=padding,
        )  # fmt: skip

    def pad(self, before, after=None):
        rows, columns, channels = self.shapes[self.entries[-1].name]
        more = before + (before if after is None else after)
        sides = (before, before if after is None else after)
        return self.add("ZeroPadding2D", (rows + more, columns + more, channels), {}, padding=(sides, sides))

    def pool(self, side, stride=None, kind="AveragePooling2D"):
        stride = stride or side
        rows, columns, channels = self.shapes[self.entries[-1].name]
        shape = ((rows - side) // stride + 1, (columns - side) // stride + 1, channels)
        return self.add(kind, shape, {}, pool_size=(side, side), strides=(stride, stride))

    def dense(self, units, bias=True, inputs=(), name=None):
        if not inputs and len(self.shapes[self.entries[-1].name]) > 1:
            self.add("Flatten", (int(np.prod(self.shapes[self.entries[-1].name])),), {})
        (inputs_size,) = self.shapes[inputs[0] if inputs else self.entries[-1].name]
        arrays = weights((inputs_size, units), units, bias)
        return self.add("Dense", (units,), arrays, inputs, name, units=units, activation="relu")

    @property
    def network(self):
        return assemble(Path("net_parsed.h5"), self.entries)


def weights(shape, filters, bias):
    return {"kernel": np.broadcast_to(np.float32(1), shape), "bias": np.full(filters, bias, np.float32)}


def recorded_network(spec):
    layers = Layers(*spec["input"])
    for one in spec["layers"]:
        if "units" in one:
            layers.dense(one["units"], one["bias"])
            continue
        if one["padding"]:
            layers.pad(one["padding"])
        layers.conv(one["filters"], one["kernel"], one["stride"], bias=one["bias"])
        if one.get("pool", 1) > 1:
            layers.pool(one["pool"])
    return layers.network


def test_memories_and_verdicts_of_300_random_networks_are_those_of_sinabs():
    assert len(RECORDED) == 300
    for number, spec in enumerate(RECORDED):
        placed = place_layers(recorded_network(spec), SPECK)
        assert [[one.kernel, one.neurons, one.biases] for one in placed.layers] == spec["memories"], number
        assert (placed.reason is None) == (spec["cores"] is not None), (number, placed.reason)
        if placed.reason is None:
            assert len({*placed.core}) == len(placed.core)
            for memories, core in zip(spec["memories"], placed.core):
                memory = SPECK.cores[core]
                assert np.less_equal(memories, [memory.kernel, memory.neurons, memory.biases]).all()
