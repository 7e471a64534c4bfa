"""The toolbox's own run of the recorded network: reproducible, whatever the size of its batches."""

import numpy as np
import pytest

from tests.end_to_end.conftest import RECORDED

STEPS, SPIKING = 12, ["00Conv2D_8x8x4", "01AveragePooling2D_4x4x4", "02Conv2D_2x2x8", "04Dense_10"]
NETWORK = RECORDED / "parse" / "mini_network_parsed.h5"


@pytest.mark.toolbox
def test_sums_reproducible_and_no_sample_lost_or_counted_twice(pixels):
    from snnb.conversion.toolbox import run_toolbox

    x = pixels[:23]
    apart = run_toolbox(NETWORK, x, duration=STEPS, batch_size=10, seed=5, per_sample=True)
    together = run_toolbox(NETWORK, x, duration=STEPS, batch_size=10, seed=5)
    other_seed = run_toolbox(NETWORK, x, duration=STEPS, batch_size=10, seed=6)
    assert list(apart.counts) == SPIKING
    np.testing.assert_allclose(together.input_sum, x.astype(float).sum(axis=0) * STEPS, rtol=1e-6)
    np.testing.assert_array_equal(apart.output, together.output)  # the softmax layer's random spikes too
    assert apart.output.shape == (23, 10, STEPS)
    assert (apart.output != other_seed.output).any()
    for name in SPIKING:
        assert len(apart.counts[name]) == 23
        np.testing.assert_array_equal(apart.counts[name].sum(axis=0), together.counts[name])
    for name in SPIKING[:-1]:
        np.testing.assert_array_equal(other_seed.counts[name], together.counts[name])
