"""Read traces of SANA-FE, from which spikes are counted.

A trace is text with a line `GROUP.NEURON,STEP` for each spike, after the line
`neuron,timestep`. Neurons count from 0 in each group, steps from 1.
"""

from array import array
from dataclasses import replace
from pathlib import Path
from typing import Mapping, NamedTuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.core.options import MOST
from snnb.formats.rates import MOST_DIGITS, Rates, refuse_numbers
from snnb.graph.listed import ListedGraph
from snnb.network.spike_counts import Recording

HEADER = b"neuron,timestep"
NOT_LOGGED = "neurons whose spikes SANA-FE has not logged (log_spikes) count as silent"


class _Spike(NamedTuple):
    """A spike of a trace."""

    node: int  # id in the graph
    step: int  # from 1


def is_trace(path: Path) -> bool:
    """Whether a file begins as a trace of spikes."""
    with path.open("rb") as file:
        return file.readline(100).strip() == HEADER


def read_trace(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Count the spikes of a trace.

    Without a number of steps in `recording`, the last spike is in the last step. The
    times of the spikes are kept if they are of one sample.
    """
    refuse_numbers(path, graph)
    ranges = graph.ids_by_population
    nodes = array("q")
    steps = array("q")
    with path.open(encoding="utf-8", errors="replace") as file:
        next(file)
        for line, text in enumerate(file, 2):
            spike = _parse(path, line, text, ranges)
            if recording.steps > 1 and spike.step > recording.steps:
                raise DamagedError(
                    path,
                    f"line {line}: a spike in step {spike.step} of {recording.steps:,}",
                )
            nodes.append(spike.node)
            steps.append(spike.step - 1)
    notes = [NOT_LOGGED]
    if recording.steps == 1:
        last_step = max(steps, default=-1) + 1
        recording = replace(recording, num_timesteps=max(last_step, 1))
        notes.append(
            f"{last_step:,} time steps are assumed, up to the last spike of the trace",
        )
    times = np.array([nodes, steps], np.int64)
    if (np.diff(times[1]) < 0).any():
        times = times[:, np.argsort(times[1], kind="stable")]
    spikes = np.bincount(times[0], minlength=graph.nodes)
    has_one_sample = recording.num_samples == 1
    return Rates(spikes, recording, tuple(notes), times if has_one_sample else None)


def _parse(path: Path, line: int, text: str, ranges: Mapping[str, range]) -> _Spike:
    """Return the spike of a line; `ranges` are the ids of the neurons of each group."""
    neuron, _, step = text.strip().rpartition(",")
    group, _, number = neuron.rpartition(".")
    are_numbers = step.isdecimal() and number.isdecimal()
    digits = max(len(step), len(number))
    if not are_numbers or digits > MOST_DIGITS or not int(step):
        raise DamagedError(
            path,
            f"line {line}: {text[:40].strip()!r} is not a spike, GROUP.NEURON,STEP",
        )
    ids = ranges.get(group, range(0))
    if int(number) >= len(ids):
        raise DamagedError(
            path,
            f"line {line}: the graph has no neuron {neuron[:40]!r}",
        )
    if int(step) > MOST:
        raise DamagedError(
            path,
            f"line {line}: step {step}, and a trace has at most {MOST:,} steps",
        )
    return _Spike(ids[int(number)], int(step))
