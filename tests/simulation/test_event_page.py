"""The numbers in the docstrings of the event engine, computed by its code."""

import numpy as np

from snnb.network.layers import Conv2D
from snnb.network.network import Network, Population, Projection, Volume
from snnb.simulation.engines import event
from snnb.simulation.engines.event import projection_tables
from snnb.simulation.engines.event.compiled_network import EventNetwork
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.loop_arrays import VECTOR_SIZE
from snnb.simulation.settings import SimulationSettings

LAYER = Conv2D(filters=1, kernel_size=(1, 3), padding="same")
GEOMETRY = LAYER.geometry((1, 4, 1))
SPIKES = np.array([0, 1, 1, 0], np.float32)
KERNEL = np.array([0.25, 0.5, 1], np.float32).reshape(GEOMETRY.kernel_shape)
BIAS = np.float32(0.125)


def _population(name, source, kernel, bias):
    projection = Projection(
        source, LAYER, GEOMETRY, kernel.reshape(GEOMETRY.kernel_shape)
    )
    return Population(
        name, GEOMETRY.shape, "Conv2D", (projection,), np.full(1, bias), "relu"
    )


def _row(title, values):
    return f"    {title:28}" + "  ".join(f"{value:5.3f}" for value in values)


def _bits(title, spikes):
    word = np.packbits(spikes.astype(bool), bitorder="little")[0]
    return (
        f"    {title:28}"
        + "  ".join(f"{int(spike):5}" for spike in spikes)
        + f"     word {word}"
    )


def test_the_page_has_the_numbers_of_the_engine():
    image = _population(
        "image", "input", np.array([0, 1, 0], np.float32), np.float32(0)
    )
    network = Network(
        (
            Volume("input", (1, 4, 1)),
            image,
            _population("windows", "image", KERNEL, BIAS),
        )
    )
    settings = SimulationSettings(samples=1, duration=1)
    counted_result = EventEngine(network, settings).simulate(
        SPIKES.reshape(1, 1, 4, 1), 0, lambda *_: None
    )
    np.testing.assert_array_equal(counted_result.counts["image"].ravel(), SPIKES)
    spikes, potential = (
        counted_result.counts["windows"].ravel(),
        counted_result.readout[0],
    )
    [projection] = EventNetwork(network, settings).network.output.projections
    runs = projection_tables.make_table(projection, np.float32(1)).runs
    starts = [runs.weight_start[i] + i * runs.weight_stride[i] for i in range(4)]
    lines = [
        _bits("spikes that are read", SPIKES),
        _row("current", potential - BIAS),
        _row("potential", potential),
        _bits("spikes", spikes),
        _row("potential after them", potential - spikes),
    ]
    for neuron in (1, 2):
        weights = runs.weights[starts[neuron] : starts[neuron] + VECTOR_SIZE][:3]
        lines.append(
            f"    weights of the spike of {neuron}   "
            + " " * 7 * runs.target[neuron]
            + _row("", weights)[32:]
        )
    for line in lines:
        assert f"{line.rstrip()}\n" in event.__doc__, line


def test_the_tables_of_the_example_are_those_of_the_code(monkeypatch):
    monkeypatch.setattr(
        projection_tables, "BLOCK_BYTES", 2 * 64 * KERNEL.itemsize
    )  # blocks of two rows
    windows = projection_tables.list_windows(GEOMETRY, KERNEL)
    for group, (begin, end) in enumerate(
        zip(windows.range_start, windows.range_start[1:])
    ):
        for i in range(begin, end):
            numbers = (
                *divmod(group, 4),
                windows.first_unit[i],
                windows.end_unit[i],
                windows.row_shift[i],
            )
            assert (
                "{:7}{:7}{:10}{:11}{:11}\n".format(*numbers)
                in projection_tables.__doc__
            )
    runs = projection_tables.list_runs(GEOMETRY, KERNEL)
    for position in range(4):
        [i] = range(runs.run_start[position], runs.run_start[position + 1])
        start = runs.weight_start[i] + position * runs.weight_stride[i]
        weights = runs.weights[start : start + VECTOR_SIZE]
        pattern = tuple(
            KERNEL.ravel().tolist().index(weight) for weight in weights if weight
        )
        assert (
            f"{position:8}{runs.target[i]:9}      {pattern}\n"
            in projection_tables.__doc__
        )
    triples = projection_tables.list_triples(GEOMETRY)
    for window in range(4):
        taps = triples.tap[triples.window == window]
        first_position = triples.position[triples.window == window][0]
        line = (
            f"    window {window}"
            + " " * (10 + 13 * first_position)
            + (" " * 12).join(map(str, taps))
        )
        assert f"{line}\n" in projection_tables.__doc__, line
