"""Random networks with sums: every place that states a number of synapses, or what follows from it, states the same."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snnb.graph.build import build_graph
from snnb.graph.synapse_graph import log_lines
from snnb.mapping.cost import cost
from snnb.mapping.traffic import MappableNetwork, count_traffic
from snnb.network import geometry
from snnb.network.spike_counts import Recording, SpikeCounts
from snnb.report.network_sections import network_sections
from snnb.simulation.statistics import rate_statistics
from snnb.simulation.totals import QualitySums, Totals
from tests.conversion.conftest import examples
from tests.mapping.networks import hardware
from tests.properties.test_simulation_engines import KINDS, _network, architectures

SAMPLES, STEPS = 3, 20
TERMS = [
    (kind, window, 1, "image")
    for kind, window in (("Conv2D", (3, 2)), ("DepthwiseConv2D", (1, 1)))
]
SHORTCUT = (
    (6, 5, 2),
    ((1, 0), (0, 2)),
    ([("Add", TERMS, 1, 1, True)], [("Add", TERMS, 2, 2, False)]),
    True,
    0,
)
CORES = 5


def unique_pairs(network):
    """All (source, target) ids that are connected: int64, shape (synapses, 2), walked tap by tap."""
    found_pairs, first_size = [np.empty((0, 2), np.int64)], network.input.size
    for volume, ids in network.ids():
        for projection, read in zip(getattr(volume, "projections", ()), ids):
            rows, columns, filters = (
                getattr(projection.geometry, name)
                for name in ("rows", "columns", "filters")
            )
            dense, multiplier = (
                projection.geometry.pairing == "dense",
                projection.geometry.multiplier,
            )
            for row, to_row in zip(rows.input, rows.output):
                for column, to_column in zip(columns.input, columns.output):
                    for channel, source in enumerate(read[row, column]):
                        own_indices = np.arange(multiplier) + (
                            0 if dense else channel * multiplier
                        )
                        targets = (
                            first_size
                            + (to_row * columns.outputs + to_column) * filters
                            + own_indices
                        )
                        found_pairs.append(
                            np.stack([np.full(multiplier, source), targets], axis=1)[
                                : multiplier if source >= 0 else 0
                            ]
                        )
        first_size += volume.size if ids else 0
    return np.unique(np.concatenate(found_pairs), axis=0)


@examples(2, 10)
@example(SHORTCUT, 50)
@given(architectures(KINDS, adds=True), st.sampled_from([1, 50, geometry.SOURCES]))
def test_every_count_is_that_of_the_unique_pairs(architecture, together):
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "SOURCES", together)
        folder = Path(name)
        network, _ = _network(
            architecture, folder / "r_parsed.h5", is_rounded=True, toolbox=False
        )
        random = np.random.default_rng(architecture[-1])
        neurons = [network.input, *network.populations]
        counts = {v.name: random.integers(0, SAMPLES * STEPS, v.shape) for v in neurons}
        recording = Recording(SAMPLES, STEPS, warm_up=0, dt_ms=1.0)
        spike_counts = SpikeCounts(recording, counts, {"input": "spikes"})
        graph = build_graph(network, spike_counts)
        _assert_all_state(unique_pairs(network), network, counts, graph)


def _assert_all_state(pairs, network, counts, graph):
    nodes, synapses = graph.number_of_nodes(), len(pairs)
    leaving, reaching = (np.bincount(pairs[:, i], minlength=nodes) for i in (0, 1))
    operations = (
        leaving
        @ np.concatenate([values.ravel() for values in counts.values()])
        / SAMPLES
    )
    np.testing.assert_array_equal(
        np.concatenate([out.ravel() for out in network.fan_out().values()]), leaving
    )
    found_statistics = rate_statistics(
        network,
        Totals(SAMPLES, counts, QualitySums(np.zeros(STEPS), 0, None), None, {}, []),
        STEPS,
    )
    assert found_statistics["synapses"] == synapses
    assert found_statistics["synaptic_operations_per_sample"] == pytest.approx(
        operations
    )
    assert (
        graph.number_of_edges(),
        sum(summary.edges for summary in graph.summary()),
    ) == (synapses, synapses)
    out, into = np.zeros(nodes, int), np.zeros(nodes, int)
    for p in graph.projections:
        out[p.source.first : p.source.first + p.source.size] += p.out_degrees
        into[p.target.first : p.target.first + p.target.size] += p.in_degrees
    np.testing.assert_array_equal(out, leaving)
    np.testing.assert_array_equal(into, reaching)
    matrix = graph.to_scipy().tocoo()
    np.testing.assert_array_equal(
        np.unique(np.stack([matrix.row, matrix.col], axis=1), axis=0), pairs
    )
    assert f"synapses            {synapses:,}" in log_lines(graph)
    (projections,) = [
        section for section in network_sections(graph) if section.key == "projections"
    ]
    assert projections.words[0].startswith(f"{synapses:,} synapses.")
    assert (
        sum(int(row[3].replace(",", "")) for row in projections.tables[0].rows)
        == synapses
    )
    assert sum(
        p.source.traffic() @ p.out_degrees for p in graph.projections
    ) == pytest.approx(operations / STEPS)
    core = (np.arange(network.neurons) % CORES).astype(np.int32)
    place = np.stack([np.arange(CORES), np.zeros(CORES)], axis=1).astype(np.int32)
    sums = count_traffic(MappableNetwork.of(graph), core, CORES)
    costs = [cost(sums, hardware(synapse_energy=pj), place) for pj in (None, 1.0)]
    assert costs[0].per_core["synapses"].sum() == synapses
    assert costs[1].energy.picojoules - costs[0].energy.picojoules == pytest.approx(
        operations
    )
