"""Parameters and input samples of a simulation, for simulators of its graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Tuple, Union

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Progress, silent
from snnb.io.files import sha256_of
from snnb.io.text import read_document
from snnb.network.event_samples import EventSamples
from snnb.network.spike_times import SPIKE_TIMES
from snnb.rundir.directory import RunDirectory
from snnb.simulation.files import read_spikes
from snnb.stages import prepare, simulate
from snnb.stages.graph import simulation_of
from snnb.stages.stage import recorded, unaltered

if TYPE_CHECKING:
    from snnb.formats.request import Simulated
    from snnb.graph.populations import GraphPopulation

SAMPLES = ("dataset/x_test.npy", "dataset/x_test.h5")


def simulated_by(run: RunDirectory, stamp: str) -> Optional["Simulated"]:
    """Return the properties of a graph's simulation that another simulator needs; None without a simulation."""
    from snnb.formats.request import Simulated
    from snnb.simulation.statistics import ACCURACIES, SimulationStatistics

    simulation = simulation_of(run, stamp)
    record = None if simulation is None else recorded(run, simulate.KIND, simulation)
    if record is None:
        return None
    prepared, params = recorded(run, prepare.KIND), record.params
    rate = None
    if params.input == "poisson":
        statistics = run.path / run.directory_of(simulate.KIND.name, simulation) / ACCURACIES
        rate = params.input_rate / read_document(SimulationStatistics, statistics).dt_ms
    prepared_samples = next((file for file in record.inputs if file.path in SAMPLES), None)
    return Simulated(
        threshold=params.threshold,
        reset=params.reset,
        input=params.input,
        input_rate_hz=rate,
        pixel_scale=None if prepared is None else prepared.details.scale,
        samples_file=None if prepared_samples is None else prepared_samples.path,
        samples_sha256=None if prepared_samples is None else prepared_samples.sha256,
        first_sample=params.first,
        initial_potential=params.initial_potential,
        duration=params.duration,
        recorded_samples=params.record_spikes,
        seed=params.seed,
    )


def simulate_again(run: RunDirectory, stamp: str, samples: int, target: Path, progress: Progress = silent) -> Path:
    """Simulate the first samples of a simulation again with its options; return `spike_times.npz` in `target`."""
    record = recorded(run, simulate.KIND, stamp)
    assert record is not None
    if record.details.engine == "toolbox":
        raise UsageError(
            f"--samples {samples}: the engine toolbox does not record spikes of single samples; compare all "
            f"{record.params.samples} samples, or simulate with another engine and --record-spikes {samples}"
        )
    alone = {"samples": samples, "record_spikes": samples, "workers": 1, "scheduler": None}
    settings = record.params.changed(**alone)
    simulate.simulate_samples(
        run, unaltered(run, simulate.parsed_file(run, stamp)), target, settings, progress=progress
    )
    return target / SPIKE_TIMES


@dataclass(frozen=True)
class StepInputs:
    """Inputs that change from step to step. A slice reads some samples: float64 (samples, inputs, steps)."""

    samples: EventSamples
    steps: int

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, part: slice) -> np.ndarray:
        frames = self.samples[part].frames(0, self.steps)
        return frames.reshape(*frames.shape[:2], -1).swapaxes(1, 2).astype(np.float64)


def inputs_of(
    run: RunDirectory, spike_times: Path, simulated: "Simulated", population: "GraphPopulation", shape: Tuple[int, int]
) -> Union[np.ndarray, StepInputs]:
    """Return the input of the first samples of a simulation, given the numbers of samples and time steps as `shape`.

    A constant input is float64 of float32, shape (samples, inputs). Poisson spikes, which are read from `spike_times`,
    are bool, shape (samples, inputs, steps). Numbers of events and currents of each step are read when they are used.
    Raise `InputError` if the samples have changed.
    """
    samples, steps = shape
    path = run.path / (simulated.samples_file or SAMPLES[0])
    if not path.exists() or sha256_of(path) != simulated.samples_sha256 or simulated.pixel_scale is None:
        raise InputError(
            f"{path} is not the file that was simulated; prepare the data set as it was then, or simulate again"
        )
    first = simulated.first_sample
    if simulated.input in ("events", "steps"):
        return StepInputs(EventSamples(path).part(slice(first, first + samples)), steps)
    if simulated.input == "poisson":
        rows = read_spikes(spike_times.parent)[population.name] - [first, 0, 0]
        spikes = np.zeros((samples, population.size, steps), bool)
        spikes[tuple(rows[rows[:, 0] < samples].T)] = True
        return spikes
    values = np.asarray(prepare.dataset_array(run, "x_test")[first : first + samples], np.float32)
    values = values / np.float32(simulated.pixel_scale)
    return values.reshape(samples, -1).astype(np.float64)
