"""A rate counts as rising when it is seen to, and not by chance."""

import numpy as np
import pytest

from snnb.simulation.engines.engine import late_quarters
from snnb.simulation.findings import _named, findings
from snnb.simulation.quality import Quality
from snnb.simulation.totals import Totals


def _found(network, spikes_per_step):
    """Findings for populations that all spike so often at each step."""
    counts = {layer.name: np.ones(layer.shape, np.int64) for layer in network.populations}
    before, last = late_quarters(len(spikes_per_step))
    late = [int(spikes_per_step[before:last].sum()), int(spikes_per_step[last:].sum())]
    quality = Quality(np.zeros(len(spikes_per_step)), 0, None)
    return findings(network, Totals(1, counts, quality, np.tile(late, (len(counts), 1)), {}), len(spikes_per_step))


@pytest.mark.parametrize(
    ("spikes_per_step", "rises"),
    [
        (np.linspace(0, 1000, 80), True),
        (np.full(80, 1000), False),
        (np.linspace(1000, 0, 80), False),
        (np.repeat([0, 500, 1000, 1000], 20), False),  # it did rise, early on
        (np.repeat([0, 0, 1000, 1040], 20), False),  # by less than 5 %
        (np.repeat([0, 0, 1000, 1060], 20), True),
        (np.repeat([0, 0, 1, 1.5], 20).astype(int) + np.eye(80)[70].astype(int) * 3, False),  # 23 after 20 spikes
        (np.arange(3), False),  # too short to say
    ],
)
def test_rising(branched, spikes_per_step, rises):
    found = _found(branched.network, spikes_per_step)
    assert found.rising == ([layer.name for layer in branched.network.populations] if rises else [])


def test_shares_of_silent_and_saturated_neurons(branched):
    counts = {layer.name: np.full(layer.shape, 5) for layer in branched.network.populations}
    first = branched.network.populations[0]
    flat = counts[first.name].reshape(-1)
    flat[: first.size // 4], flat[first.size // 2 :] = 0, 20
    found = findings(branched.network, Totals(2, counts, Quality(np.zeros(1), 0, None), None, {}), 10)
    assert found.silent[first.name] == 0.25
    assert found.saturated[first.name] == 0.5
    assert found.mean_rates[first.name] == pytest.approx((5 / 4 + 20 / 2) / 20)
    assert found.warnings == []


def test_many_rising_layers_are_counted_and_a_few_named():
    names = [f"layer{number}" for number in range(7)]
    assert _named(names[:5]) == "layer0, layer1, layer2, layer3, layer4"
    assert _named(names) == "7 layers, first layer0 and last layer6,"
