"""Partitions: within the limits, not worse than sequential, and near the optimum of tiny networks."""

import itertools

import numpy as np
import pytest

from snnb.chips.hardware import NO_LIMIT, Limits, SynapseMemory
from snnb.core.errors import InputError
from snnb.graph.build import build_graph
from snnb.mapping.limits import least_cores, shared_entries
from snnb.mapping.partition.contraction import contract
from snnb.mapping.partition.mtkahypar import partitions
from snnb.mapping.partition.partition import partition
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork, count_traffic
from snnb.network.spike_counts import SpikeCounts
from tests.graph.networks import (
    LAYERS,
    RECORDING,
    branched,
    counts_of,
    network_of_model,
)
from tests.graph.recorded import keras
from tests.mapping.networks import hardware, make_graph


def _place_network(model, folder, seed=0):
    return MappableNetwork.of(make_graph(model, folder, seed=seed))


def _with_distinct_weights(model, folder):
    model.set_weights(
        [
            np.arange(1.0, 1 + weight.size).reshape(weight.shape)
            for weight in model.get_weights()
        ]
    )
    counts = SpikeCounts(RECORDING, counts_of(model, 0), {"input": "current"})
    return MappableNetwork.of(build_graph(network_of_model(model, folder), counts))


def _asked_partitions(monkeypatch):
    """Return a list to which each new partition of Mt-KaHyPar is added: number of nodes, and job."""
    asked_graphs = []

    def asked_partitions(graph, jobs, settings, warn, improved_core=None):
        asked_graphs.extend(
            (graph.node_weight.size, job) for job in jobs if improved_core is None
        )
        return partitions(graph, jobs, settings, warn, improved_core)

    for module in ("initial", "mtkahypar"):
        monkeypatch.setattr(
            f"snnb.mapping.partition.{module}.partitions", asked_partitions
        )
    return asked_graphs


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network of a convolution, a pooling, a convolution and a dense layer."""
    source = LAYERS.Input((8, 8, 1), name="input")
    tensor = LAYERS.Conv2D(4, 3, activation="relu", name="00Conv2D_6x6x4")(source)
    tensor = LAYERS.AveragePooling2D(2, name="01AveragePooling2D_3x3x4")(tensor)
    tensor = LAYERS.Conv2D(6, 2, activation="relu", name="02Conv2D_2x2x6")(tensor)
    tensor = LAYERS.Flatten(name="03Flatten_24")(tensor)
    model = keras.Model(source, LAYERS.Dense(10, name="04Dense_10")(tensor))
    return _place_network(model, tmp_path_factory.mktemp("network"))


def _tiny():
    source = LAYERS.Input((3,), name="input")
    tensor = LAYERS.Dense(4, activation="relu", name="00Dense_4")(source)
    tensor = LAYERS.Reshape((2, 2, 1), name="01Reshape_2x2x1")(tensor)
    tensor = LAYERS.Conv2D(1, (1, 2), activation="relu", name="02Conv2D_2x1x1")(tensor)
    tensor = LAYERS.Flatten(name="03Flatten_2")(tensor)
    return keras.Model(source, LAYERS.Dense(3, name="04Dense_3")(tensor))


def _within(network, core, limits):
    contents = count_traffic(network, core, int(core.max()) + 1).contents
    return all((numbers <= limit).all() for numbers, limit in zip(contents, limits))


def connectivity(network, core):
    return count_traffic(network, core, int(core.max()) + 1).connectivity


CASES = [
    pytest.param("groups", (40, 1000, None), marks=pytest.mark.slow),
    pytest.param("hypergraph", (30, 150, None), marks=pytest.mark.slow),
    pytest.param("groups", (60, 40, None), marks=pytest.mark.slow),
    ("auto", (25, 1000, 400)),
    pytest.param("auto", (64, 64, 600), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("method", "limits"), CASES)
def test_limits_hold_and_sequential_is_never_better(network, method, limits):
    found_partition = partition(network, hardware(*limits, mesh=(8, 8)), method=method)
    assert _within(
        network,
        found_partition.best.core,
        Limits(limits[0], limits[1], limits[2] or NO_LIMIT),
    )
    np.testing.assert_array_equal(
        np.unique(found_partition.best.core),
        np.arange(found_partition.best.core.max() + 1),
    )
    assert found_partition.best.core.dtype == np.int32
    reached_connectivity = connectivity(network, found_partition.best.core)
    assert reached_connectivity == pytest.approx(
        min(partition_tried.connectivity for partition_tried in found_partition.tried)
    )
    assert reached_connectivity <= found_partition.tried[0].connectivity
    assert found_partition.tried[0].method == "sequential"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_partition(network):
    core, two = (
        partition(network, hardware(30, 150), seed=3).best.core for _ in range(2)
    )
    np.testing.assert_array_equal(core, two)


def test_a_pruned_network_keeps_the_limits(pruned_graph, no_kahypar):
    for sums in partition(
        MappableNetwork.of(pruned_graph), hardware(40, 60, mesh=(8, 8)), method="groups"
    ).tried:
        assert (sums.neurons <= 40).all()
        assert (sums.axons <= 60).all()


@pytest.mark.parametrize(
    ("axons", "bits", "kept_share", "anew"),
    [
        (100_000, None, 1.0, True),
        (100_000, None, 0.01, False),
        (60, None, 1.0, False),
        (60, 100_000, 1.0, True),
        (60, 2_000, 1.0, False),
    ],
)
def test_neurons_are_partitioned_anew_if_few_weights_are_left(
    pruned_graph, monkeypatch, axons, bits, kept_share, anew
):
    """If neurons alone need the cores, or the memory is abundant; otherwise the partition of groups is improved."""
    asked_partitions = _asked_partitions(monkeypatch)
    settings = SearchSettings(
        max_neurons_without_groups=0,
        max_pins_after_groups=0,
        max_weights_kept_for_scratch=kept_share,
    )
    network, chip = MappableNetwork.of(pruned_graph), hardware(40, axons, mesh=(8, 8))
    if bits is not None:
        chip = chip.model_copy(
            update={
                "synapse_memory": SynapseMemory(
                    bits_per_core=bits, weight_bits=10, sharing="kernel"
                )
            }
        )
    found_partition = partition(network, chip, settings=settings)
    assert (network.neurons in [nodes for nodes, _ in asked_partitions]) == anew
    assert found_partition.best.connectivity < found_partition.sequential.connectivity


def test_without_mt_kahypar_the_search_alone_keeps_the_promises(network, no_kahypar):
    found_partition = partition(
        network, hardware(30, 150, None, mesh=(8, 8)), method="groups"
    )
    assert _within(network, found_partition.best.core, Limits(30, 150, NO_LIMIT))
    assert (
        connectivity(network, found_partition.best.core)
        < found_partition.tried[0].connectivity
    )
    assert [
        "Mt-KaHyPar is not installed" in warning for warning in found_partition.warnings
    ] == [True]
    assert (
        partition(
            network, hardware(30, 150, None, mesh=(8, 8)), method="sequential"
        ).warnings
        == ()
    )
    with pytest.raises(InputError, match=r"needs Mt-KaHyPar, .*pip install mtkahypar"):
        partition(network, hardware(30, 150), method="hypergraph")


def test_each_method_that_finds_no_mapping_is_named(tmp_path):
    """Of a network for which both methods are tried, on chips where the first alone or none succeeds."""
    network, missing_methods = _place_network(branched(), tmp_path), set()
    for bits, neurons, mesh in ((500, 40, (3, 3)), (800, 40, (2, 2))):
        memory = SynapseMemory(
            bits_per_core=bits, weight_bits=8, index_bits=2, sharing="kernel"
        )
        found_partition = partition(
            network,
            hardware(neurons, 300, mesh=mesh).model_copy(
                update={"synapse_memory": memory}
            ),
        )
        without = [
            name
            for name in ("groups", "hypergraph")
            if name
            not in {partition_tried.method for partition_tried in found_partition.tried}
        ]
        assert found_partition.warnings == tuple(
            f"{name} found no mapping within the limits" for name in without
        )
        missing_methods.add(tuple(without))
    assert missing_methods == {("hypergraph",), ("groups", "hypergraph")}


def test_a_mapping_without_spikes_between_cores_needs_no_other(network):
    found_partition = partition(network, hardware(1000, 1000))
    assert (found_partition.best.connectivity, found_partition.warnings) == (0, ())


def _partitions(neurons, cores):
    """Every way to share out neurons among at most so many cores: restricted growth strings."""
    for core in itertools.product(range(cores), repeat=neurons - 1):
        core = (0, *core)
        if all(core[i] <= 1 + max(core[:i], default=-1) for i in range(neurons)):
            yield np.array(core, np.int32)


@pytest.mark.parametrize(
    ("limits", "seed"),
    [
        ((5, 6, 14), 0),
        pytest.param((3, 8, None), 0, marks=pytest.mark.slow),
        pytest.param((4, 4, None), 1, marks=pytest.mark.slow),
    ],
)
def test_near_the_best_of_all_partitions(tmp_path, limits, seed, no_kahypar):
    network = _place_network(_tiny(), tmp_path, seed)
    assert network.neurons == 9
    bounds = Limits(limits[0], limits[1], limits[2] or NO_LIMIT)
    found_partition = partition(network, hardware(*limits, mesh=(4, 4)), seed=seed)
    cores = int(found_partition.best.core.max()) + 1
    best = min(
        connectivity(network, core)
        for core in _partitions(network.neurons, cores)
        if _within(network, core, bounds)
    )
    assert connectivity(network, found_partition.best.core) <= 1.1 * best


def test_the_cost_is_mt_kahypars_own_km1(network):
    import mtkahypar

    net = contract(
        network,
        np.arange(network.neurons, dtype=np.int32),
        network.neurons,
        network.in_degrees,
    )
    core = np.random.default_rng(1).integers(0, 5, network.neurons).astype(np.int32)
    pins, weights = [], []
    for s in range(net.axons.size):
        targets = net.target[net.target_start[s] : net.target_start[s + 1]].tolist()
        for k in range(net.source_start[s], net.source_start[s + 1]):
            pins.append(sorted({*targets, int(net.source[k])}))
            weights.append(int(net.source_weight[k]))
    library = mtkahypar.initialize(1)
    context = library.context_from_preset(mtkahypar.PresetType.DEFAULT)
    made_hypergraph = library.create_hypergraph(
        context, network.neurons, len(pins), pins, [1] * network.neurons, weights
    )
    own_hypergraph = made_hypergraph.create_partitioned_hypergraph(
        context, 5, core.tolist()
    )
    samples = network.graph.recording.num_samples
    assert own_hypergraph.km1() / samples == pytest.approx(
        connectivity(network, core), rel=1e-12
    )


def test_no_partition_has_fewer_cores_than_the_bound(tmp_path):
    """Tried over all partitions with fewer cores; a core holds three targets of a neuron."""
    network = _place_network(_tiny(), tmp_path)
    bounds, limits = least_cores(network, hardware(3, 4, 8)), Limits(3, 4, 8)
    assert not any(
        _within(network, core, limits)
        for core in _partitions(9, max(bounds.values()) - 1)
    )
    assert bounds["neurons"] == 3
    assert bounds["synapses"] == -(-int(network.in_degrees.sum()) // 8)
    assert bounds["axons"] == -(-int((-(-network.fan_out // 3)).sum()) // 4)


def test_each_core_of_a_dense_layer_holds_the_weights_of_its_neurons(tmp_path):
    """Twelve neurons of 24 weights, of which two fit on a core: each source has an output axon to six cores."""
    source = LAYERS.Input((3,), name="input")
    tensor = LAYERS.Dense(24, activation="relu", name="00Dense_24")(source)
    model = keras.Model(source, LAYERS.Dense(12, name="01Dense_12")(tensor))
    network = _with_distinct_weights(model, tmp_path)
    memory = SynapseMemory(bits_per_core=480, weight_bits=10, sharing="kernel")
    chip = hardware(100, 100).model_copy(
        update={"synapse_memory": memory, "axons_out_per_core": 10}
    )
    bounds = least_cores(network, chip)
    assert bounds["memory_bits"] == -(-(12 * 24 + 24 * 3) // 48)
    assert bounds["axons_out"] == -(-24 * 6 // 10)


def test_connections_of_the_same_two_neurons_are_one_entry(tmp_path):
    """A dense layer reads each source twice; a core that holds all entries is enough."""
    source = LAYERS.Input((3,), name="input")
    tensor = LAYERS.Dense(24, activation="relu", name="00Dense_24")(source)
    twice = LAYERS.Concatenate(name="01Concatenate_48")([tensor, tensor])
    model = keras.Model(source, LAYERS.Dense(12, name="02Dense_12")(twice))
    network = _with_distinct_weights(model, tmp_path)
    one_core = count_traffic(network, np.zeros(network.neurons, np.int32), 1)
    entries = int(shared_entries(one_core)[0])
    assert entries == 3 * 24 + 24 * 12
    memory = SynapseMemory(bits_per_core=10 * entries, weight_bits=10, sharing="kernel")
    chip = hardware(100, 100).model_copy(update={"synapse_memory": memory})
    assert least_cores(network, chip)["memory_bits"] == 1


def test_only_the_sources_that_a_layer_reads_need_cores_for_it(tmp_path):
    """A core holds one filter: of four sources, the strided layer of eight filters reads the first."""
    source = LAYERS.Input((2, 2, 1), name="input")
    tensor = LAYERS.Conv2D(1, 1, activation="relu", name="00Conv2D_2x2x1")(source)
    strided_layer = LAYERS.Conv2D(
        8, 1, strides=2, activation="relu", name="01Conv2D_1x1x8"
    )(tensor)
    other_layer = LAYERS.Conv2D(1, 1, activation="relu", name="02Conv2D_2x2x1")(tensor)
    flat = [
        LAYERS.Flatten(name=f"{n:02}Flatten")(layer)
        for n, layer in ((3, strided_layer), (4, other_layer))
    ]
    joined_layer = LAYERS.Concatenate(name="05Concatenate_12")(flat)
    model = keras.Model(source, LAYERS.Dense(2, name="06Dense_2")(joined_layer))
    network = _with_distinct_weights(model, tmp_path)
    memory = SynapseMemory(bits_per_core=10, weight_bits=10, sharing="kernel")
    bounds = least_cores(
        network, hardware(100, 1).model_copy(update={"synapse_memory": memory})
    )
    assert bounds["axons"] == 8 + 3 * 1 + 12 * 1


def test_channels_that_are_apart_are_not_divided_by_position(tmp_path):
    """Groups of a position hold all channels; a core for each channel, written by hand, is much better."""
    source = LAYERS.Input((10, 10, 1), name="input")
    tensor = LAYERS.Conv2D(
        12, 3, padding="same", activation="relu", name="00Conv2D_10x10x12"
    )(source)
    for name in ("01DepthwiseConv2D_10x10x12", "02DepthwiseConv2D_10x10x12"):
        tensor = LAYERS.DepthwiseConv2D(
            3, padding="same", activation="relu", name=name
        )(tensor)
    tensor = LAYERS.Flatten(name="03Flatten_1200")(tensor)
    network = _place_network(
        keras.Model(source, LAYERS.Dense(4, name="04Dense_4")(tensor)), tmp_path
    )
    found_partition = partition(network, hardware(320, mesh=(8, 8)))
    by_channel = np.concatenate([np.tile(np.arange(12), 300), np.zeros(4, int)]).astype(
        np.int32
    )
    groups, neurons = (
        min(
            partition_tried.connectivity
            for partition_tried in found_partition.tried
            if partition_tried.method == method
        )
        for method in ("groups", "hypergraph")
    )
    assert neurons <= 1.03 * connectivity(network, by_channel) < 0.7 * groups


def test_mt_kahypar_partitions_few_neurons_that_have_no_groups(network, monkeypatch):
    asked_partitions = _asked_partitions(monkeypatch)
    partition(
        network,
        hardware(30, 150, mesh=(8, 8)),
        settings=SearchSettings(max_pins_after_groups=0),
    )
    least_neurons = -(-network.neurons // 30)
    assert (network.neurons, (least_neurons, 0)) in asked_partitions


def test_too_few_cores_and_too_many_neurons_for_the_hypergraph(network):
    with pytest.raises(InputError, match=r"has 2 cores, and \d+ would suffice"):
        partition(network, hardware(30, 150, None, mesh=(2, 1)))
    settings = SearchSettings(max_single_neurons=10)
    with pytest.raises(InputError, match="--method groups"):
        partition(
            network,
            hardware(30, 150, None, mesh=(8, 8)),
            method="hypergraph",
            settings=settings,
        )
