"""Every model at full size through all five stages, as `make model-matrix` measures them."""

import pytest

from benchmarks.model_matrix import measure
from snnb.architectures import find, names

MEMORY = 12 * 2**30


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(names(), key=lambda name: find(name).spec.synapses))
def test_every_model_goes_through_all_stages_at_full_size(name, tmp_path):
    spec, measured = find(name).spec, measure(name, tmp_path)
    assert (measured["neurons"], measured["synapses"]) == (spec.neurons, spec.synapses)
    assert max(cost["peak_rss_bytes"] for cost in measured["stages"].values()) < MEMORY
