"""Read `NAME_INI.h5` as docs/simulation.md describes it."""

import json

import h5py

from snnb.network.assemble import Entry, assemble


def read_ini(path):
    """Network, threshold, reset and initial potential."""
    with h5py.File(path, "r") as file:
        assert (file.attrs["format"], file.attrs["version"]) == ("snnb converted network", 2)
        entries = []
        for name in json.loads(file.attrs["layers"]):
            group = file[name]
            config, inputs = json.loads(group.attrs["config"]), json.loads(group.attrs["inputs"])
            arrays = {key: dataset[()] for key, dataset in group.items()}
            entries.append(Entry(name, group.attrs["kind"], config, tuple(inputs), arrays))
        dynamics = (file.attrs[key] for key in ("threshold", "reset", "initial_potential"))
        return (assemble(path, entries), *dynamics)
