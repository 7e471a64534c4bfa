"""A deep residual network with weights as training leaves them, whose spikes rounding therefore shifts."""

import numpy as np

from snnb.graph.build import build_graph
from snnb.graph.export.request import Simulated
from snnb.graph.export.write_export import export
from snnb.simulation.simulate import SimulationSettings, simulate
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras

SAMPLES, STEPS, BLOCKS = 4, 100, 8


def network():
    """Eight blocks of two convolutions next to a shortcut."""
    source = LAYERS.Input((8, 8, 3), name="input")
    tensor = LAYERS.Conv2D(8, 3, padding="same", activation="relu", name="conv")(source)
    for k in range(BLOCKS):
        inner = LAYERS.Conv2D(8, 3, padding="same", activation="relu", name=f"first{k}")(tensor)
        outer = LAYERS.Conv2D(8, 3, padding="same", name=f"second{k}")(inner)
        shortcut = LAYERS.DepthwiseConv2D(1, name=f"shortcut{k}")(tensor)
        tensor = LAYERS.Activation("relu", name=f"sum{k}")(LAYERS.Add(name=f"add{k}")([outer, shortcut]))
    out = LAYERS.Dense(3, activation="softmax", name="out")(LAYERS.Flatten(name="flat")(tensor))
    return keras.Model(source, out)


def simulated(folder):
    """Simulate it, and export its graph to `folder`/net: return pictures, and spikes by population."""
    model, rng = network(), np.random.default_rng(4)
    for layer in model.layers:
        shapes = [values.shape for values in layer.get_weights()]
        if shapes:
            bias, kernel = np.full(shapes[-1], 0.05), rng.normal(0, 1, shapes[0]) / np.sqrt(np.prod(shapes[0][:3]))
            layer.set_weights([np.ones(shapes[0]) if layer.name.startswith("shortcut") else kernel, bias])
    parsed = save(model, folder / "net_parsed.h5")
    x = rng.integers(0, 256, (SAMPLES, 8, 8, 3)).astype(np.uint8)
    settings = SimulationSettings(engine="event", samples=SAMPLES, duration=STEPS, record_spikes=SAMPLES)
    names = {"class_names": ["a", "b", "c"], "num_classes": 3}
    simulate(parsed, folder, name="net", x=x, y=np.zeros(SAMPLES, int), scale=255.0, settings=settings, **names)
    codings = {"input": "current", "out": "random"}
    counts = folder / "spike_rate_sums.npz"
    stated = Simulated(1.0, "subtraction", "constant", None, 255.0, None, None, STEPS, SAMPLES, 0)
    with build_graph(parsed, folder / "net_graph.h5", counts=counts, coding=codings) as graph:
        export(graph, "sonata", folder / "net", simulated=stated)
    with np.load(folder / "spike_times.npz") as times:
        spikes = {name: times[name].astype(np.int64) for name in times.files if times[name].ndim == 2}
    return (x.astype(np.float32) / np.float32(255)).reshape(SAMPLES, -1).astype(float), spikes
