"""Simulations of a run that begin in the middle of the test set."""

import numpy as np
import pytest

from snnb import Run, read_spikes
from snnb.core.errors import InputError
from snnb.results.crosscheck import crosscheck
from snnb.stages.open_run import open_run
from snnb.stages.simulate import resolve


def test_the_first_sample_is_inherited_and_bounds_the_samples(run):
    face = Run(path=run.path)
    face.simulate(samples=5, first=350, duration=10)
    opened = open_run(run.path)
    assert resolve(opened, {"samples": 10}).first == 350  # inherited, as every option
    assert resolve(opened, {"first": 357}).samples == 3  # of the 5 that were recorded


def test_recorded_spikes_are_those_of_the_pictures_from_there_on(run):
    """Another simulator is shown the same pictures."""
    face = Run(path=run.path)
    made = face.simulate(samples=3, first=100, record_spikes=2, duration=20, engine="tensorflow")
    assert set(np.concatenate([rows[:, 0] for rows in read_spikes(made.directory).values()])) == {100, 101}
    with pytest.raises(InputError, match="holds the samples 100 to 101"):
        read_spikes(made.directory, sample=102)
    with pytest.raises(InputError, match="record_spikes=K"):
        read_spikes(made.directory.parent)
    face.graph()
    checked = crosscheck(open_run(run.path), "scipy")
    assert (checked.samples, [p.differing for p in checked.populations]) == (2, [0, 0, 0])
    assert all(p.spikes for p in checked.populations)
    assert crosscheck(open_run(run.path), "scipy", samples=3).samples == 3
    spikes = face.export("spinemap", run.path.parent / "net").path / "spike_info.txt"
    steps = [int(word) for line in spikes.read_text().splitlines() for word in line.split()[1:]]
    assert 20 <= max(steps) < 40  # the second recorded sample begins at step 20
