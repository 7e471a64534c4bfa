"""Read and write graph files of snnb with h5py alone; docs/graph-format.md describes them."""

import hashlib
from pathlib import Path

import h5py
import numpy as np


def edges(path):
    """Yield (source, target, weight) of every edge, in no particular order; without parallel edges being merged."""
    with h5py.File(path, "r") as file:
        for number, connection in file["connections"].items():
            _, _, channels = connection.attrs["input_volume"]
            _, columns, filters = connection.attrs["output_volume"]
            first = file["populations"][number.split(".")[0]].attrs["first_id"]
            if "ids" in connection:
                ids = connection["ids"][()]
            else:
                ids = connection.attrs["first_id"] + np.arange(
                    np.prod(connection.attrs["input_volume"])
                )
            ids = np.reshape(ids, connection.attrs["input_volume"])
            rows, cols = connection["rows"][()], connection["columns"][()]
            dense, m = connection.attrs["pairing"] == "dense", filters // channels
            for from_row, row, i in rows:
                for from_column, column, j in cols:
                    for k in np.flatnonzero(ids[from_row, from_column] >= 0):
                        for f in range(filters) if dense else range(k * m, k * m + m):
                            if connection.attrs["weighting"] == "kernel":
                                weight = connection["kernel"][
                                    i, j, k, f if dense else f % m
                                ]
                            elif connection.attrs["weighting"] == "one":
                                weight = np.float32(1)
                            else:
                                weight = np.float32(
                                    1
                                    / (
                                        (rows[:, 1] == row).sum()
                                        * (cols[:, 1] == column).sum()
                                    )
                                )
                            target = first + (row * columns + column) * filters + f
                            yield ids[from_row, from_column, k], target, weight


def write_graph(path, populations, matrices, inputs=0, samples=1, steps=1):
    """Write {name: spikes of each neuron, in the population's shape} and {(source, target): scipy.sparse matrix}."""
    names, first = list(populations), {}
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs.update(format="snnb synapse graph", version=1, inputs=inputs)
        file.attrs.update(
            num_samples=samples, num_timesteps=steps, warm_up=0, dt_ms=1.0
        )
        for number, (name, spikes) in enumerate(populations.items()):
            first[name] = sum(np.size(populations[other]) for other in names[:number])
            group = file.create_group(f"populations/{number:04d}")
            group.attrs.update(
                name=name,
                layer="neurons",
                shape=np.shape(spikes),
                first_id=first[name],
                coding="spikes",
            )
            group["spike_count"] = spikes
        links = sorted(
            (names.index(target), names.index(source)) for source, target in matrices
        )
        file["projections"] = np.array([(k, to) for to, k in links], "int64").reshape(
            -1, 2
        )
        for number, (to, k) in enumerate(links):
            matrix = matrices[names[k], names[to]].tocsr().copy()
            matrix.sum_duplicates()  # sorts them too
            group = file.create_group(f"lists/{number:04d}")
            group.attrs["rule"] = "neurons"
            group["start"] = matrix.indptr.astype("int64")
            group["target"] = (matrix.indices + first[names[to]]).astype("int32")
            group["weight"] = matrix.data.astype("float32")
    with Path(path).open("r+b") as file:
        file.seek(512)
        content = file.read()
        head = f"snnb synapse graph 1\nsha256 {hashlib.sha256(content).hexdigest()}\nbytes {len(content)}\n"
        file.seek(0)
        file.write(head.encode().ljust(512, b"\0"))


def listed_edges(path):
    """Yield (source, target, weight) of every edge, in the order of snnb."""
    with h5py.File(path, "r") as file:
        for number, (k, _) in enumerate(file["projections"]):
            edges, first = (
                file[f"lists/{number:04d}"],
                file[f"populations/{k:04d}"].attrs["first_id"],
            )
            start = edges["start"][()]
            source = first + np.repeat(np.arange(start.size - 1), np.diff(start))
            yield from zip(source, edges["target"][()], edges["weight"][()])
