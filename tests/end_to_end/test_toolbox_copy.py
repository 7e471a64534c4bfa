"""A simulation's directory holds what the toolbox's own command line needs: all samples, with the spikes logged."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snnb import Run
from snnb.stages.open_run import open_run

POISSON = {
    "engine": "event",
    "seed": 7,
    "initial_potential": 0.25,
    "input": "poisson",
    "warm_up": 1,
    "first": 3,
}
STATED = {
    "seed": "7",
    "output": "softmax",
    "initial_potential": "0.25",
    "warm_up": "1",
    "first": "3",
}
CALIBRATED = {
    "engine": "tensorflow",
    "output": "spikes",
    "seed": "0",
    "calibrate": "8",
    "firing": "separated",
}
CASES = [
    (
        {},
        POISSON,
        STATED,
        {"calibrate", "firing", "weight_bits", "time_step", "batch_size"},
    ),
    (
        {"calibrate": 8},
        {"engine": "tensorflow"},
        CALIBRATED,
        {"initial_potential"},
    ),  # the network has its own
    (
        {},
        {"engine": "toolbox", "record_spikes": 0, "batch_size": 4},
        {"engine": "toolbox", "batch_size": "4"},
        set(),
    ),
]


@pytest.mark.toolbox
@pytest.mark.parametrize(
    ("conversion_options", "simulation_options", "own_settings", "absent"), CASES
)
def test_the_full_configuration_states_what_ran_and_the_toolbox_loads_it(
    run, monkeypatch, conversion_options, simulation_options, own_settings, absent
):
    from snntoolbox.bin.utils import update_setup

    face = Run(path=run.path)
    if conversion_options:
        face.parse(**conversion_options)
    made_result = face.simulate(
        samples=5, duration=conversion_options.get("calibrate", 4), **simulation_options
    )
    monkeypatch.chdir(made_result.directory)
    loaded_config = update_setup(str(made_result.directory / ".config"))
    section = dict(loaded_config["snnb"])
    assert own_settings.items() <= section.items()
    assert not absent & set(section)
    assert section["parser"] == open_run(run.path).record_of("parse").details.parser
    with_first = 5 + simulation_options.get("first", 0)  # as the toolbox counts
    assert loaded_config.getint("simulation", "num_to_test") == with_first
    assert 5 % loaded_config.getint("simulation", "batch_size") == 0
    assert loaded_config.getboolean("input", "poisson_input") == (
        simulation_options.get("input") == "poisson"
    )
    assert "[snnb]" not in (made_result.directory / "config").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("first_sample", "samples"), [(0, 60), (7, 53)])
def test_the_toolbox_counts_the_same_spikes_of_all_samples(run, first_sample, samples):
    """60 samples at 50 a time: the toolbox itself would leave out the last ten."""
    made_result = Run(path=run.path).simulate(
        samples=samples,
        first=first_sample,
        duration=30,
        batch_size=50,
        engine="tensorflow",
    )
    assert made_result.record.params.batch_size == 50
    copy = Path(
        shutil.copytree(made_result.directory, made_result.directory.parent / "copy")
    )
    config = configparser.ConfigParser()
    config.read(copy / "config")
    batch = int(
        config["simulation"].get("batch_size", "1")
    )  # `config` leaves out the defaults of the toolbox
    assert (batch, samples % batch) == (30 if first_sample == 0 else 1, 0)
    config["output"] = {"log_vars": "{'spiketrains_n_b_l_t'}"}
    with (copy / "config").open("w") as file:
        config.write(file)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("snntoolbox")), "config", "-t"],
        cwd=copy,
        env={**os.environ, "MPLBACKEND": "agg"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    logged_paths = sorted((copy / "log" / "gui" / "test" / "log_vars").glob("*.npz"))
    assert len(logged_paths) == samples / batch
    counts = {}
    for path in logged_paths:
        with np.load(
            path, allow_pickle=True
        ) as found_arrays:  # what the toolbox has written a moment ago
            for trains, name in found_arrays["spiketrains_n_b_l_t"]:
                counts[name] = counts.get(name, 0) + np.count_nonzero(
                    trains, axis=-1
                ).sum(axis=0)
    with np.load(made_result.directory / "spike_rate_sums.npz") as ours:
        compared_names = [name for name in counts if name in ours.files]
        assert len(compared_names) >= 3
        for name in compared_names[:-1]:  # the last one's spikes are drawn at random
            np.testing.assert_array_equal(counts[name], ours[name], err_msg=name)
            assert ours[name].sum() > 0
