"""The indices of a SONATA edge file, written again by the reference implementation."""

import shutil
from pathlib import Path

import h5py
import libsonata


def assert_indexed_as_by_libsonata(
    path: Path, inputs: int, neurons: int, folder: Path
) -> None:
    """Have libsonata index a copy of the edges, in `folder`, and compare every dataset."""
    again = folder / "again.h5"
    shutil.copy(str(path), str(again))
    with h5py.File(str(again), "r+") as file:
        names = list(file["edges"])
        for name in names:
            del file[f"edges/{name}/indices"]
    assert set(names) <= {"input_snn", "snn_snn"}
    for name in names:
        libsonata.EdgePopulation.write_indices(
            str(again), name, inputs if name == "input_snn" else neurons, neurons
        )
    with h5py.File(str(path), "r") as own_file, h5py.File(str(again), "r") as theirs:
        for population in names:
            indices = theirs[f"edges/{population}/indices"]
            assert set(indices) == {"source_to_target", "target_to_source"}
            for kind, index in indices.items():
                for name, values in index.items():
                    assert (
                        own_file[f"edges/{population}/indices/{kind}/{name}"][
                            ()
                        ].tolist()
                        == values[()].tolist()
                    ), (
                        population,
                        kind,
                        name,
                    )
