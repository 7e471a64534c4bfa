"""Fixed-point neurons: spikes of Lava, random networks, and closed forms."""

from pathlib import Path

import numpy as np
import pytest

from snnb.model_files.lava_dl import read_lava_dl
from snnb.model_files.lava_weights import store_weights
from tests.simulation import lava_reference as reference
from tests.simulation.compare_lava import (
    compare_lava,
    compare_sample,
    rows_first,
    sample_shape,
    simulate,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lava"
FILES = sorted(FIXTURES.glob("*.npz"))


def read_fixture(file):
    """Return the network and the arrays of a file of spikes, see `compare_lava`."""
    data = dict(np.load(str(file)))
    path = FIXTURES / f"{file.name.split('.')[0]}.net"
    return read_lava_dl(path, sample_shape(data)).network, data


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_spikes_are_those_of_lava(file):
    network, data = read_fixture(file)
    compare = compare_sample if ".sample." in file.name else compare_lava
    result = compare(network, data)
    assert result.differences == 0
    assert result.spikes > 0


def random_pair(seed, tmp_path, steps=40):
    """Return the spikes of a random network, of the engine and of the reference.

    Both are lists of bool (neurons, steps), an array for each layer with neurons.
    """
    random = np.random.default_rng(seed)
    layers = reference.random_network(random)
    path = tmp_path / "random.net"
    reference.write(path, layers)
    first_layer = layers[0]
    if first_layer.kind == "input" and first_layer.neuron is not None:
        x = random.random(first_layer.shape).astype(np.float32)
        network = read_lava_dl(path).network
        ours = simulate(network, np.moveaxis(x, 0, 2), steps)
    else:
        shape = first_layer.shape
        if first_layer.kind != "input":
            shape = (first_layer.weight.shape[1],)
        x = random.random((*shape, steps)) < random.uniform(0.05, 0.6)
        network = read_lava_dl(path).network
        ours = simulate(network, rows_first(x).reshape(*network.input.shape, -1), steps)
    reference_spikes = []
    for spikes in reference.simulate(layers, x, steps):
        reference_spikes.append(rows_first(spikes).reshape(-1, steps))
    return list(ours.values()), reference_spikes


@pytest.mark.parametrize(
    "seed",
    [*range(12), *(pytest.param(n, marks=pytest.mark.slow) for n in range(12, 112))],
)
def test_random_networks_are_those_of_whole_numbers(seed, tmp_path):
    our_layers, reference_layers = random_pair(seed, tmp_path)
    assert len(our_layers) == len(reference_layers)
    for our_spikes, reference_spikes in zip(our_layers, reference_layers):
        np.testing.assert_array_equal(our_spikes, reference_spikes)


def test_random_networks_spike(tmp_path):
    silent_networks = 0
    for seed in range(12):
        _, reference_layers = random_pair(seed, tmp_path)
        silent_networks += not all(spikes.any() for spikes in reference_layers)
    assert silent_networks <= 6


def one_neuron(tmp_path, inputs, steps, **changes):
    """Return the steps in which one neuron spikes.

    `inputs` are the spikes, 0 or 1, (inputs, steps). `changes` replace numbers of the
    layer: by default the weight 100 of one input, full decay of the current, none of
    the potential, the threshold 100, no bias and no delay.
    """
    numbers = {
        "weight": [[100]],
        "iDecay": 4096,
        "vDecay": 0,
        "vThMant": 100,
        "bias": 0,
        **changes,
    }
    neuron = {
        name: np.array([numbers[name]]) for name in ("iDecay", "vDecay", "vThMant")
    }
    layer = reference.Layer(
        "dense",
        (1,),
        np.array(numbers["weight"]),
        bias=np.array([numbers["bias"]]),
        delay=numbers.get("delay"),
        neuron={"type": np.array([b"CUBA"]), **neuron},
    )
    path = tmp_path / "one.net"
    reference.write(path, [layer])
    network = read_lava_dl(path).network
    x = np.asarray(inputs).reshape(1, 1, -1, steps)
    [spikes] = simulate(network, x, steps).values()
    return np.flatnonzero(spikes[0]).tolist()


def test_a_potential_equal_to_the_threshold_is_no_spike(tmp_path):
    spiking_steps = one_neuron(tmp_path, [[1, 1, 1, 1]], 4, weight=[[50]], vThMant=100)
    assert spiking_steps == [2]  # 50, 100, 150, then 50


def test_decay_rounds_towards_zero(tmp_path):
    """A current of -3 decays by 1/64 each step; rounded down, it would stay.

    Its 4095 / 4096 are rounded: -192, -191, -190 … of 1/64. The potential keeps
    nothing. It is this current and the bias 3: 0 in the first step, positive in the
    others.
    """
    x = [[1] + 39 * [0]]
    spiking_steps = one_neuron(
        tmp_path, x, 40, weight=[[-3]], vDecay=4096, iDecay=1, bias=3, vThMant=0
    )
    assert spiking_steps == list(range(1, 40))


def test_a_synaptic_current_wraps_around(tmp_path):
    """515 weights of 255 are 131,325, above 2¹⁷ = 131,072: the current gets negative.

    514 of them are 131,070.
    """
    inputs = np.ones((515, 1), int)
    weight = np.full((1, 515), 255)
    assert one_neuron(tmp_path, inputs, 1, weight=weight) == []
    assert one_neuron(tmp_path, inputs[:514], 1, weight=weight[:, :514]) == [0]


def test_a_potential_is_limited_to_24_bits(tmp_path):
    """At the lower limit, about -131,072, it neither falls nor wraps around.

    It falls for 600 steps by the weight of one input, and then rises, or falls more
    slowly, by that of another.
    """
    falling_steps = 600
    x = np.zeros((2, 1200), int)
    x[0, :falling_steps] = 1
    x[1, falling_steps:] = 1
    # -327 a step: the limit after 401 steps; then -73 a step
    spiking_steps = one_neuron(
        tmp_path, x, 1200, weight=[[-127, 127]], vThMant=0, bias=-200
    )
    assert spiking_steps == []
    # -264 a step: the limit after 497 steps; then 244 a step: above 0 after 538 steps
    spiking_steps = one_neuron(
        tmp_path, x, 1200, weight=[[-254, 254]], vThMant=0, bias=-10
    )
    assert spiking_steps[0] == falling_steps + 538 - 1


@pytest.mark.parametrize(
    ("weights", "exponent", "stored"),
    [
        # Both signs, from -128 to 127: as even numbers, by an exponent of at least 1
        ([-101, 100], 1, [-101, 100]),
        ([-50, 27], 2, [-50, 27]),
        # Clipped to -256 to 254
        ([-300, 300, 101], 0, [-256, 254, 101]),
        # One sign: 255 fits; -256 becomes -255, of which the lowest bit is dropped
        ([1, 255], 0, [1, 255]),
        ([-256, -2], 0, [-254, -2]),
        # -64 · 4 is -256 too, stored as -254; -1 · 256 is, of which no bit remains
        ([-64, -63, 0], 2, [-63.5, -63, 0]),
        ([-1], 8, [0]),
    ],
)
def test_weights_are_those_that_lava_stores(weights, exponent, stored):
    """Values by hand from the rules of netx and of Lava's weight utilities."""
    result = store_weights([np.array([weights])])
    assert result.exponent == exponent
    assert result.arrays[0].tolist() == [stored]
    changed = sum(a != b for a, b in zip(weights, stored))
    assert result.changed_values == changed


@pytest.mark.parametrize("delay", [0, 1, 5, 62, 63])
def test_a_spike_arrives_after_its_delay(tmp_path, delay):
    x = np.zeros((1, 70), int)
    x[0, 3] = 1
    spiking_steps = one_neuron(tmp_path, x, 70, vThMant=50, delay=np.array([delay]))
    assert spiking_steps == [3 + min(delay, 62)]
