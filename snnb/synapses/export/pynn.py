"""`pynn`: a directory of connection lists for PyNN's `FromFileConnector`, two a projection.

Indices count inside each population. `…_excitatory.txt` holds the weights that are not negative, `…_inhibitory.txt` the
negative ones with their sign, as PyNN wants them for current-based synapses; a list without synapses is left out. The
delay is a time step, at least 1 ms.
"""

from pathlib import Path

import numpy as np

from snnb.synapses.export.request import TEXT_BATCH, Format, Request, file_name
from snnb.synapses.graph import SynapseGraph

HEADER = b'# columns = ["i", "j", "weight", "delay"]\n'


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: a list of connections a projection; see `Format`."""
    from snnb.synapses.export.lines import NUMBER, connection_lines

    path.mkdir()
    counter = request.counter(graph.number_of_edges())
    delay = max(1.0, 1.0 if graph.recording is None else graph.recording.dt_ms)
    tail = np.frombuffer(f" {delay}\n".encode(), np.uint8)
    out = np.empty(TEXT_BATCH * (3 * NUMBER + tail.size), np.uint8)
    for number, projection in enumerate(graph.projections):
        name = file_name(number, projection)
        lists = [path / f"{name}_excitatory.txt", path / f"{name}_inhibitory.txt"]
        with lists[0].open("wb") as excitatory, lists[1].open("wb") as inhibitory:
            for file in (excitatory, inhibitory):
                file.write(HEADER)
            for batch in projection.edge_batches(TEXT_BATCH):
                negative = batch.weight < 0
                for file, which in ((excitatory, ~negative), (inhibitory, negative)):
                    end = connection_lines(
                        out,
                        batch.source[which] - projection.source.first,
                        batch.target[which] - projection.target.first,
                        batch.weight[which],
                        tail,
                    )
                    file.write(out[:end].data)
                counter.add(batch.source.size)
        for empty in lists:
            if empty.stat().st_size == len(HEADER):  # PyNN cannot read a list without lines
                empty.unlink()


def _size(graph: SynapseGraph, request: Request) -> float:
    digits = [len(str(p.source.size)) + len(str(p.target.size)) for p in graph.projections]
    return sum(p.number_of_edges * (both + 18) for p, both in zip(graph.projections, digits))


FORMAT = Format("PyNN", "_pynn", write, _size, 5e6, directory=True)
