"""Files of a simulation: spike times and the simulated network."""

from pathlib import Path
from typing import Dict, Optional, Union

import numpy as np

from snnb.core.errors import InputError
from snnb.io.hdf5 import writing
from snnb.network.network import Network
from snnb.network.read_network import write_network
from snnb.network.spike_times import SPIKE_TIMES, read_spike_times
from snnb.simulation.settings import SimulationSettings

INI_FORMAT = "snnb converted network"
INI_VERSION = 2


def read_spikes(
    simulation: Union[str, Path],
    sample: Optional[int] = None,
) -> Dict[str, np.ndarray]:
    """Read `spike_times.npz`, which `simulate` writes with `record_spikes`.

    Parameters
    ----------
    simulation : str or Path
        Directory of a simulation, as in `run.simulate(record_spikes=3).directory`.
    sample : int, optional
        Number of one sample in the test set; by default all that were recorded.

    Returns
    -------
    dict of str to ndarray of int32, shape (spikes, 3)
        By population: rows of sample, neuron (its index in the layer, in C order) and
        step (from 0, warm-up included), sorted by sample, step, neuron.

    Raises
    ------
    InputError
        No spikes were recorded, or not of this sample, or the file is damaged.
    """
    path = Path(simulation) / SPIKE_TIMES
    if not path.exists():
        raise InputError(
            f"{path}: no such file; simulate with record_spikes=K to have it"
        )
    spike_times = read_spike_times(path)
    if sample is None:
        return dict(spike_times.spikes)
    samples = spike_times.samples
    if sample not in samples:
        raise InputError(
            f"sample {sample}: {path} holds the samples {samples.start} to "
            f"{samples.stop - 1}"
        )
    tables: Dict[str, np.ndarray] = {}
    for name, table in spike_times.spikes.items():
        tables[name] = table[table[:, 0] == sample]
    return tables


def write_ini(
    network: Network,
    path: Path,
    settings: SimulationSettings,
    dt_ms: float,
) -> None:
    """Write the simulated network and its parameters in the simulation.

    These are the threshold, the reset, the initial potential and the time step.
    The initial potential is a fraction of the threshold, for populations without
    initial potentials in the network. A network from a NIR file defines all three.
    """
    with writing(path) as file:
        file.attrs.update(format=INI_FORMAT, version=INI_VERSION, dt_ms=dt_ms)
        if not network.trained_spiking:
            names = {"threshold", "reset", "initial_potential"}
            file.attrs.update(settings.model_dump(include=names))
        write_network(network, file)
