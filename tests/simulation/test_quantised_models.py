"""Every model with quantised activations: a step of training, conversion, and rates equal to the activations."""

import numpy as np
import pytest

from snnb.architectures import find, names
from snnb.forward.analogue import Analogue
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.settings import SimulationSettings
from snnb.training.keras_model import compile_model
from snnb.training.qcfs import quantised, start_from
from snnb.training.recipe import Recipe
from tests.converted import converted
from tests.simulation.alike import run_engine

LEVELS, SAMPLES, CLASSES, LARGEST = 4, 6, 10, 96


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(names(spiking=False)) - {"autoencoder_mnist"}))
def test_a_quantised_model_loses_nothing_by_conversion(name, tmp_path):
    random, architecture = np.random.default_rng(0), find(name)
    *size, channels = architecture.input_shape
    shape = (*(min(length, LARGEST) for length in size), channels)
    x = random.random((SAMPLES, *shape)).astype(np.float32)
    classes = np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, SAMPLES)]
    relu = architecture.build(shape, CLASSES)
    model = quantised(relu, LEVELS, seed=0)
    compile_model(model, Recipe(), CLASSES)
    assert np.isfinite(model.train_on_batch(x, classes)).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    start_from(model, relu, x)  # afterwards: with initial weights, activations grow with depth at inference only
    converted(model, tmp_path, x_norm=x)
    network, trained = (read_network(tmp_path / "net_parsed.h5", trained=trained) for trained in (False, True))
    settings = SimulationSettings(duration=LEVELS, samples=SAMPLES)
    found = run_engine(SeparatedEngine, network, settings, x)
    *hidden, outputs = Analogue(trained, [p.name for p in trained.populations if p.activation != "linear"]).values(x)
    counts = [found.counts[p.name] for p in trained.populations if p.activation == "relu"]
    pairs = [(np.rint(values * LEVELS), spikes) for values, spikes in zip(hidden, counts)]
    different = np.array([(levels != spikes).reshape(SAMPLES, -1).sum(axis=1) for levels, spikes in pairs])
    # A sum can be at the edge of two levels, where the order of additions in float32 decides; later layers follow.
    assert different[(different > 0).argmax(axis=0), range(SAMPLES)].max() <= 3
    equal = ~different.any(axis=0)
    np.testing.assert_array_equal(found.readout.argmax(axis=1)[equal], outputs.argmax(axis=1)[equal])
