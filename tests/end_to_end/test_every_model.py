"""Every model at full size through all five stages, as `make model-matrix` measures them."""

import runpy
from pathlib import Path

import pytest

from snnb.architectures import find, names

MEMORY = 12 * 2**30
# By path: an installed package is called `benchmarks` too.
measure = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "model_matrix.py"))["measure"]


@pytest.mark.large
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(names(spiking=False), key=lambda name: find(name).synapses))
def test_every_model_goes_through_all_stages_at_full_size(name, tmp_path):
    spec, measured = find(name), measure(name, tmp_path)
    assert (measured["neurons"], measured["synapses"]) == (spec.neurons, spec.synapses)
    assert max(cost["peak_rss_bytes"] for cost in measured["stages"].values()) < MEMORY
