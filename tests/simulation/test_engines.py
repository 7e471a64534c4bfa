"""Which engine `auto` takes, and what is refused to the others."""

import dataclasses

import numpy as np
import pytest

from snnb.errors import InputError
from snnb.simulation.engines import choose_engine
from snnb.simulation.layers import Concatenate, DepthwiseConv2D, MaxPooling2D, Network
from snnb.simulation.settings import SimulationSettings

SETTINGS = SimulationSettings(samples=10)


MIXED = SETTINGS.changed(input="poisson", threshold=0.5)


@pytest.fixture
def pooled(branched):
    """Max pooling, of the input's spikes and a population's."""
    source, first, *_ = branched.network.layers
    joined = Concatenate("joined", (source.name, first.name), (8, 9, 9), 2)
    return Network((source, first, joined, MaxPooling2D("pool", ("joined",), (4, 4, 9), (2, 2), (2, 2), "valid")))


def test_auto_takes_event_on_a_cpu_and_tensorflow_on_a_gpu(branched, monkeypatch):
    import tensorflow as tf

    assert choose_engine(branched.network, SETTINGS)[0] == "event"
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0"])
    assert choose_engine(branched.network, SETTINGS) == ("tensorflow", "there is a GPU")


def test_auto_says_why_event_cannot(pooled):
    engine, reason = choose_engine(pooled, MIXED)
    assert engine == "tensorflow"
    assert "layer pool" in reason


def test_engines_that_are_asked_for_refuse_by_layer(pooled):
    for engine in ("toolbox", "event"):
        with pytest.raises(InputError, match=r"layer pool.*--engine tensorflow"):
            choose_engine(pooled, MIXED.changed(engine=engine))
    assert choose_engine(pooled, MIXED.changed(engine="tensorflow"))[0] == "tensorflow"


def test_the_toolbox_cannot_dilate_depthwise_without_padding(branched):
    source, weights = branched.network.input, (np.zeros((3, 3, 3, 1), np.float32), np.zeros(3, np.float32), "relu")
    layer = DepthwiseConv2D("dilated", (source.name,), (4, 5, 3), *weights, (1, 1), (2, 2), "valid")
    toolbox = SETTINGS.changed(engine="toolbox")
    with pytest.raises(InputError, match=r"layer dilated.*--engine tensorflow"):
        choose_engine(Network((source, layer)), toolbox)
    padded = dataclasses.replace(layer, shape=(8, 9, 3), padding="same")
    assert choose_engine(Network((source, padded)), toolbox) == ("toolbox", "asked for")
