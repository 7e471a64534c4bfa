"""Networks of SONATA: read after an export, from bmtk's builder, written by hand, refused."""

import numpy as np
import pytest

from snnb.graph.export.write_export import export
from tests.graph.edges import all_edges
from tests.graph.mapped import costs_of, imported


@pytest.mark.parametrize("name", ["graph", "residual_graph", "pruned_graph"])
def test_an_export_that_is_read_again_maps_the_same(request, tmp_path, name):
    original = request.getfixturevalue(name)
    export(original, "sonata", tmp_path / "net")
    again, notes = imported(tmp_path / "net", tmp_path)
    with again:
        assert costs_of(again, tmp_path / "partition") == costs_of(original, tmp_path / "partition")
        for one, other in zip(all_edges(again), all_edges(original.with_pool_weight("mean"))):
            np.testing.assert_array_equal(one, other)
        for one, other in zip(again.populations, original.populations):
            assert (one.name, one.layer, one.shape, one.coding) == (other.name, other.layer, other.shape, other.coding)
            np.testing.assert_array_equal(one.spike_count, other.spike_count)
            np.testing.assert_array_equal(one.bias, other.bias)
        assert again.recording == original.recording
    assert notes == ("delays are not read",)
