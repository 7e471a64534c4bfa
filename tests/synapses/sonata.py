"""The indices of a SONATA edge file, written again by the reference implementation."""

import shutil
from pathlib import Path

import h5py
import libsonata


def assert_indexed_as_by_libsonata(path: Path, nodes: int, folder: Path) -> None:
    """Have libsonata index a copy of the edges, in `folder`, and compare every dataset."""
    again = folder / "again.h5"
    shutil.copy(str(path), str(again))
    with h5py.File(str(again), "r+") as file:
        del file["edges/snn_snn/indices"]
    libsonata.EdgePopulation.write_indices(str(again), "snn_snn", nodes, nodes)
    with h5py.File(str(path), "r") as own, h5py.File(str(again), "r") as theirs:
        indices = theirs["edges/snn_snn/indices"]
        assert set(indices) == {"source_to_target", "target_to_source"}
        for kind, index in indices.items():
            for name, values in index.items():
                assert own[f"edges/snn_snn/indices/{kind}/{name}"][()].tolist() == values[()].tolist(), (kind, name)
