"""The toolbox's own run of the recorded network: reproducible, whatever the size of its batches."""

import numpy as np
import pytest

from snnb.simulation.settings import SimulationSettings

SETTINGS = SimulationSettings(duration=12, batch_size=10, seed=5)
SPIKING = ["00Conv2D_8x8x4", "01AveragePooling2D_4x4x4", "02Conv2D_2x2x8", "04Dense_10"]


@pytest.mark.toolbox
def test_sums_reproducible_and_no_sample_lost_or_counted_twice(trained):
    from snnb.simulation.engines.toolbox import ToolboxEngine

    def run(settings, **options):
        outputs = []
        engine = ToolboxEngine(trained.parsed, settings, **options)
        return engine.simulate(trained.x[:23], 0, lambda spikes, _: outputs.append(spikes)).counts, outputs

    apart, [output] = run(SETTINGS, per_sample=True)
    together, [repeated] = run(SETTINGS)
    other_seed, [other] = run(SETTINGS.changed(seed=6))
    assert list(apart) == SPIKING
    np.testing.assert_array_equal(repeated, output)  # the softmax layer's random spikes too
    assert output.shape == (23, 12, 10)
    assert (other != output).any()
    for name in SPIKING:
        assert len(apart[name]) == 23
        np.testing.assert_array_equal(apart[name].sum(axis=0, keepdims=True), together[name])
    for name in SPIKING[:-1]:
        np.testing.assert_array_equal(other_seed[name], together[name])
