"""Layers on cores: memories and verdicts are Sinabs's, figures are counted by hand, and each limit is named."""

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from snnb.chips.hardware import MEMORIES, LayerHardware, LayerLimits
from snnb.chips.read_hardware import read_hardware
from snnb.mapping.layers.assignment import assign_layers, maximum_matching
from snnb.network.keras_file import StoredLayer
from snnb.network.neuron import Neuron
from snnb.network.read_network import assemble

RECORDED = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "sinabs_mappings.json").read_text()
)
SPECK = read_hardware("speck2f")


class Layers:
    """Entries of a network, layer by layer."""

    def __init__(self, *shape):
        self.entries = [
            StoredLayer(
                "input", "InputLayer", {"batch_input_shape": (None, *shape)}, (), {}
            )
        ]
        self.shapes = {"input": shape}

    def add(self, kind, shape, arrays, inputs=(), name=None, **config):
        name = name or f"{len(self.entries) - 1:02d}{kind}"
        self.entries.append(
            StoredLayer(
                name, kind, config, tuple(inputs) or (self.entries[-1].name,), arrays
            )
        )
        self.shapes[name] = shape
        return name

    def conv(
        self,
        filters,
        kernel=3,
        stride=1,
        padding="valid",
        bias=True,
        inputs=(),
        name=None,
        activation="relu",
    ):
        rows, columns, channels = self.shapes[
            inputs[0] if inputs else self.entries[-1].name
        ]
        sides = [
            (n - kernel) // stride + 1 if padding == "valid" else -(-n // stride)
            for n in (rows, columns)
        ]
        arrays = weights((kernel, kernel, channels, filters), filters, bias)
        return self.add(
            "Conv2D", (*sides, filters), arrays, inputs, name, activation=activation,
            filters=filters, kernel_size=(kernel, kernel), strides=(stride, stride), padding=padding,
        )  # fmt: skip

    def pad(self, margin):
        rows, columns, channels = self.shapes[self.entries[-1].name]
        return self.add(
            "ZeroPadding2D",
            (rows + 2 * margin, columns + 2 * margin, channels),
            {},
            padding=((margin, margin), (margin, margin)),
        )

    def pool(self, side, kind="AveragePooling2D"):
        rows, columns, channels = self.shapes[self.entries[-1].name]
        shape = (rows // side, columns // side, channels)
        return self.add(kind, shape, {}, pool_size=(side, side), strides=(side, side))

    def dense(self, units, bias=True, inputs=(), name=None):
        if not inputs and len(self.shapes[self.entries[-1].name]) > 1:
            self.add("Flatten", (int(np.prod(self.shapes[self.entries[-1].name])),), {})
        (inputs_size,) = self.shapes[inputs[0] if inputs else self.entries[-1].name]
        arrays = weights((inputs_size, units), units, bias)
        return self.add(
            "Dense", (units,), arrays, inputs, name, units=units, activation="relu"
        )

    @property
    def network(self):
        return assemble(self.entries)


def weights(shape, filters, bias):
    kernel = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return {"kernel": kernel, "bias": np.full(filters, bias, np.float32)}


def test_memories_and_verdicts_of_300_random_networks_are_those_of_sinabs():
    assert len(RECORDED) == 300
    for number, spec in enumerate(RECORDED):
        layers = Layers(*spec["input"])
        for layer in spec["layers"]:
            if "units" in layer:
                layers.dense(layer["units"], layer["bias"])
                continue
            if layer["padding"]:
                layers.pad(layer["padding"])
            layers.conv(
                layer["filters"], layer["kernel"], layer["stride"], bias=layer["bias"]
            )
            if layer.get("pool", 1) > 1:
                layers.pool(layer["pool"])
        placement = place_layers(layers)
        assert [
            [layer.kernel, layer.neurons, layer.biases] for layer in placement.layers
        ] == spec["memories"], number
        assert (placement.reason is None) == (spec["cores"] is not None), (
            number,
            placement.reason,
        )
        if placement.reason is None:
            assert len({*placement.core}) == len(placement.core)
            for memories, core in zip(spec["memories"], placement.core):
                memory = SPECK.cores[core]
                assert np.less_equal(
                    memories, [memory.kernel, memory.neurons, memory.biases]
                ).all()


def place_layers(layers):
    return assign_layers(layers.network, SPECK)


def fault(layers, name):
    """The faults of a layer, as text, after checking that the reason of the network names the first of all."""
    placement = place_layers(layers)
    assert placement.reason is not None
    first_layer = next(layer for layer in placement.layers if layer.faults)
    assert (
        f"layer {first_layer.name} has {first_layer.faults[0].text}" in placement.reason
    )
    (layer,) = (layer for layer in placement.layers if layer.name == name)
    return [one_fault.text for one_fault in layer.faults]


def test_a_kernel_padded_on_both_sides_alike_reads_what_the_layer_reads():
    for size, kernel, stride, padding in product(
        (5, 8, 9, 16), (1, 2, 3, 4, 5), (1, 2, 4), ("same", "valid")
    ):
        layers = Layers(size, size, 1)
        layers.conv(1, kernel, stride, padding)
        (layer,) = place_layers(layers).layers
        side, before = layer.kernel_size[0], layer.padding[0]
        outputs = layer.output[0]
        assert (size + 2 * before - side) // stride + 1 == outputs
        # TensorFlow: `same` has ⌈size / stride⌉ windows, and the odd row of padding at the end
        total = (
            max((outputs - 1) * stride + kernel - size, 0) if padding == "same" else 0
        )
        for output in range(outputs):
            wanted_rows = range(
                output * stride - total // 2, output * stride - total // 2 + kernel
            )
            read_rows = range(output * stride - before, output * stride - before + side)
            assert {n for n in wanted_rows if 0 <= n < size} <= {*read_rows}
        assert side == kernel or padding == "same"


def test_a_sum_is_one_kernel_over_the_channels_of_its_sources():
    layers = Layers(16, 16, 2)
    first_layer = layers.conv(4, padding="same")
    second_layer = layers.conv(4, padding="same")
    long = layers.conv(6, padding="same", activation="linear")
    short = layers.conv(6, 1, inputs=[first_layer], activation="linear")
    layers.add("Add", (16, 16, 6), {}, [long, short], "sum")
    layers.add("Activation", (16, 16, 6), {}, name="relu", activation="relu")
    layers.dense(3)
    placement = place_layers(layers)
    assert placement.reason is None
    total = placement.layers[2]
    assert [(term.source, term.shape) for term in total.terms] == [
        (second_layer, (16, 16, 4)),
        (first_layer, (16, 16, 4)),
    ]
    assert (total.kernel_size, total.padding, total.channels) == ((3, 3), (1, 1), 8)
    assert total.kernel == 8 * 16 * 8  # ⌈log₂ 9⌉ = 4, ⌈log₂ 6⌉ = 3


def test_pooling_is_on_the_way_to_each_core_that_reads_it():
    layers = Layers(16, 16, 2)
    first_layer = layers.conv(4, padding="same")
    pooled_layer = layers.pool(2)
    one_layer = layers.conv(3, inputs=[pooled_layer], name="one")
    two = layers.conv(5, inputs=[pooled_layer], name="two")
    layers.add("Concatenate", (6, 6, 8), {}, [one_layer, two], "both", axis=-1)
    layers.dense(3, name="out")
    placement = place_layers(layers)
    assert (placement.reason, placement.folded) == (None, {pooled_layer: 2})
    assert [(t.source, t.pooling) for layer in placement.layers for t in layer.terms] == [
        ("input", 1), (first_layer, 2), (first_layer, 2), ("one", 1), ("two", 1)
    ]  # fmt: skip
    assert placement.layers[-1].kernel == 8 * 64 * 4  # 36 positions, 3 units


def test_a_depthwise_convolution_of_equal_weights_is_a_pooling():
    for weights, sides in (
        ((3, 5), [2]),
        ((3, 0), []),
        ((3, -5), []),
    ):  # of the two channels
        layers = Layers(8, 8, 1)
        layers.conv(2, padding="same")
        kernel = np.broadcast_to(np.float32(weights)[:, np.newaxis], (2, 2, 2, 1))
        config = {"kernel_size": (2, 2), "strides": (2, 2), "use_bias": False}
        layers.add(
            "DepthwiseConv2D",
            (4, 4, 2),
            {"depthwise_kernel": kernel},
            name="pool",
            **config,
        )
        layers.dense(3)
        assert [*place_layers(layers).folded.values()] == sides


def test_a_pooling_composed_with_a_dense_layer_is_on_the_way_again():
    pooled_layers, composed_layers = Layers(16, 16, 3), Layers(16, 16, 3)
    for layers in (pooled_layers, composed_layers):
        layers.conv(2, padding="same", name="first")
    pooled_layers.pool(4)
    for layers in (pooled_layers, composed_layers):
        layers.dense(5, name="out")
    kernel = pooled_layers.entries[-1].arrays["kernel"].reshape(4, 4, 2, 5)
    composed_layers.entries[-1].arrays["kernel"] = (
        np.kron(kernel, np.ones((4, 4, 1, 1), np.float32)).reshape(-1, 5) / 16
    )
    placement, two = place_layers(pooled_layers), place_layers(composed_layers)
    assert placement.reason is two.reason is None
    assert placement.layers == two.layers
    assert [(term.source, term.pooling) for term in two.layers[1].terms] == [
        ("first", 4)
    ]


def test_faults_name_the_limit_by_how_much_and_what_would_fit():
    layers = Layers(130, 130, 1)
    layers.conv(2, stride=2, name="big")
    assert fault(layers, "big") == [
        "an input of 130 × 130, 2 more than 128 × 128; resize the input or pool before it"
    ]
    layers = Layers(128, 128, 1)
    layers.conv(2, name="wide")
    assert fault(layers, "wide") == [
        "an output of 126 × 126, 62 more than 64 × 64; use strides or pool before it"
    ]
    layers = Layers(40, 40, 1)
    layers.conv(2, 17, name="large")
    layers.conv(2, 3, 3, name="third")
    layers.conv(1025, 1, name="deep")
    assert fault(layers, "large") == [
        "a kernel of 17 × 17, 1 more than 16 × 16; use a smaller kernel, or pool before a dense layer"
    ]
    assert fault(layers, "third") == [
        "a stride of 3, and a core takes 1, 2, 4, 8; use one of these"
    ]
    assert (
        fault(layers, "deep")[0]
        == "1,025 output channels, 1 more than 1,024; use at most 1,024"
    )
    layers = Layers(20, 20, 1)
    layers.pad(8)
    layers.conv(2, 9, name="padded")
    assert fault(layers, "padded") == [
        "8 rows or columns of padding, 1 more than 7; use at most 7"
    ]


def test_memory_faults_name_the_numbers_that_fit():
    layers = Layers(64, 64, 2)
    layers.conv(32, 3, padding="same", name="wide")  # 32 × 64 × 64 neurons
    assert fault(layers, "wide") == [
        "131,072 entries of neurons, 65,536 more than the 65,536 of the largest core; at most 16 of its 32 output "
        "channels fit, or pool before it"
    ]
    layers = Layers(8, 8, 64)
    layers.dense(129, name="dense")  # 64 × 64 × 256 entries
    assert fault(layers, "dense") == [
        "1,048,576 entries of kernel, 983,040 more than the 65,536 of the largest core; at most 16 of its 129 output "
        "channels or 4 of its 64 input channels fit, or pool before it"
    ]
    layers = Layers(4, 4, 128)
    layers.conv(
        128, 3, name="deep"
    )  # pooling does not make a convolution's kernel smaller
    assert fault(layers, "deep") == [
        "262,144 entries of kernel, 196,608 more than the 65,536 of the largest core; at most 32 of its 128 output "
        "channels or 32 of its 128 input channels fit"
    ]
    layers = Layers(32, 32, 64)
    layers.conv(64, 3, padding="same", name="both")  # 65,536 entries of each
    assert fault(layers, "both") == [
        "65,536 entries of kernel and 65,536 of neurons, and no core holds both; at most 32 of its 64 output channels "
        "or 16 of its 64 input channels fit, or pool before it"
    ]


def test_layers_that_compete_for_too_few_cores_are_named():
    layers = Layers(1, 1, 256)
    layers.add("Flatten", (256,), {})
    for name in ("one", "two", "three"):
        layers.dense(256, name=name)  # 65,536 entries: cores 5 and 6
    layers.dense(10, name="out")
    reason = place_layers(layers).reason
    assert reason == (
        "speck2f: layers one, two, three fit cores 5, 6 only, 1 too few; with at most 128 of the 256 output channels "
        "of one all fit"
    )


def test_a_third_target_and_what_no_core_can_do_are_named():
    layers = Layers(8, 8, 1)
    first_layer = layers.conv(2, padding="same", name="first")
    heads = [layers.conv(2, inputs=[first_layer], name=f"head{n}") for n in range(3)]
    layers.add("Concatenate", (6, 6, 6), {}, heads, "all", axis=-1)
    layers.dense(2, name="out")
    assert fault(layers, "first") == [
        "targets head0, head1, head2, 1 more than 2; remove a branch"
    ]
    layers = Layers(9, 9, 1)
    layers.conv(2, padding="same", name="first")
    layers.pool(3)
    layers.dense(2, name="out")
    (text,) = fault(layers, "01AveragePooling2D")
    assert text.startswith(
        "pooling neurons with windows of 3 × 3, and the path to the next core sums 2 × 2 or 4 × 4"
    )
    assert text.endswith(
        "`snnb parse RUN --calibrate 16` composes it with the Dense layer that reads it"
    )
    layers = Layers(8, 8, 1)
    layers.conv(2, padding="same", name="first")
    layers.pool(2, kind="MaxPooling2D")
    layers.dense(2, name="out")
    assert "`snnb parse RUN --max-pool average`" in fault(layers, "01MaxPooling2D")[0]
    layers = Layers(8, 6, 1)
    layers.dense(2, name="out")
    assert fault(layers, "out") == [
        "a kernel of 8 × 6, and a core takes square ones; use a square one"
    ]
    layers = Layers(6, 6, 1)
    layers.conv(2, padding="same", name="first")
    layers.add("Permute", (2, 6, 6), {}, dims=(3, 1, 2))
    layers.dense(2, name="out")
    assert fault(layers, "out") == [
        "a Permute before it, which moves values between positions; omit it"
    ]


def test_integers_of_too_many_bits_are_named():
    layers = Layers(4, 4, 1)
    layers.conv(2, name="first")
    layers.dense(2, name="out")
    network = layers.network
    populations = [
        replace(
            p,
            bias=np.array([0, bias], np.float32),
            integer_threshold=np.array([9, threshold], np.float32),
        )
        for p, bias, threshold in zip(
            network.populations, (-32768, 32767), (32767, 32768)
        )
    ]
    network = replace(network.with_populations(populations), weight_bits=9)
    first_layer, out = assign_layers(network, SPECK).layers
    assert [fault.text for fault in first_layer.faults] == [
        "weights of 9 bits, 1 more than 8; `snnb parse RUN --weight-bits 8`",
        "a bias of 32,768, 17 bits, 1 more than 16; "
        "`snnb parse RUN --weight-bits 9 --threshold-bits 16`, or fewer threshold bits",
    ]
    assert [fault.limit for fault in out.faults] == ["weights", "threshold"]
    assert assign_layers(replace(layers.network, weight_bits=8), SPECK).reason is None


def test_recurrence_and_leaks_are_named():
    layers = Layers(4, 4, 1)
    layers.dense(4, name="hidden")
    layers.dense(2, name="out")
    network = layers.network
    hidden, out = network.populations
    back = replace(
        out.only, input="out", delay=1, geometry=out.only.layer.geometry((2,))
    )
    looped_network = replace(
        out, projections=(*out.projections, back), neuron=Neuron(1.0, decay_factor=0.9)
    )
    placement = assign_layers(network.with_populations([hidden, looped_network]), SPECK)
    assert [fault.text for fault in placement.layers[1].faults] == [
        "input from out with a delay, which closes a cycle; remove it",
        "neurons with an exponential leak; train integrate-and-fire neurons",
    ]


def test_the_matching_is_a_maximum_one():
    networkx = pytest.importorskip("networkx")
    draw = np.random.default_rng(0)
    for _ in range(200):
        layers, cores = draw.integers(1, 8, 2)
        fits = [
            np.flatnonzero(draw.random(cores) < 0.35).tolist() for _ in range(layers)
        ]
        graph = networkx.Graph(
            (("layer", layer), ("core", core))
            for layer, fitting_cores in enumerate(fits)
            for core in fitting_cores
        )
        found_cores = [
            core for core in maximum_matching(fits, int(cores)) if core is not None
        ]
        assert (
            len(found_cores)
            == len({*found_cores})
            == len(networkx.max_weight_matching(graph, maxcardinality=True))
        )


def test_the_descriptions_of_the_package_are_as_published():
    for name in ("speck2e", "speck2f"):
        speck = read_hardware(name)
        assert [core.kernel // 1024 for core in speck.cores] == [
            16,
            16,
            16,
            32,
            32,
            64,
            64,
            16,
            16,
        ]
        assert [core.neurons // 1024 for core in speck.cores] == [
            64,
            64,
            64,
            32,
            32,
            16,
            16,
            16,
            16,
        ]
        assert {core.biases for core in speck.cores} == {1024}


def test_the_page_shows_every_key():
    page = (Path(__file__).parents[3] / "docs" / "chips.md").read_text()
    blocks = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    (cores,) = (block for block in blocks if "cores" in block)
    assert {*LayerHardware.model_validate(cores).layer.model_fields_set} == {
        *LayerLimits.model_fields
    }
    assert {*cores["cores"][0]} == {*MEMORIES}
    assert {*cores} == {*LayerHardware.model_fields}


def test_layers_take_the_cores_that_are_left():
    layers = Layers(8, 8, 2)
    for _ in range(3):
        layers.conv(4)
    lost = SPECK.model_copy(update={"unavailable": (0, 1, 4)})
    assert not {0, 1, 4} & {*assign_layers(layers.network, lost).core}
    lost = SPECK.model_copy(update={"unavailable": tuple(range(7))})
    reason = assign_layers(layers.network, lost).reason
    assert reason.startswith("speck2f: 3 layers, 1 more than the 2 cores")
    with pytest.raises(ValidationError, match="9 is not one of the 9 cores"):
        LayerHardware.model_validate({**SPECK.model_dump(), "unavailable": [9]})


def test_each_layer_of_a_long_chain_gets_the_only_core_that_is_left():
    fits = [[core, core - 1] for core in range(1023, 0, -1)] + [[0]]
    assert maximum_matching(fits, 1024) == list(range(1023, -1, -1))
