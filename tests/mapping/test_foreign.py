"""Partitions and placements of other programs: read strictly, never changed, limits checked."""

import os

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.mapping.foreign import check_limits, read_partition, read_placement
from snnb.mapping.hardware import Hardware
from snnb.mapping.map_network import cost_partition
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.number_lines import read_number_lines, write_number_lines
from snnb.mapping.traffic import usage


def chip(mesh=(4, 3), neurons=100, axons=1000, synapses=None):
    costs = {"router": 1.0, "link": 1.0}
    return Hardware(
        name="chip",
        mesh=mesh,
        neurons_per_core=neurons,
        axons_per_core=axons,
        synapses_per_core=synapses,
        energy_pj=costs,
        latency_ns=costs,
        source="a test",
    )


@pytest.fixture
def network(graphs):
    graph, _ = graphs("chained", "current")
    return PlacedNetwork.of(graph)


@pytest.fixture
def write(tmp_path):
    def written(text, name="file.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def lines(numbers):
    return "".join(f"{number}\n" for number in numbers)


@pytest.mark.parametrize("text", ["3\n0\n12", "3\n0\n12\n", "3\r\n0\r\n12\r\n", " 3 \n\t0\n0012\n\n\n"])
def test_a_number_a_line(write, text):
    numbers, content = read_number_lines(write(text), 1, 3, "mend it")
    assert numbers.tolist() == [[3], [0], [12]]
    assert numbers.dtype == np.int32
    assert content == text.encode()


def test_numbers_are_written_as_python_writes_them(tmp_path, monkeypatch):
    numbers = np.array([0, 7, 9, 10, 99, 100, 123456, 2**31 - 1, 0], np.int32)
    for at_once in (1 << 20, 2):
        monkeypatch.setattr("snnb.mapping.number_lines.LINES", at_once)
        write_number_lines(tmp_path / "numbers", numbers)
        assert (tmp_path / "numbers").read_text() == lines(numbers.tolist())
    write_number_lines(tmp_path / "none", numbers[:0])
    assert (tmp_path / "none").read_bytes() == b""


@pytest.mark.parametrize("text", ["1 2\n30 4", "1\t2\n30   4\n", "1,2\n30, 4\n"])
def test_two_numbers_a_line(write, text):
    assert read_number_lines(write(text), 2, 2, "mend it")[0].tolist() == [[1, 2], [30, 4]]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("1\n-2\n", 1, "line 2, '-2', is negative; mend it"),
        ("1\n\n2\n", 1, "line 2, '', is empty; mend it"),
        ("\n1\n", 1, "line 1, '', is empty"),
        ("1\n2.5\n", 1, "line 2, '2.5', is not a whole number from 0; mend it"),
        ("1\n2 3\n", 1, "line 2, '2 3', is not a whole number"),
        ("1,\n", 1, "line 1, '1,', is not"),
        ("-\n", 1, "line 1, '-', is not"),
        ("core 1\n", 1, "line 1, 'core 1', is not"),
        ("2147483648\n", 1, "line 1, '2147483648', is not"),
        ("9" * 1000, 1, f"line 1, '{'9' * 40}…', is not"),
        (b"\xff\x00\n", 1, "line 1, '\ufffd\\x00', is not"),
        ("1\n", 2, "line 1, '1', is not 2 whole numbers from 0; mend it"),
        ("1 2\n1 2 3\n", 2, "line 2, '1 2 3', is not 2"),
        ("1 -2\n", 2, "line 1, '1 -2', is negative"),
        ("1,,2\n,1 2\n", 2, "line 2, ',1 2', is not"),
    ],
)
def test_lines_that_are_wrong(write, text, columns, message):
    path = write(text)
    with pytest.raises(InputError) as raised:
        read_number_lines(path, columns, 3, "mend it")
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_far_too_long_is_not_read(write, tmp_path):
    with pytest.raises(InputError, match="is longer than 1 MiB; mend it"):
        read_number_lines(write(b"0\n" * (1 << 20)), 1, 10, "mend it")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="is a FIFO"):
        read_number_lines(tmp_path / "fifo", 1, 10, "mend it")


def test_a_partition_keeps_its_numbers(write, network):
    core = np.random.default_rng(0).choice([2, 5, 11], network.neurons)
    read, _ = read_partition(write(lines(core)), network, chip())
    assert (read == core).all()


@pytest.mark.parametrize("missing", [1, -1])
def test_a_wrong_number_of_lines(write, network, missing):
    path, there = write(lines([0] * (network.neurons - missing))), network.neurons - missing
    with pytest.raises(InputError, match=f"has {there} lines, and the network has {network.neurons} placed neurons"):
        read_partition(path, network, chip())


def test_a_core_that_the_hardware_has_not(write, network):
    core = [0] * network.neurons
    core[6] = 12
    with pytest.raises(InputError, match="line 7: core 12 is not one of the 12 of chip, which are numbered from 0"):
        read_partition(write(lines(core)), network, chip())


def test_lines_for_an_input_that_spikes_are_passed_over(write, graphs):
    """The hmetis and snn exports have these neurons, and they come first."""
    network = PlacedNetwork.of(graphs("chained", "spikes")[0])
    core = np.random.default_rng(1).integers(0, 12, network.neurons)
    whole = read_partition(write(lines([7] * network.outside.size) + lines(core)), network, chip())[0]
    assert (whole == core).all()
    assert (read_partition(write(lines(core)), network, chip())[0] == core).all()
    with pytest.raises(InputError, match=rf"line {network.outside.size + 1}: core 99"):
        read_partition(write(lines([7] * network.outside.size + [99, *core[1:]])), network, chip())


def test_a_placement_may_have_places_of_empty_cores(write):
    place, _ = read_placement(write("3 2\n0 0\n1 2\n2 1\n"), 2, chip())
    assert place.tolist() == [[3, 2], [0, 0], [1, 2], [2, 1]]


@pytest.mark.parametrize(
    ("text", "cores", "message"),
    [
        ("0 0\n1 0\n", 3, "has 2 lines, and the partition has 3 cores, chip 12; a placement is x y a line"),
        ("0 0\n" * 13, 3, "has 13 lines, and the partition has 3 cores, chip 12"),
        ("0 0\n4 0\n", 2, "line 2: 4 0 is not on the mesh of chip, where x is below 4 and y below 3"),
        ("0 0\n3 3\n", 2, "line 2: 3 3 is not on the mesh"),
        ("0 0\n1 1\n2 2\n1 1\n0 0\n", 5, "cores 0 and 4 are both at 0 0; give each core its own place"),
        ("0 0\n1\n", 2, "line 2, '1', is not 2 whole numbers"),
    ],
)
def test_placements_that_cannot_be(write, text, cores, message):
    with pytest.raises(InputError) as raised:
        read_placement(write(text), cores, chip())
    assert message in str(raised.value)


def test_broken_limits_are_all_named_with_the_fullest_core(write, network):
    core = np.arange(network.neurons) % 4
    core[:3] = 1
    neurons, axons, synapses = held = usage(network, core.astype(np.int32), 4)
    most = [int(numbers.max()) for numbers in held]
    path = write(lines(core))
    check_limits(path, network, core, 4, chip((2, 2), *most))
    with pytest.raises(InputError) as raised:
        check_limits(path, network, core, 4, chip((2, 2), most[0] - 1, int(axons.min()) - 1, most[2] - 1))
    fullest = f"core {axons.argmax()} has {axons.max()} axons of {axons.min() - 1} (and 3 cores more than"
    assert f"breaks limits of chip: core {neurons.argmax()} has {neurons.max()} neurons of" in str(raised.value)
    assert fullest in str(raised.value)
    assert f"core {synapses.argmax()} has {synapses.max():,} synapses of {synapses.max() - 1:,};" in str(raised.value)


def test_a_partition_with_gaps_is_costed_as_it_is(write, network):
    core = np.random.default_rng(2).choice([1, 4, 9], network.neurons).astype(np.int32)
    files = write(lines(core), "partition"), write("".join(f"{n % 4} {n // 4}\n" for n in range(11)), "placement")
    mapped, read = cost_partition(network, chip(neurons=999), *files)
    assert read == {path: path.read_bytes() for path in files}
    assert (mapped.core == core).all()
    assert mapped.place.tolist() == [[n % 4, n // 4] for n in range(11)]
    assert np.flatnonzero(mapped.cost.neurons).tolist() == [1, 4, 9]
    assert mapped.method == "file"
    placed, _ = cost_partition(network, chip(neurons=999), files[0])
    assert placed.cost.connectivity == mapped.cost.connectivity
    assert placed.cost.hops_unicast <= mapped.cost.hops_unicast
    assert len(placed.place) == 10
