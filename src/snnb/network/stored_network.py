"""Store a network in a group of an HDF5 file: all that its dynamics need.

The group has a subgroup for each layer that `snnb.network.assemble.described` lists; its attribute `layers` states
their order, its attribute `steps` the number of time steps that a network is calibrated for, `weight_bits` and `pixel`
the bits of the weights and the integer value of a pixel of 1 in an integer network, `zeros` the meaning of a weight of
0 in a pruned one. The attributes of a subgroup are the Keras class of the layer (`kind`), and as JSON its configuration
(`config`) and the names of its inputs (`inputs`); its datasets are the arrays (kernel, bias, initial_potential,
threshold).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import h5py
import numpy as np

from snnb.io.hdf5 import RAISED_BY_HDF5, damaged, write_array
from snnb.network.assemble import Entry, assemble, described
from snnb.network.network import Network

ATTRIBUTES = ("steps", "weight_bits", "pixel", "zeros")


def write_network(network: Network, group: h5py.Group) -> None:
    """Write a network into an empty group.

    Parameters
    ----------
    network : Network
    group : h5py.Group
    """
    entries = described(network)
    group.attrs["layers"] = json.dumps([entry.name for entry in entries])
    for name in ATTRIBUTES:
        if getattr(network, name) is not None:
            group.attrs[name] = getattr(network, name)
    for entry in entries:
        layer = group.create_group(entry.name)
        layer.attrs["kind"] = entry.kind
        layer.attrs["config"] = json.dumps(entry.config)
        layer.attrs["inputs"] = json.dumps(entry.inputs)
        for name, values in entry.arrays.items():
            write_array(layer, name, np.asarray(values))


def _plain(value: object) -> object:
    return value if isinstance(value, str) else int(value)  # type: ignore[call-overload]


def read_stored_network(group: h5py.Group) -> Network:
    """Read a network, its weights into memory.

    Parameters
    ----------
    group : h5py.Group
        As `write_network` writes it.

    Raises
    ------
    InputError
        The group does not hold a network.
    """
    path = Path(group.file.filename)
    try:
        entries = []
        for name in json.loads(group.attrs["layers"]):
            layer = group[name]
            config, inputs = json.loads(layer.attrs["config"]), json.loads(layer.attrs["inputs"])
            arrays = {key: dataset[()] for key, dataset in layer.items()}
            entries.append(Entry(name, layer.attrs["kind"], config, tuple(inputs), arrays))
        attributes: Dict[str, Any] = {name: _plain(group.attrs[name]) for name in ATTRIBUTES if name in group.attrs}
    except RAISED_BY_HDF5 as error:
        raise damaged(path, error) from error
    return replace(assemble(path, entries), **attributes)
