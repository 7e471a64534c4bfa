"""`spinemap`: the three text files of SpiNeMap and NeuroXplorer.

`connection_info.txt` has a line `source target target …` for each neuron with synapses,
`weight_info.txt` the line `source weight weight …` in the same order, `spike_info.txt`
a line `neuron time time …` for each neuron: time steps, sample k offset by k × the
steps of a sample. `nodes.csv` has population, index, bias and spike count of each
neuron.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Iterator

import numpy as np

from snnb.core.errors import DamagedError, UsageError
from snnb.formats.node_table import NODES_FILE, write_node_csv
from snnb.formats.request import (
    BATCH,
    TEXT_BATCH,
    Format,
    Request,
    SpikingPart,
    need_counts,
    nonempty_rows,
)
from snnb.formats.text_lines import lines, rows, texts
from snnb.graph.connection import ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.spike_times import read_spike_times

if TYPE_CHECKING:
    import pyarrow


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write connections, weights and spike times; see `Format`."""
    assert request.spike_times is not None
    path.mkdir()
    part, exact = SpikingPart.of(graph, request), request.options.exact
    counter = request.counter(part.edges)
    write_node_csv(path / NODES_FILE, part.populations, part.first)
    with (path / "connection_info.txt").open("wb") as connections, (
        path / "weight_info.txt"
    ).open("wb") as weights:
        for node, indptr, target, weight in part.rows(TEXT_BATCH):
            rows_with_edges, starts = nonempty_rows(indptr)
            for file, values in (
                (connections, texts(target)),
                (weights, texts(weight, exact)),
            ):
                file.write(
                    lines(texts(node[rows_with_edges]), " ", rows(starts, values))
                )
            counter.add(target.size)
    with (path / "spike_info.txt").open("wb") as spikes:
        for population in part.populations:
            spikes.writelines(
                _spike_lines(
                    request.spike_times, population, population.first - part.first
                )
            )


def _spike_lines(
    path: Path, population: GraphPopulation, first_node: int
) -> Iterator["pyarrow.Buffer"]:
    """Yield the lines `neuron time time …` of a population; its neurons' ids count up from `first_node`.

    Samples are numbered from the first recorded one, which is 0. A constant input has
    no spikes.
    """
    spikes, steps = (
        np.empty((0, 3), np.int64),
        1,
    )  # sample, neuron and step of each spike; steps of a sample
    if population.coding != "current":
        spike_times = read_spike_times(path, [population.name])
        spikes, steps = (
            spike_times.spikes[population.name].astype(np.int64),
            spike_times.steps,
        )
        spikes -= [spike_times.samples.start, 0, 0]
        if (spikes < 0).any() or (
            spikes >= [len(spike_times.samples), population.size, steps]
        ).any():
            raise DamagedError(
                path,
                f"spikes of {population.name} do not fit its {population.size} neurons",
            )
    order = np.argsort(
        spikes[:, 1], kind="stable"
    )  # keeps a neuron's spikes in order of sample and step
    times = (spikes[:, 0] * steps + spikes[:, 2])[order]
    begin = np.searchsorted(spikes[order, 1], np.arange(population.size + 1))
    for start, stop in ranges(np.diff(begin), BATCH):
        neuron, begin_of_neuron = (
            first_node + np.arange(start, stop),
            begin[start : stop + 1],
        )
        numbers = np.insert(
            times[begin_of_neuron[0] : begin_of_neuron[-1]],
            begin_of_neuron[:-1] - begin_of_neuron[0],
            neuron,
        )
        yield lines(
            rows(
                begin_of_neuron - begin_of_neuron[0] + np.arange(begin_of_neuron.size),
                texts(numbers),
            )
        )


def _check(graph: SynapseGraph, request: Request) -> None:
    need_counts(graph, request)
    if request.spike_times is None or not request.spike_times.exists():
        source = "simulate with --record-spikes K and export that graph"
        if "source_sha256" in graph.attributes:
            source = (
                "give `snnb graph --rates` a spike trace of SANA-FE, or use snn or "
                "hmetis"
            )
        raise UsageError(f"spinemap requires spike times; {source}")


FORMAT = Format(
    "_spinemap",
    write,
    _check,
    partial=True,
    directory=True,
    own_options=("with_input", "exact"),
)
