"""Files of lava-dl: layers, shapes, weights that Lava stores, and refusals."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from snnb.core.errors import DamagedError, InputError
from snnb.model_files.lava_dl import input_shape, read_lava_dl
from snnb.network.read_network import read_network, write_spiking
from tests.simulation.lava_reference import Layer, write

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lava"
NEURON = {
    "type": np.array([b"CUBA"]),
    "iDecay": np.array([1024]),
    "vDecay": np.array([128]),
    "vThMant": np.array([80]),
}
DENSE = Layer("dense", (2,), np.array([[3, -4, 5], [1, 2, 7]]), neuron=NEURON)
IMAGE = Layer("input", (3, 4, 5))
CONVOLUTION = Layer("conv", (2, 3, 4), np.ones((2, 3, 2, 2)), neuron=NEURON)


def read(tmp_path, *layers, change=None):
    """Write layers, change the file, and read it."""
    path = tmp_path / "net.net"
    write(path, list(layers))
    if change is not None:
        with h5py.File(str(path), "r+") as file:
            change(file["layer"])
    return read_lava_dl(path)


def test_a_dense_layer(tmp_path):
    model = read(tmp_path, DENSE._replace(bias=np.array([9, -3])))
    [population] = model.network.populations
    assert population.name == "dense0"
    assert model.network.input.shape == (1, 1, 3)
    neuron = population.neuron
    assert neuron.fixed_point
    assert neuron.threshold == 80 + 1 / 64
    assert neuron.decay_factor == (4096 - 128) / 4096
    assert neuron.current_decay_factor == (4096 - 1024) / 4096
    assert neuron.offset.tolist() == [9, -3]
    assert model.exponents == {"dense0": 5}  # 7 · 2⁴ ≤ 127, and the sign


def test_delays_are_projections(tmp_path):
    layer = DENSE._replace(delay=np.array([[0, 2, 2], [99, 0, 2]]))
    model = read(tmp_path, layer)
    projections = model.network.output.projections
    assert [p.delay for p in projections] == [0, 2, 62]
    kernels = [p.kernel.T.tolist() for p in projections]
    assert kernels == [
        [[3, 0, 0], [0, 2, 0]],
        [[0, -4, 5], [0, 0, 7]],
        [[0, 0, 0], [1, 0, 0]],
    ]
    assert any("62" in note for note in model.notes)


def test_the_largest_number_of_64_bits_is_compared_as_it_is(tmp_path):
    """Float64 has 2**63 for it, which would be too large."""
    largest = np.array([2**63 - 1], np.uint64)
    with pytest.raises(InputError, match="Lava cannot store"):
        read(tmp_path, DENSE._replace(weight=np.resize(largest, (2, 3))))


def test_fractional_delays_are_rounded_down_with_a_note(tmp_path):
    layer = DENSE._replace(delay=np.array([[0.5, 2.0, 2.9], [1.0, 0.0, 2.0]]))
    model = read(tmp_path, layer)
    assert [p.delay for p in model.network.output.projections] == [0, 1, 2]
    [note] = model.notes
    assert note.startswith("dense0: 2 weights, biases and delays are not whole")


def test_a_projection_for_each_delay_is_drawn_from_the_budget(tmp_path):
    """A few kilobytes describe 60 delays of two million weights: 60 projections of 8 MB."""

    def change(layers):
        del layers["0/weight"], layers["0/delay"]
        layers.create_dataset(
            "0/weight", (2, 1_000_000), "i1", chunks=(1, 10_000), fillvalue=3
        )
        delays = np.resize(np.arange(60), 1_000_000).astype(np.int8)
        layers.create_dataset("0/delay", data=delays, compression="gzip")

    path = tmp_path / "net.net"
    with pytest.raises(DamagedError, match="weights of layer 0 for 60 delays"):
        read(tmp_path, DENSE._replace(delay=np.array([1])), change=change)
    assert path.stat().st_size < 50_000


def test_as_many_delays_as_outputs_are_of_the_outputs(tmp_path):
    square = Layer("dense", (2,), np.array([[3, -4], [1, 2]]), neuron=NEURON)
    network = read(tmp_path, square._replace(delay=np.array([0, 5]))).network
    delayed = network.output.projections[1]
    assert delayed.delay == 5
    assert delayed.kernel.T.tolist() == [[0, 0], [1, 2]]


def test_a_network_survives_its_file(tmp_path):
    network = read_lava_dl(FIXTURES / "r016.net").network
    path = tmp_path / "parsed.h5"
    write_spiking(network, path)
    stored = read_network(path)
    for population, other in zip(network.populations, stored.populations):
        assert other.neuron.fixed_point
        for name, values in population.neuron.stored_numbers.items():
            np.testing.assert_array_equal(other.neuron.stored_numbers[name], values)
        assert [p.delay for p in population.projections] == [
            p.delay for p in other.projections
        ]


def test_a_vector_input_takes_pictures(tmp_path):
    """A picture of (height, width, channels) has its channels first in the file."""
    random = np.random.default_rng(0)
    weight = random.integers(-50, 50, (4, 12))
    path = tmp_path / "net.net"
    write(path, [Layer("dense", (4,), weight, neuron=NEURON)])
    assert input_shape(path) == (1, 1, 12)
    assert input_shape(path, (2, 3, 2)) == (2, 3, 2)
    network = read_lava_dl(path, (2, 3, 2)).network
    kernel = network.output.projections[0].kernel
    for row, column, channel in np.ndindex(2, 3, 2):
        ours = kernel[(row * 3 + column) * 2 + channel]
        in_file = weight[:, channel * 6 + row * 3 + column]
        np.testing.assert_array_equal(ours, in_file)


def test_a_first_convolution_takes_all_pictures_that_fit(tmp_path):
    """Two windows of 2 with stride 2 fit into 4 or 5 rows."""
    layer = Layer(
        "conv", (2, 2, 2), np.ones((2, 3, 2, 2)), neuron=NEURON, stride=(2, 2)
    )
    path = tmp_path / "net.net"
    write(path, [layer])
    assert input_shape(path) == (4, 4, 3)
    assert input_shape(path, (5, 4, 3)) == (5, 4, 3)
    assert input_shape(path, (6, 4, 3)) == (4, 4, 3)


def test_padding_leaves_small_pictures_to_a_first_convolution(tmp_path):
    """Two windows of 2 with stride 4 and a padding of 3 fit into 1 to 3 rows."""
    layer = Layer(
        "conv",
        (2, 2, 2),
        np.ones((2, 3, 2, 2)),
        neuron=NEURON,
        stride=(4, 4),
        padding=(3, 3),
    )
    path = tmp_path / "net.net"
    write(path, [layer])
    assert input_shape(path) == (1, 1, 3)
    assert input_shape(path, (3, 2, 3)) == (3, 2, 3)
    assert read_lava_dl(path, (3, 2, 3)).network.output.shape == (2, 2, 2)
    assert input_shape(path, (4, 3, 3)) == (1, 1, 3)


def with_neuron(**numbers):
    return DENSE._replace(neuron={**NEURON, **numbers})


@pytest.mark.parametrize("kind", ["pool", "convT", "unpool", "average", "concat"])
def test_other_layers_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match=rf"layer 1 \({kind}\) has a type"):
        read(tmp_path, DENSE, Layer(kind, (2,)))


REFUSED = {
    "neurons": ([with_neuron(type=np.array([b"ADRF"]))], "neurons of type ADRF"),
    "no type": ([with_neuron(type=np.zeros(0))], "empty type"),
    "graded": ([with_neuron(gradedSpike=np.array([True]))], "graded spikes"),
    "refractory": ([with_neuron(refDelay=np.array([2]))], "refDelay"),
    "decay": ([with_neuron(iDecay=np.array([5000]))], "iDecay"),
    "bias": ([DENSE._replace(bias=np.array([40_000, 0]))], "16 bits"),
    "weights": ([DENSE._replace(weight=np.array([[300, 1, 1], [1, 1, 1]]))], "8 bits"),
    "zeros": ([DENSE._replace(weight=np.zeros((2, 3)))], "8 bits"),
    "flatten": (
        [IMAGE, CONVOLUTION, DENSE._replace(weight=np.ones((2, 24)))],
        "without flatten",
    ),
    "delayed conv": (
        [IMAGE, CONVOLUTION._replace(delay=np.array([1]))],
        "delays, which Lava ignores",
    ),
    "delayed recurrence": (
        [
            DENSE._replace(
                kind="dense_rec",
                recurrent=np.ones((2, 2)),
                delay=np.array([1]),
            )
        ],
        "exponent",
    ),
    "delays": ([DENSE._replace(delay=np.array([1, 2, 3, 4]))], "delays of shape"),
    "large weight": (
        [DENSE._replace(weight=np.array([[1e300, 1, 1], [1, 1, 1]]))],
        "weight beyond 9,223,372,036,854,775,807",
    ),
    "large bias": ([DENSE._replace(bias=np.array([1e300, 0]))], "bias beyond"),
    "bias of 2^63": ([DENSE._replace(bias=np.array([2.0**63, 0]))], "bias beyond"),
    "bias of -2^63": (
        [DENSE._replace(bias=np.array([-(2**63), 0], np.int64))],
        "bias beyond",
    ),
    "dense weight of -2^63": (
        [DENSE._replace(weight=np.full((2, 3), -(2**63), np.int64))],
        "weight beyond",
    ),
    "convolution weight of -2^63": (
        [IMAGE, CONVOLUTION._replace(weight=np.full((2, 3, 2, 2), -(2**63), np.int64))],
        "weight beyond",
    ),
    "input weight of -2^63": (
        [
            IMAGE._replace(
                weight=np.array([-(2**63)], np.int64),
                bias=np.zeros(1),
                neuron=NEURON,
            ),
        ],
        "weight beyond",
    ),
    "large delay": ([DENSE._replace(delay=np.array([1e300]))], "delay beyond"),
    "unsigned delay": (
        [DENSE._replace(delay=np.array([2**63], np.uint64))],
        "delay beyond",
    ),
    "boolean bias": ([DENSE._replace(bias=np.array([True, False]))], "not numbers"),
    "boolean stride": (
        [IMAGE, CONVOLUTION._replace(stride=np.array([True, True]))],
        "not numbers",
    ),
    "infinite delay": ([DENSE._replace(delay=np.array([np.inf]))], "not numbers"),
    "two axes": ([DENSE._replace(shape=(2, 1))], "1 or 3 lengths"),
    "half a unit": ([DENSE._replace(shape=(2.5,))], "1 or 3 lengths"),
    "too many units": ([DENSE._replace(shape=(2**62, 4, 1))], "6 weights for"),
    "empty bias": (
        [
            IMAGE._replace(weight=np.array([40]), bias=np.zeros(0), neuron=NEURON),
        ],
        "0 numbers as bias",
    ),
    "channels": (
        [IMAGE, CONVOLUTION._replace(weight=np.ones((2, 4, 2, 2)))],
        "3 channels",
    ),
    "shape": ([IMAGE, CONVOLUTION._replace(shape=(2, 9, 9))], "has the output"),
    "one axis": ([IMAGE, CONVOLUTION._replace(shape=(24,))], "3 axes"),
    "no groups": ([IMAGE, CONVOLUTION._replace(groups=0)], "groups"),
    "no stride": ([IMAGE, CONVOLUTION._replace(stride=(0, 1))], "stride"),
    "inputs": ([DENSE, DENSE], "reads 2"),
    "silent": (
        [DENSE._replace(neuron=None), DENSE._replace(weight=np.ones((2, 2)))],
        "never spikes",
    ),
    "no neurons": ([IMAGE], "no layer with neurons"),
    "large input": (
        [
            IMAGE._replace(
                shape=(1, 100_000, 100_000),
                weight=np.array([40]),
                bias=np.zeros(1),
                neuron=NEURON,
            ),
        ],
        "values in the output of layer 0",
    ),
    "large output": (
        [IMAGE, CONVOLUTION._replace(shape=(2, 60_003, 60_003), padding=(30_000,))],
        "values in the output of layer 1",
    ),
    "large padding": (
        [
            IMAGE,
            CONVOLUTION._replace(shape=(2, 2, 2), stride=(10**18,), padding=(10**18,)),
        ],
        "values in the padded input of layer 1",
    ),
    "late input": ([DENSE, Layer("input", (2,))], "not the first layer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_name(tmp_path, name):
    layers, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        read(tmp_path, *layers)


def test_numbers_of_layers_are_those_that_lava_dl_writes(tmp_path):
    with pytest.raises(InputError, match="has layers 00: they must be 0, 1"):
        read(tmp_path, DENSE, change=lambda layers: layers.move("0", "00"))


def test_complex_weights_are_refused(tmp_path):
    def make_complex(layers):
        del layers["0/weight"]
        layers["0/weight/real"] = np.ones((2, 3))

    with pytest.raises(InputError, match="complex weight"):
        read(tmp_path, DENSE, change=make_complex)


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    weight = np.array([[np.nan, 1, 1], [1, 1, 1]])
    with pytest.raises(InputError, match="not numbers"):
        read(tmp_path, DENSE._replace(weight=weight))


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "graph.net"
    path.write_text("*Vertices 3\n")
    with pytest.raises((InputError, DamagedError), match=r"graph\.net"):
        read_lava_dl(path)
