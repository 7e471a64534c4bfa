"""Parts of the test set: simulations that begin in its middle, and blocks of samples."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.files import read_spikes
from snnb.simulation.settings import SimulationSettings
from tests.simulation.alike import simulate_case

SETTINGS = SimulationSettings(
    samples=60, duration=40, warm_up=7, seed=2, input="poisson"
)


@pytest.mark.parametrize(
    "engine", ["event", pytest.param("tensorflow", marks=pytest.mark.slow)]
)
def test_samples_from_the_middle_spike_as_in_a_larger_run(
    branched_case, tmp_path, engine
):
    settings = SETTINGS.changed(engine=engine, record_spikes=60)
    simulate_case(branched_case, tmp_path / "larger", settings)
    simulate_case(
        branched_case,
        tmp_path / "middle",
        settings.changed(first=25, samples=20, record_spikes=20),
    )
    with np.load(tmp_path / "middle" / "spike_rate_sums.npz") as file:
        sums = dict(file)
    larger, middle = (read_spikes(tmp_path / name) for name in ("larger", "middle"))
    for name, rows in larger.items():
        expected_row = rows[(rows[:, 0] >= 25) & (rows[:, 0] < 45)]
        assert len(expected_row)
        np.testing.assert_array_equal(middle[name], expected_row, err_msg=name)
        assert sums[name].sum() == (expected_row[:, 2] >= 7).sum()
    spikes = read_spikes(tmp_path / "middle", sample=44)
    np.testing.assert_array_equal(
        spikes["input"], larger["input"][larger["input"][:, 0] == 44]
    )


@pytest.mark.parametrize("source", ["constant", "poisson"])
def test_counts_and_read_out_of_separated_firing_do_not_depend_on_the_blocks(
    trained_case, source
):
    network, random = trained_case.network, np.random.default_rng(5)
    output = replace(network.output, activation="linear")
    network = network.with_populations([*network.populations[:-1], output]).separated(6)
    engine = SeparatedEngine(
        network, SimulationSettings(samples=120, duration=6, input=source)
    )

    def simulate_blocks(ends):
        blocks = [
            slice(first_sample, last)
            for first_sample, last in zip([0, *ends], [*ends, 120])
        ]
        readouts = []
        found_results = [
            engine.simulate(
                trained_case.x[b], b.start, lambda _, readout: readouts.append(readout)
            )
            for b in blocks
        ]
        output = np.concatenate(
            [counts.counts[network.output.name] for counts in found_results]
        )
        return output, np.concatenate(readouts)

    counts, readout = simulate_blocks([])
    assert readout.any(axis=2)[:, -1].all()
    for ends in (
        range(1, 120),
        [119],
        [7, 20, 50, 51, 53],
        *(np.sort(random.integers(1, 120, 4)) for _ in range(6)),
    ):
        ends = np.unique(ends).tolist()
        for expected_array, found_array in zip(
            (counts, readout), simulate_blocks(ends)
        ):
            np.testing.assert_array_equal(
                found_array, expected_array, err_msg=str(ends)
            )
