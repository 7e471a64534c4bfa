"""Random small networks: the engines against the toolbox, each other, and neurons stepped by the graph alone."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snnb.graph.build import build_graph
from snnb.model_files.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.engine import find_event_obstacle
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.conversion.conftest import examples
from tests.graph.edges import step_by_graph

SAMPLES, STEPS = 12, 25
POPULATIONS = ["Conv2D", "DepthwiseConv2D", "AveragePooling2D", "MaxPooling2D"]
KINDS = [*POPULATIONS, "ZeroPadding2D", "Reshape"]
TERMS = ["Conv2D", "DepthwiseConv2D", "Dense"]


@st.composite
def image_layers(draw, kinds):
    """Parameters of a Keras layer of an image: (kind, window, strides, padding, dilation)."""
    kind = draw(st.sampled_from(kinds))
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    strides = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    dilation = draw(st.integers(1, 2)) if strides == (1, 1) else 1
    return kind, window, strides, draw(st.sampled_from(["same", "valid"])), dilation


@st.composite
def joins(draw, kinds):
    """How the input joins an image: ("Concatenate", axis, rows and columns it is padded by, in which order)."""
    sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
    # The graph does not tell at which of two places of a neuron a maximum meets it first.
    orders = (
        ["first", "last"] if "MaxPooling2D" in kinds else ["first", "last", "twice"]
    )
    axis = draw(st.sampled_from([3, 3, 1, 2]))
    return (
        "Concatenate",
        axis,
        draw(st.tuples(sides, sides)),
        draw(st.sampled_from(orders)),
    )


@st.composite
def sums(draw):
    """A population that adds layers, as ("Add", parameters of each, stride, filters a channel, whether it has a ReLU).

    Parameters of a layer: its kind, window, dilation, and whether it reads the image, the stem or the input.
    """
    term = st.tuples(
        st.sampled_from(TERMS),
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
        st.integers(1, 2),
        st.sampled_from(["image", "stem", "input"]),
    )
    terms = draw(st.lists(term, min_size=2, max_size=3))
    return (
        "Add",
        terms,
        draw(st.integers(1, 2)),
        draw(st.integers(1, 2)),
        draw(st.booleans()),
    )


@st.composite
def branches(draw, kinds, adds):
    """Layers of an image; the input may join it before any of them, and something pools or weighs both then.

    Where `adds`, a sum may follow on any of them.
    """
    populations = [kind for kind in kinds if kind in POPULATIONS]
    branch = draw(st.lists(image_layers(kinds), max_size=2))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(branch)))
        between = draw(st.lists(image_layers(["ZeroPadding2D", "Reshape"]), max_size=1))
        branch[place:place] = [
            draw(joins(kinds)),
            *between,
            draw(image_layers(populations)),
        ]
    if adds and draw(st.booleans()):
        branch.insert(draw(st.integers(0, len(branch))), draw(sums()))
    return branch


@st.composite
def architectures(draw, kinds, adds=False):
    """Input shape; padding before the first layer; two branches; whether the input joins them; seed of the weights."""
    shape = draw(st.tuples(st.integers(4, 8), st.integers(4, 8), st.integers(1, 3)))
    padding = draw(st.sampled_from([None, ((1, 0), (0, 2)), ((1, 1), (1, 1))]))
    return (
        shape,
        padding,
        draw(st.tuples(branches(kinds, adds), branches(kinds, adds))),
        draw(st.booleans()),
        draw(st.integers(0, 2**16)),
    )


class _Builder:
    """Keras layers, named as the toolbox's parser names them: number, kind, and something after an underscore."""

    def __init__(self, seed, toolbox):
        self.random = np.random.default_rng(seed)
        self._toolbox = toolbox
        self._number = 0

    def add(self, kind, *arguments, **options):
        self._number += 1
        return getattr(keras.layers, kind)(
            *arguments, **options, name=f"{self._number:02d}{kind}_{self._number}"
        )

    def join_input(self, image, source, axis, padding, order):
        """The input, padded, joined to an image, the smaller of both padded to the size of the larger."""
        if any(sum(sides) for sides in padding):
            source = self.add("ZeroPadding2D", padding)(source)
        if image.shape[3] != source.shape[3]:
            axis = 3
        sizes = [max(image.shape[i], source.shape[i]) for i in (1, 2)]
        both = []
        for part in (image, source):
            missing_sizes = [size - part.shape[i] for i, size in zip((1, 2), sizes)]
            if any(missing_sizes):
                part = self.add(
                    "ZeroPadding2D", [(n // 2, n - n // 2) for n in missing_sizes]
                )(part)
            both.append(part)
        ends = {"first": both[::-1], "last": both, "twice": [both[1], *both]}[order]
        return self.add("Concatenate", axis)(ends)

    def sum_volumes(self, volumes, terms, stride, multiplier, is_activated):
        """The sum of layers without activation; a volume of another size than the image is not read."""
        image = volumes["image"]
        ends = []
        for kind, window, dilation, name in terms:
            read = (
                volumes[name] if volumes[name].shape[1:3] == image.shape[1:3] else image
            )
            options = {
                "padding": "same",
                "dilation_rate": dilation if stride == 1 else 1,
            }
            if kind == "DepthwiseConv2D":
                ends.append(
                    self.add(
                        kind, window, stride, depth_multiplier=multiplier, **options
                    )(image)
                )
            elif kind == "Dense" and stride == 1:
                ends.append(self.add(kind, image.shape[3] * multiplier)(read))
            else:
                ends.append(
                    self.add(
                        "Conv2D", image.shape[3] * multiplier, window, stride, **options
                    )(read)
                )
        end = self.add("Add")(ends)
        return self.add("Activation", "relu")(end) if is_activated else end

    def layer(self, image, kind, window, strides, padding, dilation):
        """A layer after an image, replaced where TensorFlow or the toolbox cannot compute it."""
        span = [(taps - 1) * dilation + 1 for taps in window]
        if padding == "valid" and any(
            size < taps for size, taps in zip(image.shape[1:3], span)
        ):
            padding = "same"
        if (
            kind == "DepthwiseConv2D" and dilation > 1 and self._toolbox
        ):  # Keras 2.3 omits it in the output's shape
            padding = "same"
        if kind == "ZeroPadding2D":
            return self.add(kind, (window, strides))(image)
        if kind == "Reshape":
            height, width, channels = image.shape[1:]
            return self.add(kind, (height, channels, width))(image)
        if kind in ("AveragePooling2D", "MaxPooling2D"):
            return self.add(kind, window, strides, padding)(image)
        options = {"padding": padding, "dilation_rate": dilation, "activation": "relu"}
        if kind == "DepthwiseConv2D":  # TensorFlow knows no other strides of it
            return self.add(
                kind,
                window,
                strides[0],
                depth_multiplier=int(self.random.integers(1, 3)),
                **options,
            )(image)
        return self.add(
            kind, int(self.random.integers(1, 10)), window, strides, **options
        )(image)


def _network(architecture, path, is_rounded, toolbox):
    """Write the network, one that the toolbox can simulate, perhaps; return it and pictures.

    `rounded`: so that no float32 sum of it has to be rounded.
    """
    keras.backend.clear_session()
    shape, padding, branches, input_joins, seed = architecture
    builder = _Builder(seed, toolbox)
    x = keras.Input(shape, name="input")
    source = x if padding is None else builder.add("ZeroPadding2D", padding)(x)
    stem = builder.add("Conv2D", 4, 3, padding="same", activation="relu")(source)
    ends = [x] if input_joins else []
    for branch in branches:
        image = stem
        for kind, *how in branch:
            if kind == "Concatenate":
                image = builder.join_input(image, source, *how)
            elif kind == "Add":
                image = builder.sum_volumes(
                    {"image": image, "stem": stem, "input": source}, *how
                )
            else:
                image = builder.layer(image, kind, *how)
        ends.append(image)
    y = builder.add("Concatenate")([builder.add("Flatten")(end) for end in ends])
    y = builder.add("Dense", int(builder.random.integers(1, 40)), activation="relu")(y)
    model, random = (
        keras.Model(x, builder.add("Dense", 5, activation="softmax")(y)),
        builder.random,
    )
    weights = [
        random.normal(0.05, 1.5 / np.sqrt(np.prod(w.shape[:-1])), w.shape)
        for w in model.get_weights()
    ]
    pictures = random.random((SAMPLES, *shape))
    if is_rounded:
        weights, pictures = (
            [np.round(w * 256) / 256 for w in weights],
            np.round(pictures * 16) / 16,
        )
    model.set_weights(weights)
    model.save(str(path))
    return read_network(path), pictures.astype(np.float32)


def _step_by_graph(parsed_path, frames, options):
    """Counts of the graph alone, without the output, whose spikes are random."""
    graph = build_graph(read_network(parsed_path))
    counts = step_by_graph(graph, frames, options)
    return {
        population.name: counts[population.name]
        for population in graph.populations[1:-1]
    }


def _frames(network, pictures, options, counts_spikes):
    """Output of the input population: float32 `(steps, neurons, samples)`."""
    if options.input == "constant":
        return np.broadcast_to(
            pictures.reshape(SAMPLES, -1).T,
            (options.duration, network.input.size, SAMPLES),
        )
    frames = np.zeros((options.duration, network.input.size, SAMPLES), np.float32)
    sample, neuron, step = counts_spikes.spikes[network.input.name].T
    frames[step, neuron, sample] = 1
    return frames


def _assert_alike(found_counts, counts, exact):
    """Counts by population are the same; or at most one in a thousand differs, by one."""
    if exact:
        for name, expected_counts in counts.items():
            np.testing.assert_array_equal(
                found_counts[name], expected_counts, err_msg=name
            )
    differences = np.concatenate(
        [
            (found_counts[name] - expected_counts).ravel()
            for name, expected_counts in counts.items()
        ]
    )
    assert np.abs(differences).max() <= 1
    assert np.count_nonzero(differences) <= max(1, differences.size // 1000)


def _flat(counts):
    return {name: values.reshape(SAMPLES, -1) for name, values in counts.items()}


@pytest.mark.toolbox
@examples(2, 20)
@given(architectures([kind for kind in KINDS if kind != "MaxPooling2D"]), st.booleans())
def test_all_engines_and_the_graph_count_as_the_toolbox(architecture, is_rounded):
    from snnb.simulation.engines.toolbox import ToolboxEngine

    options = SimulationSettings(samples=SAMPLES, duration=STEPS)
    with TemporaryDirectory() as folder:
        parsed_path = Path(folder) / "r_parsed.h5"
        network, pictures = _network(
            architecture, parsed_path, is_rounded, toolbox=True
        )
        toolbox = (
            ToolboxEngine(read_network(parsed_path), options, per_sample=True)
            .simulate(pictures, 0, lambda *_: None)
            .counts
        )
        by_graph = _step_by_graph(
            parsed_path, _frames(network, pictures, options, None), options
        )
    toolbox.pop(network.output.name)  # its spikes are random
    exact = TensorFlowEngine(network, options).simulate(pictures, 0, lambda *_: None)
    _assert_alike(exact.counts, toolbox, exact=True)
    if find_event_obstacle(network, options) is None:
        event = EventEngine(network, options).simulate(pictures, 0, lambda *_: None)
        _assert_alike(event.counts, toolbox, exact=is_rounded)
    _assert_alike(by_graph, _flat(toolbox), exact=is_rounded)


# The input, padded, joins an image along its rows; windows of the maximum that overlap, and meet the edge.
JOINED = [
    ("Concatenate", 1, ((1, 0), (0, 2)), "first"),
    ("MaxPooling2D", (3, 2), (2, 1), "same", 1),
]
POOLED = (
    (7, 6, 2),
    None,
    (JOINED, [("MaxPooling2D", (2, 3), (1, 1), "valid", 1)]),
    False,
    3,
)


@pytest.mark.parametrize("source", ["constant", "poisson"])
@examples(2, 20)
@example(POOLED, 1.0, "subtraction")
@given(
    architectures(KINDS, adds=True),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from(["subtraction", "zero"]),
)
def test_event_and_the_graph_are_tensorflow_where_sums_are_exact(
    source, architecture, threshold, reset
):
    options = SimulationSettings(
        samples=SAMPLES,
        duration=STEPS,
        warm_up=5,
        threshold=threshold,
        reset=reset,
        initial_potential=architecture[-1] % 4 / 4,
        input=source,
        seed=architecture[-1],
        record_spikes=SAMPLES,
    )
    with TemporaryDirectory() as folder:
        network, pictures = _network(
            architecture, Path(folder) / "r_parsed.h5", is_rounded=True, toolbox=False
        )
        result = TensorFlowEngine(network, options).simulate(
            pictures, 0, lambda *_: None
        )
        frames = _frames(network, pictures, options, result)
        by_graph = _step_by_graph(Path(folder) / "r_parsed.h5", frames, options)
    expected_counts = _flat(result.counts)
    _assert_alike(
        by_graph, {name: expected_counts[name] for name in by_graph}, exact=True
    )
    if find_event_obstacle(network, options) is None:
        two = EventEngine(network, options).simulate(pictures, 0, lambda *_: None)
        _assert_alike(two.counts, result.counts, exact=True)
        np.testing.assert_array_equal(result.late, two.late)
        np.testing.assert_allclose(result.readout, two.readout, atol=1e-4)
        for name, spikes in result.spikes.items():
            np.testing.assert_array_equal(two.spikes[name], spikes, err_msg=name)
