"""Write `NAME_INI.h5`: the converted network with all that its dynamics need.

One group per layer, as `snnb.network.assemble.described` lists them; the attribute `layers` states their order. The
attributes of a group are the layer's Keras class (`kind`), and as JSON its configuration (`config`) and the names of
its inputs (`inputs`); its datasets are the arrays (kernel, bias).
"""

import json
from pathlib import Path

import h5py
import numpy as np

from snnb.io.hdf5 import write_array
from snnb.network.assemble import described
from snnb.network.network import Network

FORMAT = "snnb converted network"
VERSION = 2


def write_ini(network: Network, path: Path, *, threshold: float, reset: str, initial_potential: float = 0.0) -> None:
    """Write a network.

    Parameters
    ----------
    network : Network
    path : Path
    threshold : float
    reset : {"subtraction", "zero"}
    initial_potential : float
        As a share of the threshold. These three hold for all its neurons; see `SimulationSettings`.
    """
    entries = described(network)
    with h5py.File(path, "w") as file:
        file.attrs.update(format=FORMAT, version=VERSION, threshold=threshold, reset=reset, dt_ms=1.0)
        file.attrs["initial_potential"] = initial_potential
        file.attrs["layers"] = json.dumps([entry.name for entry in entries])
        for entry in entries:
            group = file.create_group(entry.name)
            group.attrs["kind"] = entry.kind
            group.attrs["config"] = json.dumps(entry.config)
            group.attrs["inputs"] = json.dumps(entry.inputs)
            for name, values in entry.arrays.items():
                write_array(group, name, np.asarray(values))
