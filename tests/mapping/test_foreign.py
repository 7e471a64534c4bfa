"""Partitions and placements of other programs: validation, core numbers, limits."""

import gzip

import numpy as np
import pytest

from snnb.chips.hardware import LARGEST_LIMIT
from snnb.core.errors import InputError
from snnb.core.quantities import number
from snnb.mapping.files import Mapping, MappingCost
from snnb.mapping.map_network import cost_partition
from snnb.mapping.partition_files import (
    read_number_lines,
    read_partition,
    read_placement,
)
from snnb.mapping.traffic import MappableNetwork, count_traffic
from snnb.plots.mapping import EMPTY, plot_mapping
from tests.mapping.networks import hardware


def chip(mesh=(4, 3), neurons=100, axons=1000, synapses=None):
    return hardware(neurons, axons, synapses, mesh)


@pytest.fixture
def network(graphs):
    return MappableNetwork.of(graphs("chained", "current")[0])


@pytest.fixture
def write(tmp_path):
    def written(text, name="file.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def lines(numbers):
    return "".join(f"{number}\n" for number in numbers)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["3\n0\n12", "3\r\n0\r\n12\r\n", " 3 \n\t0\n0012\n\n\n"], [[3], [0], [12]]),
        (
            [
                b"\xef\xbb\xbf3\n0\n",
                gzip.compress(b"\xef\xbb\xbf3\r\n0\r\n", mtime=0),
                b"3\r0",
            ],
            [[3], [0]],
        ),
        (
            ["1 2\n30 4", "1\t2\n30   4\n", "1,2\n30, 4\n", "1 , 2\n30 4,\n"],
            [[1, 2], [30, 4]],
        ),
    ],
)
def test_separators_and_line_ends(write, texts, message):
    for text in texts:
        assert (
            read_number_lines(write(text), len(message[0]), "mend it")[0].tolist()
            == message
        )


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("1\n-2\n", 1, "line 2, '-2', is not a whole number from 0; mend it"),
        (
            "1\n12345678901234567890\n",
            1,
            "line 2, '12345678901234567890', is too large; mend it",
        ),
        (
            "1 2\n1 12345678901234567890 3\n",
            2,
            "line 2, '1 12345678901234567890 3', is not 2 whole numbers",
        ),
        ("1\n2.0\n", 1, "line 2, '2.0', is not"),
        ("1\n1e2\n", 1, "line 2, '1e2', is not"),
        ("1\n\n2\n", 1, "line 2 is empty; mend it"),
        ("\n1\n", 1, "line 1 is empty"),
        ("1 2\n \t\n3 4\n", 2, "line 2 is empty"),
        (gzip.compress(b"1\n2\n" * 99, mtime=0)[:-5], 1, "not a complete gzip file"),
        ("1\n2 3\n", 1, "line 2, '2 3', is not"),
        ("# 1\n", 1, "line 1, '# 1', is not"),
        ("9" * 1000, 1, f"line 1, '{'9' * 40}…', is too large"),
        (b"\xff\x00\n", 1, "not text"),
        ("1 2\n1 2 3\n", 2, "line 2, '1 2 3', is not 2 whole numbers from 0; mend it"),
        ("", 1, "the file has no numbers; mend it"),
    ],
)
def test_the_first_wrong_line_is_named(write, text, columns, message):
    path = write(text)
    with pytest.raises(InputError) as error_info:
        read_number_lines(path, columns, "mend it")
    assert str(error_info.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error_info.value)


def test_a_wrong_number_of_lines_or_a_core_that_the_hardware_has_not(write, network):
    neurons = network.neurons
    for count in (neurons - 1, neurons + 1):
        with pytest.raises(
            InputError,
            match=f"has {count} lines, and the network has {neurons} placed neurons",
        ):
            read_partition(write(lines([0] * count)), network, chip())
    with pytest.raises(
        InputError,
        match="line 7: core 12 is not one of the 12 of chip, which are numbered from 0",
    ):
        read_partition(
            write(lines([12 * (n == 6) for n in range(neurons)])), network, chip()
        )


def test_lines_of_a_spiking_input_are_skipped(write, graphs):
    network = MappableNetwork.of(graphs("chained", "spikes")[0])
    core = np.random.default_rng(1).integers(0, 12, network.neurons)
    with_input = read_partition(
        write(lines([7] * network.first) + lines(core)), network, chip()
    )
    assert (with_input == core).all()
    assert (read_partition(write(lines(core)), network, chip()) == core).all()
    with pytest.raises(InputError, match=rf"line {network.first + 1}: core 99"):
        read_partition(
            write(lines([7] * network.first + [99, *core[1:]])), network, chip()
        )


@pytest.mark.parametrize(
    ("text", "cores", "message"),
    [
        (
            "tile core\n0 0\n1 0\n12 0\n",
            3,
            "line 4: core 0 of tile 12 is not on chip, which has 12 tiles of 1",
        ),
        (
            "tile core\r\n0 0\r\n0 1\r\n1 0\r\n",
            3,
            "line 3: core 1 of tile 0 is not on chip",
        ),
        ("tile core\n0 0\n1 x\n", 2, "line 3, '1 x', is not 2 whole numbers"),
        (
            "0 0\n1 0\n",
            3,
            "has 2 lines, and the partition has 3 cores, chip 12; a placement has `x y` per line",
        ),
        ("0 0\n" * 13, 3, "has 13 lines"),
        (
            "0 0\n4 0\n",
            2,
            "line 2: 4 0 is not on the mesh of chip, where x is below 4 and y below 3",
        ),
        (
            "0 0\n1 1\n2 2\n1 1\n0 0\n",
            5,
            "cores 0 and 4 are both at 0 0; each core needs its own position",
        ),
        ("0 0\n1\n", 2, "line 2, '1', is not 2 whole numbers"),
    ],
)
def test_invalid_placements(write, text, cores, message):
    with pytest.raises(InputError) as error_info:
        read_placement(write(text), cores, chip())
    assert message in str(error_info.value)


def test_all_exceeded_limits_are_named_with_the_fullest_core(write, network):
    core = np.arange(network.neurons) % 4
    core[:3] = 1
    neurons, axons, synapses = contents = count_traffic(
        network, core.astype(np.int32), 4
    ).contents
    most_counts = [int(numbers.max()) for numbers in contents]
    path = write(lines(core))
    assert cost_partition(network, chip((2, 2), *most_counts), path).warnings == ()
    tight = chip((2, 2), most_counts[0] - 1, int(axons.min()) - 1, most_counts[2] - 1)
    with pytest.raises(InputError) as error_info:
        cost_partition(network, tight, path)
    fullest = f"core {axons.argmax()} has {axons.max()} axons of {axons.min() - 1} (and 3 cores more than"
    assert (
        f"exceeds the limits of chip: core {neurons.argmax()} has {neurons.max()} neurons of"
        in str(error_info.value)
    )
    assert fullest in str(error_info.value)
    assert (
        f"core {synapses.argmax()} has {synapses.max():,} synapses of {synapses.max() - 1:,};"
        in str(error_info.value)
    )
    invalid = cost_partition(network, tight, path, allow_overfull=True)
    assert MappingCost.of(invalid).overfull_cores == [0, 1, 2, 3]


def test_overfull_cores_are_divided_and_the_others_keep_their_numbers(write, network):
    core = (
        np.random.default_rng(3)
        .choice([1, 4, 9], network.neurons, p=[0.5, 0.3, 0.2])
        .astype(np.int32)
    )
    held = np.bincount(core)
    limits = int(held[4]), int(count_traffic(network, core, 10).axons.max())
    path = write(lines(core))
    mapping = cost_partition(
        network, chip(neurons=limits[0], axons=limits[1]), path, split_overfull=True
    )
    assert mapping.divided_cores == {1: [1, 10]}
    assert mapping.warnings == (
        f"cores of {path} that exceed the limits of chip are divided: core 1 into 1, 10",
    )
    moved_neurons = np.flatnonzero(mapping.core != core)
    assert (core[moved_neurons] == 1).all()
    assert (mapping.core[moved_neurons] == 10).all()
    assert (
        moved_neurons[0] > np.flatnonzero(mapping.core == 1)[-1]
    )  # in the order of the ids
    assert mapping.cost.per_core["neurons"].max() <= limits[0]
    few = chip(neurons=limits[0], axons=limits[1], mesh=(5, 2))
    with pytest.raises(InputError, match="has 10 cores, and 11 would suffice"):
        cost_partition(network, few, path, split_overfull=True)
    unchanged_mapping = cost_partition(
        network, chip(neurons=999), path, split_overfull=True
    )
    assert (unchanged_mapping.core == core).all()
    assert unchanged_mapping.divided_cores == {}


def test_a_partition_with_gaps_is_costed_unchanged(write, network):
    core = np.random.default_rng(2).choice([1, 4, 9], network.neurons).astype(np.int32)
    files = (
        write(lines(core), "partition"),
        write("".join(f"{n % 4} {n // 4}\n" for n in range(11)), "placement"),
    )
    mapping = cost_partition(network, chip(neurons=999), *files)
    assert (mapping.core == core).all()
    assert mapping.place.tolist() == [[n % 4, n // 4] for n in range(11)]
    assert np.flatnonzero(mapping.cost.per_core["neurons"]).tolist() == [1, 4, 9]
    assert mapping.partition.best.method == "file"
    placed_mapping = cost_partition(network, chip(neurons=999), files[0])
    assert placed_mapping.cost.traffic == mapping.cost.traffic
    assert placed_mapping.cost.routes.hops_unicast <= mapping.cost.routes.hops_unicast
    assert len(placed_mapping.place) == 10


def test_an_invalid_mapping_of_a_network_that_fits_no_core_is_costed(write, network):
    """A neuron alone has more sources than a core has axons, so the baseline exceeds the limit as well."""
    path, few = (
        write(lines(np.arange(network.neurons) % 2)),
        chip(mesh=(30, 30), neurons=10_000, axons=5),
    )
    assert network.fan_in.max() > 5
    mapping = cost_partition(network, few, path, allow_overfull=True)
    fitting = cost_partition(network, chip(neurons=10_000), path)
    assert mapping.cost.traffic == fitting.cost.traffic
    baseline = mapping.partition.sequential
    assert (baseline.neurons[baseline.axons > 5] == 1).all()
    with pytest.raises(InputError, match="has a neuron with"):
        cost_partition(network, few, path, split_overfull=True)


def test_the_log_does_not_call_a_partition_silent_where_only_the_baseline_is(
    write, network
):
    path = write(lines(np.arange(network.neurons) % 2))
    mapping = cost_partition(network, chip(neurons=10_000), path)
    text = "\n".join(MappingCost.of(mapping).log_lines(()))
    connectivity = mapping.cost.traffic.connectivity
    assert mapping.partition.sequential.connectivity == 0 < connectivity
    assert (
        f"no spikes travel between cores but {number(connectivity).value} in this mapping"
        in text
    )


def test_an_overfull_core_is_drawn_within_its_square(write, network):
    path = write(lines(np.zeros(network.neurons, int)))
    mapping = cost_partition(
        network,
        chip((2, 2), neurons=50),
        path,
        write("0 0\n", "places"),
        allow_overfull=True,
    )
    folder = path.parent
    Mapping.of(mapping, MappingCost.of(mapping)).write(folder)
    (picture,) = plot_mapping(Mapping.open(folder)).axes[0].images
    raster = picture.get_array()
    assert (raster[len(raster) // 2 :] == EMPTY).all()


def test_no_limit_of_axons_is_stated_that_sanafe_does_not_have(write, network):
    path = write(lines(np.zeros(network.neurons, int)))
    mapping = cost_partition(network, chip(neurons=10_000, axons=LARGEST_LIMIT), path)
    stated_cost = MappingCost.of(mapping)
    assert (stated_cost.limits["axons"], stated_cost.axons_per_core.share) == (
        None,
        None,
    )
    assert stated_cost.limits["neurons"] == 10_000
