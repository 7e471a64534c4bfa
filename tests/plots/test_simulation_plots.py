"""Pictures of networks of any depth: nothing on stderr, nothing on top of each other."""

import struct

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from snnb.io.figures import save
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble
from snnb.plots import simulation as plots

pytestmark = [
    pytest.mark.usefixtures("drawn_figures"),
    pytest.mark.filterwarnings("error"),
]
NAMES = [
    "{:02d}Conv2D_8x8x16",
    "$x^{:02d}",
    "_{:02d}",
    "a$b_{:02d}$\\frac",
    "bell\x07\n{:02d}",
    "{:02d}" + "W" * 200,
    "网{:02d}",
]


def _network(depth):
    """Populations of 4 to 400 neurons, with names that are not easy to draw."""
    sizes = np.random.default_rng(0).integers(4, 400, depth)
    names = [NAMES[i % len(NAMES)].format(i) for i in range(depth)]
    entries, before = (
        [StoredLayer("input", "InputLayer", {"batch_input_shape": [None, 50]}, (), {})],
        50,
    )
    for name, size in zip(names, sizes.tolist()):
        arrays = {
            "kernel": np.zeros((before, size), np.float32),
            "bias": np.zeros(size, np.float32),
        }
        entries.append(
            StoredLayer(name, "Dense", {"units": size}, (entries[-1].name,), arrays)
        )
        before = size
    return assemble(entries)


def _assert_readable(figure, path):
    save(figure, path)
    width, height = struct.unpack(">II", path.read_bytes()[16:24])  # of a PNG file
    assert 600 <= width <= 1200
    assert 400 <= height <= 2000
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert (pixels[..., :3] != 255).any(axis=2).mean() > 0.02
    for axes in figure.axes:
        assert axes.get_legend() is None or len(axes.get_legend().get_texts()) <= 10
    labels = [
        label.get_window_extent()
        for label in figure.axes[0].get_yticklabels()
        if label.get_text()
    ]
    assert len(labels) >= 2
    for one_label, two in zip(labels, labels[1:]):
        assert not one_label.overlaps(two)
    assert all(label.x0 >= 0 for label in labels)


@pytest.mark.parametrize("depth", [1, 12, pytest.param(600, marks=pytest.mark.slow)])
def test_rates(tmp_path, depth):
    random = np.random.default_rng(1)
    rates = {
        layer.name: random.beta(1, 1 + i % 9, layer.size)
        for i, layer in enumerate(_network(depth).populations)
    }
    _assert_readable(plots.plot_rates(rates), tmp_path / "rates.png")


def test_rates_of_several_events_in_a_step_are_drawn():
    figure = plots.plot_rates(
        {"input": np.array([0.0, 0.5, 2.5]), "layer": np.array([1.0, 0.2])}
    )
    drawn_stairs = [stairs.get_data() for stairs in figure.axes[0].patches]
    assert [data.values.sum() for data in drawn_stairs] == [3, 2]
    assert drawn_stairs[0].edges[-1] == 2.5


@pytest.mark.parametrize("depth", [3, pytest.param(120, marks=pytest.mark.slow)])
def test_raster(tmp_path, depth):
    random, network = np.random.default_rng(2), _network(depth)
    spikes = {"input": np.zeros((0, 3), np.int32)}
    for layer in network.populations:
        step, neuron = np.nonzero(random.random((100, layer.size)) < 0.2)
        spikes[layer.name] = np.stack([0 * step, neuron, step], axis=1)
    figure = plots.plot_raster(network, spikes, 100)
    _assert_readable(figure, tmp_path / "raster.png")
    shown_neurons = sum(len(set(line.get_ydata())) for line in figure.axes[0].lines)
    assert shown_neurons <= plots.RASTER_NEURONS


def test_names_stand_as_they_are():
    figure = plots.plot_rates(
        {"_a$b$": np.array([0.25, 0.75]), "$\\frac": np.array([0.5])}
    )
    texts = figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in texts] == [r"0.500  _a\$b\$", r"0.500  \$\frac"]
