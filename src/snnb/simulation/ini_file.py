"""Write `NAME_INI.h5`: the simulated network, and the threshold, reset and initial potential of the simulation."""

from pathlib import Path

import h5py

from snnb.network.network import Network
from snnb.network.stored_network import write_network

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
        As a share of the threshold, for populations that have none of their own. See `SimulationSettings`.
    """
    with h5py.File(path, "w") as file:
        file.attrs.update(format=FORMAT, version=VERSION, threshold=threshold, reset=reset, dt_ms=1.0)
        file.attrs["initial_potential"] = initial_potential
        write_network(network, file)
