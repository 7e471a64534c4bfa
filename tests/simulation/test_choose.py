"""Which engine `auto` takes, what is refused to the others, and what no engine simulates."""

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.model_files.keras import keras
from snnb.network.keras_file import StoredLayer
from snnb.network.network import Network, Population, Volume
from snnb.network.neuron import Neuron
from snnb.network.read_network import assemble
from snnb.simulation.engines.engine import check_supported, choose_engine
from snnb.simulation.settings import SimulationSettings
from tests.network.test_recurrent import dense
from tests.simulation.alike import network_of

Input = keras.Input
Model = keras.Model
layers = keras.layers

SETTINGS = SimulationSettings(samples=10)
MIXED = SETTINGS.changed(input="poisson", threshold=0.5)


def test_auto_takes_event_where_it_can_simulate_the_network(branched_case):
    assert choose_engine(branched_case.network, SETTINGS) == ("event", "fastest engine")


def test_engines_that_are_asked_for_refuse_by_layer(pooled_network):
    for engine in ("toolbox", "event"):
        with pytest.raises(InputError, match=r"layer pool.*--engine tensorflow"):
            choose_engine(pooled_network, MIXED.changed(engine=engine))
    assert (
        choose_engine(pooled_network, MIXED.changed(engine="tensorflow"))[0]
        == "tensorflow"
    )
    engine, reason = choose_engine(pooled_network, MIXED)
    assert (engine, "layer pool" in reason) == ("tensorflow", True)


def _assemble(*entries):
    return assemble(
        [
            StoredLayer(
                "input", "InputLayer", {"batch_input_shape": [None, 8, 9, 3]}, (), {}
            ),
            *entries,
        ]
    )


@pytest.mark.toolbox
@pytest.mark.parametrize(("padding", "is_refused"), [("valid", True), ("same", False)])
def test_the_toolbox_cannot_dilate_depthwise_without_padding(padding, is_refused):
    arrays = {
        "depthwise_kernel": np.zeros((3, 3, 3, 1), np.float32),
        "bias": np.zeros(3, np.float32),
    }
    config = {
        "kernel_size": [3, 3],
        "dilation_rate": [2, 2],
        "padding": padding,
        "activation": "relu",
    }
    network = _assemble(
        StoredLayer("dilated", "DepthwiseConv2D", config, ("input",), arrays)
    )
    toolbox = SETTINGS.changed(engine="toolbox")
    if is_refused:
        with pytest.raises(InputError, match=r"layer dilated.*--engine tensorflow"):
            choose_engine(network, toolbox)
    else:
        assert choose_engine(network, toolbox) == ("toolbox", "asked for")


def test_the_toolbox_cannot_add():
    arrays = {
        "kernel": np.zeros((1, 1, 3, 2), np.float32),
        "bias": np.zeros(2, np.float32),
    }
    terms = [
        StoredLayer(
            name, "Conv2D", {"filters": 2, "kernel_size": [1, 1]}, ("input",), arrays
        )
        for name in ("a", "b")
    ]
    network = _assemble(*terms, StoredLayer("sum", "Add", {}, ("a", "b"), {}))
    with pytest.raises(
        InputError,
        match="layer sum: the toolbox does not support sums of layers: use --engine tensorflow or event",
    ):
        choose_engine(network, SETTINGS.changed(engine="toolbox"))
    assert choose_engine(network, SETTINGS)[0] == "event"


def test_the_toolbox_has_no_groups():
    arrays = {
        "kernel": np.zeros((1, 1, 1, 6), np.float32),
        "bias": np.zeros(6, np.float32),
    }
    config = {"filters": 6, "kernel_size": [1, 1], "groups": 3}
    network = _assemble(StoredLayer("grouped", "Conv2D", config, ("input",), arrays))
    with pytest.raises(
        InputError, match="layer grouped: the toolbox has no convolutions with groups"
    ):
        choose_engine(network, SETTINGS.changed(engine="toolbox"))
    assert choose_engine(network, SETTINGS)[0] == "event"


def _refusal(folder, outputs, inputs):
    with pytest.raises(InputError) as error_info:
        check_supported(network_of(Model(inputs, outputs), folder))
    assert "\n" not in str(error_info.value)
    return str(error_info.value)


def test_refusals_name_the_layer(tmp_path):
    x, folder = Input((4, 4, 2), name="input"), tmp_path
    flat = layers.Flatten(name="flat")(x)
    assert "layer d: activation tanh" in _refusal(
        folder, layers.Dense(3, activation="tanh", name="d")(flat), x
    )
    ends = [layers.Dense(3, name="one")(flat), layers.Dense(3, name="two")(flat)]
    assert "ends in one, two" in _refusal(folder, ends, x)
    joined_layer = layers.Concatenate(name="joined")(ends)
    assert "ends in joined, which has no neurons" in _refusal(folder, joined_layer, x)


def test_neurons_in_another_shape_can_be_the_output(branched_case, tmp_path):
    x = Input((4,), name="input")
    y = layers.Flatten(name="flat")(
        layers.Reshape((3, 2), name="shaped")(layers.Dense(6, name="dense")(x))
    )
    check_supported(network_of(Model(x, y), tmp_path))
    check_supported(branched_case.network)


def _recurrent(onto_output, **numbers):
    """A population that reads itself, or the output, with a delay."""
    last = Population(
        "out",
        (2,),
        "Dense",
        (dense("a", 3, 2),),
        np.zeros(2, np.float32),
        "linear",
        neuron=Neuron(1),
    )
    onto = (
        dense("input", 4, 3),
        dense("out", 2, 3, delay=1) if onto_output else dense("a", 3, 3, delay=1),
    )
    first_population = Population(
        "a",
        (3,),
        "Dense",
        onto,
        np.zeros(3, np.float32),
        "linear",
        neuron=Neuron(1, **numbers),
    )
    return Network((Volume("input", (4,)), first_population, last))


@pytest.mark.parametrize("onto_output", [False, True])
def test_a_network_that_ends_in_a_cycle_is_simulated(onto_output):
    assert choose_engine(_recurrent(onto_output), SETTINGS.changed(engine="event")) == (
        "event",
        "asked for",
    )


@pytest.mark.toolbox
@pytest.mark.parametrize(
    ("numbers", "beyond"),
    [
        ({"decay_factor": 0.5}, "a leak"),
        ({"current_decay_factor": 0.5}, "a synaptic current"),
        ({"reset_potential": 0}, "individual thresholds and resets"),
    ],
)
def test_the_toolbox_names_what_a_spiking_network_has_beyond_it(numbers, beyond):
    with pytest.raises(
        InputError, match=f"layer a: the toolbox cannot simulate {beyond}"
    ):
        choose_engine(_recurrent(False, **numbers), SETTINGS.changed(engine="toolbox"))


@pytest.mark.toolbox
def test_an_input_that_changes_is_refused_by_name(branched_case):
    with pytest.raises(InputError, match="the toolbox cannot simulate a varying input"):
        choose_engine(
            branched_case.network, SETTINGS.changed(input="events", engine="toolbox")
        )
    with pytest.raises(
        InputError,
        match="a network with firing windows reads images, not --input steps",
    ):
        choose_engine(
            branched_case.network.separated(5), SETTINGS.changed(input="steps")
        )
