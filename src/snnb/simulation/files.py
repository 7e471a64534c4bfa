"""Files of a simulation: spike counts, spike times and the simulated network."""

from pathlib import Path
from typing import Dict, Optional, Union

import numpy as np

from snnb.core.errors import InputError
from snnb.io.hdf5 import writing
from snnb.network.event_samples import EventSamples
from snnb.network.network import Network
from snnb.network.read_network import write_network
from snnb.network.spike_times import SPIKE_TIMES, read_spike_times
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.statistics import Job, Totals

SUMS = "spike_rate_sums.npz"
INI_FORMAT, INI_VERSION = "snnb converted network", 2


def write_counts(path: Path, job: Job, totals: Totals, x: Union[np.ndarray, EventSamples]) -> None:
    """Write `spike_rate_sums.npz`.

    The arrays are the spikes of each population, int64, and `input`, float64: its spikes, or the sum of its currents
    over samples and counted steps. `x` has the samples, images before scaling.
    """
    source, settings = job.network.input, job.settings
    if source.name in totals.counts:
        inputs = totals.counts[source.name].astype(np.float64)
    else:
        inputs = np.zeros(source.shape)
        for number in range(len(x)):
            sample = x[number : number + 1]
            if isinstance(sample, np.ndarray):
                inputs += settings.counted_steps * job.pixels(sample[0]).astype(np.float64)
            else:
                inputs += sample.sums(settings.warm_up, settings.duration)[0]
    np.savez(
        path,
        input=inputs,
        **{p.name: totals.counts[p.name] for p in job.network.populations},
        num_samples=totals.samples,
        num_timesteps=settings.counted_steps,
        warm_up=settings.warm_up,
        dt_ms=job.dt_ms,
    )


def read_spikes(simulation: Union[str, Path], sample: Optional[int] = None) -> Dict[str, np.ndarray]:
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
        By population: rows of sample, neuron (its index in the layer, in C order) and step (from 0, warm-up included),
        sorted by sample, step, neuron.

    Raises
    ------
    InputError
        No spikes were recorded, or not of this sample, or the file is damaged.
    """
    path = Path(simulation) / SPIKE_TIMES
    if not path.exists():
        raise InputError(f"{path}: no such file; simulate with record_spikes=K to have it")
    recorded = read_spike_times(path)
    if sample is None:
        return dict(recorded.spikes)
    if sample not in recorded.samples:
        first, last = recorded.samples.start, recorded.samples.stop - 1
        raise InputError(f"sample {sample}: {path} holds the samples {first} to {last}")
    return {name: spikes[spikes[:, 0] == sample] for name, spikes in recorded.spikes.items()}


def write_ini(network: Network, path: Path, settings: SimulationSettings, dt_ms: float) -> None:
    """Write the simulated network, and the threshold, reset, initial potential and time step of the simulation.

    The initial potential is a fraction of the threshold, for populations without initial potentials in the network. A
    network from a NIR file defines all three.
    """
    with writing(path) as file:
        file.attrs.update(format=INI_FORMAT, version=INI_VERSION, dt_ms=dt_ms)
        if not network.trained_spiking:
            file.attrs.update(settings.model_dump(include={"threshold", "reset", "initial_potential"}))
        write_network(network, file)
