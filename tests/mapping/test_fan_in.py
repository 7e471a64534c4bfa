"""Networks with relay neurons: their weights, the limit, their thresholds, and every spike in a plain simulation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.crosscheck.exported import exported_network
from snnb.crosscheck.split_counts import split_counts
from snnb.graph.export.request import Simulated
from snnb.mapping.groups import grouped, sequential
from snnb.mapping.hardware import NO_LIMIT, Limits
from snnb.mapping.traffic import PlacedNetwork
from snnb.network.fan_in import split_fan_in
from snnb.network.network import DROPPED, Population
from snnb.network.read_network import Entry, assemble
from tests.graph import networks
from tests.mapping.brute_force import csv_edges
from tests.mapping.test_sequential import plainly

STEPS, SAMPLES = 12, 5


def network_of(seed=0, pool=2, zeros=0.0):
    """Every way to connect: convolutions, a sum with shortcuts, branches that meet, a pooling, dense layers."""
    random = np.random.default_rng(seed)

    def layer(name, kind, read, shape, **config):
        weights = random.normal(0.05, 1, shape) / np.sqrt(np.prod(shape[:-1])) * (random.random(shape) >= zeros)
        kernel = "depthwise_kernel" if kind == "DepthwiseConv2D" else "kernel"
        units = shape[-2] if kind in ("DepthwiseConv2D", "Conv2DTranspose") else shape[-1]
        arrays = {kernel: weights.astype(np.float32), "bias": random.normal(0.05, 0.1, units).astype(np.float32)}
        count = {"DepthwiseConv2D": {}, "Dense": {"units": units}}.get(kind, {"filters": units})
        size = {} if kind == "Dense" else {"kernel_size": shape[: len(shape) - 2]}
        return Entry(name, kind, {**count, **size, **config}, (read,), arrays)

    same = {"padding": "same"}
    entries = [
        Entry("input", "InputLayer", {"batch_input_shape": [None, 5, 4, 2]}, (), {}),
        layer("one", "Conv2D", "input", (3, 3, 2, 4), activation="relu", **same),
        layer("up", "Conv2DTranspose", "one", (2, 2, 3, 4), activation="relu", **same),
        layer("long", "Conv2D", "up", (3, 3, 3, 4), **same),
        layer("short", "DepthwiseConv2D", "one", (1, 1, 4, 1)),
        layer("of_input", "Conv2D", "input", (1, 1, 2, 4)),
        Entry("add", "Add", {}, ("long", "short", "of_input"), {}),
        Entry("sum", "Activation", {"activation": "relu"}, ("add",), {}),
        Entry("both", "Concatenate", {"axis": -1}, ("sum", "up"), {}),
        Entry("pool", "AveragePooling2D", {"pool_size": (pool, 2), "strides": (pool, 2)}, ("both",), {}),
        Entry("line", "Reshape", {"target_shape": (2 * (5 // pool), 7)}, ("pool",), {}),
        layer("along", "Conv1D", "line", (3, 7, 5), activation="relu", **same),
        Entry("flat", "Flatten", {}, ("along",), {}),
        layer("out", "Dense", "flat", (10 * (5 // pool), 3), activation="relu"),
    ]
    network = assemble(Path("net"), entries)
    return replace(network, zeros=DROPPED) if zeros else network


def rates_of(network, seed=1):
    random = np.random.default_rng(seed)
    return {v.name: random.random(v.shape) * 0.4 for v in (network.input, *network.populations)}


def graph_of(network, folder, constant=True):
    """The graph with counts of zero."""
    coding = {"input": "current" if constant else "spikes"}
    return networks.graph_of(network, folder, None, coding, num_samples=SAMPLES, num_timesteps=STEPS, warm_up=0)


def split(network, limit, constant=True):
    """Divide all populations whose neurons have too many sources by the graph."""
    names = [p.name for p in network.populations if p.name != "pool"]
    return split_fan_in(network, names, limit, rates_of(network), constant=constant)


def matrices(graph):
    """The weights between populations by name of target and source: float64, shape (sources, targets)."""
    found = {}
    for p in graph.projections:
        found.setdefault(p.target.name, {})[p.source.name] = p.to_scipy().toarray().astype(np.float64)
    return found


def unfolded(weights, name, paths=False):
    """Weights (or numbers of paths) of a population's sources over all of its relays, by name of the source."""
    total = {}
    for source, matrix in weights[name].items():
        matrix = (matrix != 0).astype(int) if paths else matrix
        inner = {source: np.eye(len(matrix))}
        if "_relay" in source:
            inner = unfolded(weights, source, paths)
        for end, first in inner.items():
            total[end] = total.get(end, 0) + first @ matrix
    return total


CASES = [(0, 0.0, True, 4), (1, 0.0, False, 7), (2, 0.5, True, 5), (3, 0.5, False, 5), (4, 0.0, True, 12)]


@pytest.mark.parametrize(("seed", "zeros", "constant", "limit"), CASES)
def test_no_neuron_has_more_sources_and_relays_sum_to_its_weights(tmp_path, seed, zeros, constant, limit):
    network = network_of(seed, zeros=zeros)
    with graph_of(network, tmp_path / "a", constant) as before, graph_of(
        split(network, limit, constant), tmp_path / "b", constant
    ) as after:
        original, weights = matrices(before), matrices(after)
        sent = after.to_scipy().tocsc()[:, after.populations[0].size :]
        first = after.populations[0].size if constant else 0
        assert np.diff(sent[first:].tocsc().indptr).max() <= limit
        assert any("_relay" in p.name for p in after.populations)
        for name, sources in original.items():
            whole, paths = unfolded(weights, name), unfolded(weights, name, paths=True)
            assert set(whole) == set(sources)
            for source, expected in sources.items():
                np.testing.assert_array_equal(paths[source], expected != 0)  # each is in one relay at most
                np.testing.assert_allclose(whole[source], expected, rtol=1e-6, atol=0)
        for relay in (p for p in after.populations if "_relay" in p.name):
            assert all((matrix >= 0).all() for matrix in weights[relay.name].values())
            onto = np.concatenate([m[relay.name] for m in weights.values() if relay.name in m], axis=1)
            np.testing.assert_array_equal((onto != 0).sum(axis=1), 1)


def test_with_enough_axons_nothing_changes():
    network = network_of()
    names = [p.name for p in network.populations]
    after = split_fan_in(network, names, 1000, rates_of(network), constant=True)
    assert [volume.name for volume in after.volumes] == [volume.name for volume in network.volumes]
    for one, other in zip(network.populations, after.populations):
        for p, q in zip(one.projections, other.projections):
            assert p is q


def test_a_tree_has_as_many_levels_as_it_takes(tmp_path):
    network = network_of(5)
    after = split_fan_in(network, ["out"], 3, rates_of(network), constant=True)
    levels = {}
    with graph_of(after, tmp_path) as graph:
        for p in graph.projections:
            if "_relay" in p.target.name:
                levels[p.target.name] = 1 + levels.get(p.source.name, 0)
        assert set(levels.values()) >= {1, 2, 3}
        assert all(name.startswith("out_relay") for name in levels)
        assert sorted(int(name[len("out_relay") :]) for name in levels) == list(range(len(levels)))


def test_first_relays_of_all_channels_have_the_same_sources():
    """So they share axons: 20 sources in two groups, each with relays of positive and of negative weights."""
    network = network_of()
    after = split_fan_in(network, ["out"], 10, rates_of(network), constant=True)
    relays = [p for p in after.populations if "out_relay" in p.name]
    assert [p.shape for p in relays] == [(6,), (6,)]
    original = network.output.only.weights()[0, 0]
    for relay, part in zip(relays, (slice(0, 10), slice(10, 20))):
        kernel = relay.only.weights()[0, 0]
        assert (kernel[part].sum(axis=1) > 0).all()
        assert kernel.sum() == pytest.approx(kernel[part].sum())
        assert np.count_nonzero(kernel) == np.count_nonzero(original[part])


def test_thresholds_follow_from_rates_and_weights():
    network, rates = network_of(), rates_of(network_of())
    after = split_fan_in(network, ["out"], 10, rates, constant=True)
    rate, weights = rates["along"].ravel(), network.output.only.weights()[0, 0]
    found = []
    for part in (slice(0, 10), slice(10, 20)):
        for sign in (1, -1):
            for channel in range(3):
                w = np.maximum(sign * weights[part, channel], 0)
                spread = np.sqrt((w**2 * rate[part] * (1 - rate[part])).sum())
                found.append(sign * max((w * rate[part]).sum() + 4 * spread, w.max()))
    onto = after.output.only.weights()[0, 0]
    np.testing.assert_allclose(onto.sum(axis=1), found, rtol=1e-6)
    assert all((p.initial_potential == 0.5).all() for p in after.populations if "_relay" in p.name)


def stepped(graph, inputs, start):
    """Counts of each sample in a graph, neuron by neuron in each step: int64, shape (samples, nodes)."""
    weights, size = graph.to_scipy().toarray().astype(np.float64), graph.populations[0].size
    constant = inputs.ndim == 2
    counts = np.zeros((len(inputs), len(weights)), np.int64)
    for sample, values in enumerate(inputs):
        own = [start if p.initial_potential is None else p.initial_potential for p in graph.populations]
        potentials = [np.broadcast_to(v, p.shape).ravel().astype(float) for v, p in zip(own, graph.populations)]
        for step in range(STEPS):
            fired = np.zeros(len(weights))
            fired[:size] = values if constant else values[:, step]
            for population, potential in zip(graph.populations[1:], potentials[1:]):
                part = slice(population.first, population.first + population.size)
                potential += fired @ weights[:, part] + population.bias.ravel()
                fired[part] = potential >= 1
                potential -= fired[part]
            counts[sample] += fired.astype(np.int64)
    return counts


@pytest.mark.parametrize(("coding", "start"), [("constant", 0.0), ("poisson", 0.25)])
def test_every_count_is_that_of_a_plain_simulation(tmp_path, coding, start):
    network, random, constant = network_of(7), np.random.default_rng(3), coding == "constant"
    inputs = random.random((SAMPLES, 40)) if constant else random.random((SAMPLES, 40, STEPS)) < 0.5
    simulated = Simulated(1.0, "subtraction", coding, None, 1.0, None, None, STEPS, SAMPLES, 0, initial_potential=start)
    with graph_of(network, tmp_path / "a", constant) as before, graph_of(
        split(network, 6, constant), tmp_path / "b", constant
    ) as after:
        pair = [exported_network(graph.with_pool_weight("mean"), simulated) for graph in (before, after)]
        labels = np.array([0, 1, 2, 0, 1])
        found = split_counts(*pair, inputs.astype(float) if constant else inputs, labels, duration=STEPS)
        counts = [stepped(graph.with_pool_weight("mean"), inputs, start) for graph in (before, after)]
        apart, spikes = [], []
        for population in after.populations[1:]:
            part = slice(population.first, population.first + population.size)
            np.testing.assert_array_equal(found.counts[population.name], counts[1][:, part].sum(axis=0))
            old = next((p for p in before.populations if p.name == population.name), None)
            if old is not None:
                spikes.append(counts[0][:, old.first : old.first + old.size])
                apart.append(np.abs(spikes[-1] - counts[1][:, part]))
        apart = np.concatenate(apart, axis=1)
        assert found.differing_counts == pytest.approx(np.count_nonzero(apart) / apart.size)
        assert 0 < found.differing_counts < 1
        assert found.mean_count_difference == pytest.approx(apart.mean())
        assert found.mean_count == pytest.approx(np.concatenate(spikes, axis=1).mean())
        accuracy = found.unsplit_readout_accuracy, found.readout_accuracy
        for graph, of, share in zip((before, after), counts, accuracy):
            output = graph.populations[-1]
            weights = graph.to_scipy().toarray()[:, output.first :]
            read = of[:, : len(weights)] @ weights + STEPS * output.bias
            assert share == (read.argmax(axis=1) == labels).mean()


def test_relays_of_separated_firing_have_windows_before_their_target(tmp_path):
    """A neuron that integrates before it fires spikes min(T, ⌊start + input⌋) times, whatever the order."""
    network, random = network_of(9), np.random.default_rng(4)
    volumes = [
        replace(v, initial_potential=np.full(v.shape[-1], 0.5, np.float32)) if isinstance(v, Population) else v
        for v in network.volumes
    ]
    network = replace(network, volumes=tuple(volumes), steps=STEPS).separated(STEPS)
    inputs = random.random((SAMPLES, 40))
    simulated = Simulated(1.0, "subtraction", "constant", None, 1.0, None, None, STEPS, 0, 0)
    with graph_of(network, tmp_path / "a") as before, graph_of(split(network, 6), tmp_path / "b") as after:
        first, second = (exported_network(graph.with_pool_weight("mean"), simulated) for graph in (before, after))
        found = split_counts(first, second, inputs, None, duration=STEPS)
        assert found.readout_accuracy is None
        windows = {p.name: p.window for p in after.populations}
        for p in after.projections:
            assert p.source.coding == "current" or windows[p.source.name][1] <= windows[p.target.name][0]
        weights = after.with_pool_weight("mean").to_scipy().toarray().astype(np.float64)
        sent = np.concatenate([STEPS * inputs, np.zeros((SAMPLES, len(weights) - 40))], axis=1)
        for population in after.populations[1:]:
            part = slice(population.first, population.first + population.size)
            total = 0.5 + sent @ weights[:, part] + STEPS * population.bias.ravel()
            sent[:, part] = np.clip(np.floor(total), 0, STEPS)
            np.testing.assert_array_equal(found.counts[population.name], sent[:, part].sum(axis=0))


def integers(network, random):
    volumes = []
    for v in network.volumes:
        if isinstance(v, Population) and v.projections[0].kernel is not None:
            kernels = [random.integers(-7, 8, np.shape(p.kernel)).astype(np.float32) for p in v.projections]
            projections = tuple(replace(p, kernel=kernel) for p, kernel in zip(v.projections, kernels))
            threshold = random.integers(20, 90, v.shape[-1]).astype(np.float32)
            v = replace(v, projections=projections, threshold=threshold, bias=np.zeros(v.shape[-1], np.float32))
        volumes.append(v)
    return replace(network, volumes=tuple(volumes), weight_bits=4, pixel=255)


@pytest.mark.parametrize("constant", [True, False])
def test_integers_stay_exact(tmp_path, constant):
    network = integers(network_of(), np.random.default_rng(6))
    after = split_fan_in(network, ["one", "along", "out"], 4, rates_of(network), constant=constant)
    with graph_of(network, tmp_path / "a", constant) as old, graph_of(after, tmp_path / "b", constant) as new:
        original, graph = matrices(old.with_integers()), new.with_integers()
        weights, populations = matrices(graph), {p.name: p for p in graph.populations}
        relays = [p for p in graph.populations if "_relay" in p.name]
        assert constant != any("one_relay" in p.name for p in relays)
        for p in relays:
            threshold = p.firing_threshold.ravel()
            onto = np.concatenate([m[p.name] for m in weights.values() if p.name in m], axis=1)
            np.testing.assert_array_equal(np.abs(onto).max(axis=1), threshold)  # worth what it took
            assert (threshold == np.rint(threshold)).all()
            np.testing.assert_array_equal(p.initial_potential, np.floor(p.threshold / 2))
        scaled = {
            name: {s: m / populations[name].firing_threshold.ravel() if "_relay" in name else m for s, m in of.items()}
            for name, of in weights.items()
        }
        for name in ("one", "along", "out"):
            for source, matrix in unfolded(scaled, name).items():
                np.testing.assert_allclose(matrix, original[name][source], rtol=1e-12)
            assert all((m == np.rint(m)).all() for m in weights[name].values())


def test_thresholds_that_are_not_exact_are_refused():
    network = replace(integers(network_of(), np.random.default_rng(6)), pixel=1 << 22)
    with pytest.raises(InputError, match="at most 8,388,608 is exact: parse with fewer --weight-bits"):
        split_fan_in(network, ["one"], 4, rates_of(network), constant=False)


@pytest.mark.parametrize(
    ("name", "limit", "fixed"),
    [("out", 1, "up to 0 sources"), ("pool", 7, "up to 10 sources"), ("sum", 2, "up to 1 sources")],
)
def test_what_relays_cannot_take_is_refused(name, limit, fixed):
    network = network_of(pool=5)
    with pytest.raises(InputError, match=f"layer {name}: a core takes {limit} axons, .*{fixed}"):
        split_fan_in(network, [name], limit, rates_of(network), constant=True)


@pytest.mark.parametrize("axons", [23, 40])
def test_cores_and_groups_have_the_axons_of_the_synapses_that_are_left(tmp_path, axons):
    network = network_of(zeros=0.3)
    after = split_fan_in(network, ["along", "out"], 12, rates_of(network), constant=True)
    with graph_of(after, tmp_path) as graph:
        placed, edges, limits = PlacedNetwork.of(graph), csv_edges(graph, tmp_path), Limits(16, axons, NO_LIMIT)
        np.testing.assert_array_equal(sequential(placed, limits), plainly(graph, edges, limits))
        group, groups = grouped(placed, placed.in_degrees, limits)
        sources = [set() for _ in range(groups)]
        for source, target, *_ in edges:
            if source >= placed.first:
                sources[group[target - placed.first]].add(source)
        assert axons >= max(map(len, sources)) > 1
        assert np.bincount(group).max() <= 16
