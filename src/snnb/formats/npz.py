"""`npz`: a directory of scipy CSR matrices, one per projection, for `scipy.sparse.load_npz`; and the table of nodes."""

import zipfile
from pathlib import Path

import numpy as np

from snnb.formats.description import node_table
from snnb.formats.request import BATCH, Counter, Format, Request, file_name
from snnb.graph.connection import index_dtype
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.npy import write_member


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one sparse matrix per projection; see `Format`."""
    path.mkdir()
    counter = request.counter(3 * graph.number_of_edges())
    scale = request.rate_scale(graph)
    for number, projection in enumerate(graph.projections):
        dtype = index_dtype(max(projection.number_of_edges, projection.target.size))
        indptr = np.concatenate([[0], np.cumsum(projection.out_degrees)]).astype(dtype)
        shape = np.array([projection.source.size, projection.target.size])
        with zipfile.ZipFile(str(path / f"{file_name(number, projection)}.npz"), "w") as archive:
            write_member(archive, "format", np.array(b"csr"))
            write_member(archive, "shape", shape)
            write_member(archive, "indptr", indptr)
            for name, kind in (("indices", dtype), ("data", np.dtype(np.float32)), ("edge", np.dtype(np.float32))):
                _write_array(archive, name, kind, projection, scale, counter)
    with (path / "nodes.npz").open("wb") as file:
        np.savez(file, **node_table(graph, request))


def _write_array(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, projection: GraphProjection, scale: float, counter: Counter
) -> None:
    """Write an array of the edges, some at a time: npz is a zip of npy files, and npy a short head and the values."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
        head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**head, "shape": (projection.number_of_edges,)})
        for batch in projection.edge_batches(BATCH, scale):
            counter.add(batch.source.size)
            arrays = {"indices": batch.target - projection.target.first, "data": batch.weight, "edge": batch.edge}
            file.write(arrays[name].astype(dtype, copy=False).data.cast("B"))  # zipfile counts items, not bytes


FORMAT = Format("_npz", write, directory=True, own_options=("rate_unit",))
