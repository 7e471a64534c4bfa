"""The engine `tensorflow` against the toolbox's own runner, spike by spike; and the random numbers of engines."""

import numpy as np
import pytest
import tensorflow as tf

from snnb.simulation.engines.engine import INPUT, SOFTMAX, Streams
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.engines.tensorflow_neurons import reach_threshold
from snnb.simulation.settings import SimulationSettings
from tests.simulation.alike import SETTINGS as ALIKE
from tests.simulation.alike import (
    assert_every_spike_is_the_same,
    assert_of_10000_counts_at_most_one_differs_by_one,
    simulate_engine,
    spike_trains,
)

SETTINGS = SimulationSettings(samples=70, duration=50, seed=5)


@pytest.mark.toolbox
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("trained_case", {}),
        ("branched_case", {"threshold": 0.7, "warm_up": 20}),
        ("branched_case", {"input": "poisson", "input_rate": 600}),
        *(
            pytest.param("branched_case", c, marks=pytest.mark.slow)
            for c in [{}, {"warm_up": 20}, {"reset": "zero"}]
        ),
    ],
    ids=str,
)
def test_counts_are_the_toolboxs(request, name, change):
    from snnb.simulation.engines.toolbox import ToolboxEngine

    case, settings = (
        request.getfixturevalue(name),
        SETTINGS.changed(batch_size=35, **change),
    )
    counts = simulate_engine(TensorFlowEngine, case, settings)[0].counts
    reference = (
        ToolboxEngine(case.network, settings, per_sample=True)
        .simulate(case.x[:70], 0, lambda *_: None)
        .counts
    )
    assert list(counts) == list(reference)
    *fixed, softmax = reference
    for layer in fixed:
        np.testing.assert_array_equal(counts[layer], reference[layer], err_msg=layer)
    assert counts[softmax].shape == reference[softmax].shape


@pytest.mark.toolbox
def test_sums_of_the_toolbox_are_reproducible_and_no_sample_is_lost_or_counted_twice(
    trained_case,
):
    from snnb.simulation.engines.toolbox import ToolboxEngine

    def run(settings, **options):
        outputs = []
        engine = ToolboxEngine(trained_case.network, settings, **options)
        return engine.simulate(
            trained_case.x[:23], 0, lambda spikes, _: outputs.append(spikes)
        ).counts, outputs

    settings = SETTINGS.changed(duration=12, batch_size=10)
    apart, [output] = run(settings, per_sample=True)
    together, [repeated_messages] = run(settings)
    other_seed, [other_messages] = run(settings.changed(seed=6))
    spiking = [
        "00Conv2D_8x8x4",
        "01AveragePooling2D_4x4x4",
        "02Conv2D_2x2x8",
        "04Dense_10",
    ]
    assert list(apart) == spiking
    np.testing.assert_array_equal(
        repeated_messages, output
    )  # the softmax layer's random spikes too
    assert output.shape == (23, 12, 10)
    assert (other_messages != output).any()
    for name in spiking:
        assert len(apart[name]) == 23
        np.testing.assert_array_equal(
            apart[name].sum(axis=0, keepdims=True), together[name]
        )
    for name in spiking[:-1]:
        np.testing.assert_array_equal(other_seed[name], together[name])


def test_softmax_spikes_follow_the_softmax_of_the_membrane(trained_case):
    counts, spikes = simulate_engine(
        TensorFlowEngine, trained_case, SETTINGS.changed(record_spikes=70)
    )
    last = trained_case.network.output
    kernel = last.only.kernel
    uniform = Streams(SETTINGS.seed, range(70), SOFTMAX).uniform(
        SETTINGS.duration, (10,)
    )
    potential, expected_spikes = np.zeros((70, 10)), np.zeros(spikes.shape, bool)
    # The membrane is replayed from the recorded spikes of the layer before.
    table = counts.spikes[trained_case.network.populations[-2].name]
    before = spike_trains(table, 70, SETTINGS.duration, len(kernel)).astype(bool)
    for step in range(SETTINGS.duration):
        potential += before[:, step] @ kernel + last.bias
        share = np.exp(potential - potential.max(axis=1, keepdims=True))
        expected_spikes[:, step] = uniform[:, step] <= share / share.sum(
            axis=1, keepdims=True
        )
        potential[expected_spikes[:, step]] = 0
    assert (spikes != expected_spikes).mean() < 1e-3  # float32 beside float64
    np.testing.assert_array_equal(counts.counts[last.name], spikes.sum(axis=1))
    current = before.sum(axis=1) @ kernel + SETTINGS.duration * last.bias
    np.testing.assert_allclose(counts.readout, current, rtol=1e-3, atol=1e-2)


def test_a_sample_spikes_the_same_alone_and_anywhere_in_a_batch(branched_case):
    whole_counts, spikes = simulate_engine(TensorFlowEngine, branched_case, SETTINGS)
    alone, alone_spikes = simulate_engine(
        TensorFlowEngine, branched_case, SETTINGS, slice(41, 42)
    )
    for name, counts in whole_counts.counts.items():
        np.testing.assert_array_equal(alone.counts[name], counts[41:42], err_msg=name)
    np.testing.assert_array_equal(alone_spikes, spikes[41:42])
    np.testing.assert_array_equal(alone.readout, whole_counts.readout[41:42])


@pytest.mark.parametrize("engine", [TensorFlowEngine, EventEngine])
def test_spikes_of_the_last_quarters_are_those_recorded_there(branched_case, engine):
    """Of 50 steps these are 26 to 37 and 38 to 49; the warm-up ends within the first of them, and counts here."""
    settings = SETTINGS.changed(record_spikes=70, warm_up=30)
    counts, _ = simulate_engine(engine, branched_case, settings)
    steps = [
        counts.spikes[layer.name][:, 2] for layer in branched_case.network.populations
    ]
    expected_quarters = [[((s >= 26) & (s < 38)).sum(), (s >= 38).sum()] for s in steps]
    np.testing.assert_array_equal(counts.late, expected_quarters)
    assert counts.late.all()


@pytest.mark.parametrize("threshold", [1.0, 0.7, 1.3e-3, 417.25])
def test_what_reaches_the_threshold(threshold):
    """Numbers next to the threshold, far from it, and the like of many neurons: as a comparison has it."""
    reached_potential = np.float32(threshold)
    near = [reached_potential]
    for towards in (np.float32(-np.inf), np.float32(np.inf)):
        neighbour = reached_potential
        for _ in range(20):
            neighbour = np.nextafter(neighbour, towards)
            near.append(neighbour)
    drawn_potentials = np.random.default_rng(0).normal(threshold, threshold, 10_000)
    potential = np.array(
        [*near, 0, -0.0, -reached_potential, 1e30, -1e30, *drawn_potentials], np.float32
    )
    np.testing.assert_array_equal(
        reach_threshold(
            tf.constant(potential), np.asarray(threshold, np.float32)
        ).numpy(),
        potential >= reached_potential,
    )


@pytest.mark.parametrize("engine", [TensorFlowEngine, EventEngine])
def test_from_its_start_a_neuron_with_a_constant_current_spikes_floor_of_start_and_what_it_got(
    exact, engine
):
    settings = SETTINGS.changed(initial_potential=0.25)
    counts, _ = simulate_engine(engine, exact, settings)
    layer = next(
        layer for layer in exact.keras.layers if layer.name.startswith("00Conv2D")
    )
    kernel, bias = (values.astype(np.float64) for values in layer.get_weights())
    current = (
        tf.nn.conv2d(exact.x[:70].astype(np.float64), kernel, 1, "SAME").numpy() + bias
    )
    expected_floor = np.floor(0.25 + settings.duration * np.clip(current, 0, 1))
    np.testing.assert_array_equal(counts.counts[layer.name], expected_floor)


@pytest.mark.gpu
def test_counts_on_a_gpu_are_those_of_a_cpu(exact, trained_case, branched_case):
    """The event engine computes on the CPU only."""
    assert tf.config.list_physical_devices("GPU"), "TensorFlow finds no GPU"
    engines = (TensorFlowEngine, EventEngine)
    assert_every_spike_is_the_same(engines, exact, ALIKE)
    for case in (trained_case, branched_case):
        assert_of_10000_counts_at_most_one_differs_by_one(engines, case)


def test_seeds_samples_and_uses_have_numbers_of_their_own():
    streams = [
        (seed, sample, use)
        for seed in (0, 1)
        for sample in (0, 1)
        for use in (INPUT, SOFTMAX, SOFTMAX + 1)
    ]
    numbers = [
        Streams(seed, range(s, s + 1), use).uniform(1, (1000,)).ravel()
        for seed, s, use in streams
    ]
    assert (
        len(np.unique(np.concatenate(numbers))) > 0.999 * 12 * 1000
    )  # float32 has a few equal ones by chance


@pytest.mark.parametrize("rate", [1000.0, 400.0, 2500.0])
def test_poisson_rates_are_within_statistical_bounds(rate):
    x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1).repeat(50, axis=0)
    steps, trials = 200, 200 * 50
    share = Streams(3, range(50), INPUT).poisson(x, rate, steps).mean(axis=(0, 1))
    expected_minimum = np.minimum(1, x[0] * rate / 1000)
    error = np.abs(share - expected_minimum)
    assert (
        error <= 5 * np.sqrt(expected_minimum * (1 - expected_minimum) / trials)
    ).all()  # one in 30,000 such tests by chance
    assert share[0, 0] == 0
    assert (share[expected_minimum == 1] == 1).all()
