"""Networks that were trained as spiking ones: stored and read again, and walked through although they have cycles."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.network.event_samples import InputSteps
from snnb.network.layers import Dense, Flatten
from snnb.network.network import Network, Population, Projection, Reindexed, Volume
from snnb.network.neuron import FIELDS, Neuron
from snnb.network.read_network import SPIKING, read_network, write_network

RANDOM = np.random.default_rng(0)


def dense(source, rows, units, **delayed):
    layer = Dense(units=units)
    kernel = RANDOM.normal(size=(rows, units)).astype(np.float32)
    return Projection(source, layer, layer.geometry((rows,)), kernel, **delayed)


def recurrent():
    """Two populations in a cycle, the first of which also reads itself, and a leaky integrator."""
    neuron = Neuron(
        np.arange(1, 4),
        decay_factor=0.9,
        reset_potential=0.25,
        current_decay_factor=np.full(3, 0.5),
        initial=-1,
    )
    two = Neuron(0.5, subtrahend=0.25, gain=2, offset=np.array([0.1, 0.2]))
    later = np.array([1, 2, 3], np.float32)
    onto = (
        dense("input", 4, 3),
        dense("one", 3, 3, delay=1, bias=later),
        dense("flat", 2, 3, delay=2),
    )
    return Network(
        (
            Volume("input", (4,)),
            Population("one", (3,), "Dense", onto, np.full(3, 0.5, np.float32), "linear", neuron=neuron),
            Population("two", (2,), "Dense", (dense("one", 3, 2),), np.zeros(2, np.float32), "linear", neuron=two),
            Reindexed("flat", (2,), Flatten(), ("two",)),
            Population("out", (2,), "Dense", (dense("flat", 2, 2),), np.zeros(2, np.float32), "linear",
                       neuron=Neuron(1, decay_factor=0.5, is_spiking=False)),
        )
    )  # fmt: skip


def store(network, path):
    with h5py.File(path, "w") as file:
        write_network(network, file.create_group(SPIKING))
    return read_network(path)


def test_a_stored_network_is_read_again_with_all_its_numbers(tmp_path):
    network = recurrent()
    read = store(network, tmp_path / "net.h5")
    assert [volume.name for volume in read.volumes] == [
        volume.name for volume in network.volumes
    ]
    for old, new in zip(network.populations, read.populations):
        for name in FIELDS.values():
            np.testing.assert_array_equal(
                getattr(old.neuron, name), getattr(new.neuron, name), name
            )
        assert old.neuron.is_spiking == new.neuron.is_spiking
        np.testing.assert_array_equal(old.bias, new.bias)
        for before, after in zip(old.projections, new.projections):
            assert (before.input, before.delay) == (after.input, after.delay)
            np.testing.assert_array_equal(before.weights(), after.weights())
            np.testing.assert_array_equal(before.bias, after.bias)


@pytest.mark.parametrize(
    ("name", "values"),
    [("leak", np.zeros(5)), ("threshold", np.inf), ("offset", np.nan)],
)
def test_a_number_that_does_not_fit_its_population_is_refused(name, values, tmp_path):
    network = recurrent()
    object.__setattr__(network.output.neuron, FIELDS[name], np.asarray(values))
    with pytest.raises(InputError, match=f"out .*{name}"):
        store(network, tmp_path / "net.h5")


def test_a_cycle_is_no_endless_path():
    network = recurrent()
    assert network.depths() == {"input": 0, "one": 1, "two": 2, "flat": 2, "out": 3}
    assert network.senders(network.populations[0]) == {"input", "one", "two"}
    counts = {name: leaving.tolist() for name, leaving in network.fan_out().items()}
    assert counts == {"input": [3] * 4, "one": [5] * 3, "two": [5] * 2, "out": [0] * 2}


def test_components_are_cycles_in_the_order_in_which_they_are_read():
    network = recurrent()
    assert [[v.name for v in part] for part in network.components()] == [
        ["input"],
        ["one", "two", "flat"],
        ["out"],
    ]
    late = replace(
        network.output, projections=(dense("input", 4, 2), dense("last", 2, 2, delay=1))
    )
    last = Population("last", (2,), "Dense", (dense("input", 4, 2),), None, "linear")
    ahead = Network((network.input, late, last))
    assert [[v.name for v in part] for part in ahead.components()] == [
        ["input"],
        ["last"],
        ["out"],
    ]


def test_input_steps_are_their_entries_other_than_zero():
    x = RANDOM.integers(0, 3, (4, 5, 2, 3)).astype(np.float32)
    x[2] = 0
    steps = InputSteps.dense(x)
    assert len(steps) == 4
    np.testing.assert_array_equal(
        steps.frames(1, 7), np.pad(x, [(0, 0), (0, 2), (0, 0), (0, 0)])[:, 1:]
    )
    np.testing.assert_array_equal(steps[1:3].frames(0, 5), x[1:3])
    np.testing.assert_array_equal(steps.sums(1, 3), x[:, 1:3].sum(axis=1))
