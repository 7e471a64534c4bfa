"""The toolbox itself is the reader."""

import sys
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.toolbox_config import (
    configuration,
    defaults,
    require_toolbox,
    write_all,
    write_changes,
)
from snnb.core.errors import InputError
from snnb.simulation.settings import SimulationSettings, refuse_unsuitable


def _in_the_toolbox(path, dataset_path, monkeypatch):
    """The parameters as the toolbox has them after loading a file, started in the file's directory."""
    from snntoolbox.bin.utils import update_setup

    for name in ("x_norm", "x_test", "y_test"):
        np.savez(dataset_path / f"{name}.npz", np.zeros(1, np.float32))
    monkeypatch.chdir(path.parent)
    return update_setup(str(path))


FLOAT = {"is_integer": False, "is_calibrated": False}
FLOAT.update(has_windows=False, is_pruned=False)


@pytest.mark.toolbox
@pytest.mark.parametrize("write", [write_changes, write_all])
def test_toolbox_loads_what_was_set(write, tmp_path, monkeypatch):
    simulation = tmp_path / "simulations" / "stamp"
    simulation.mkdir(parents=True)
    (tmp_path / "dataset").mkdir()
    (simulation / "net.h5").touch()
    converted_settings = ConversionSettings(
        percentile=99.95, max_pool="average", batch_size=3
    )
    simulated_settings = SimulationSettings(
        samples=70,
        duration=35,
        batch_size=7,
        threshold=1.25,
        reset="zero",
        input="poisson",
        input_rate=800,
    )
    write(
        configuration("net", [converted_settings, simulated_settings]),
        simulation / "config",
    )
    loaded_config = _in_the_toolbox(
        simulation / "config", tmp_path / "dataset", monkeypatch
    )
    assert loaded_config.getint("simulation", "num_to_test") == 70
    assert loaded_config.getint("simulation", "duration") == 35
    assert loaded_config.getint("simulation", "batch_size") == 7
    assert loaded_config.getfloat("cell", "v_thresh") == 1.25
    assert loaded_config.get("cell", "reset") == "Reset to zero"
    assert loaded_config.getboolean("input", "poisson_input")
    assert loaded_config.getint("input", "input_rate") == 800
    assert loaded_config.getfloat("normalization", "percentile") == 99.95
    assert loaded_config.getboolean("conversion", "max2avg_pool")
    assert not loaded_config.getboolean("tools", "parse")
    assert loaded_config.get("paths", "filename_parsed_model") == "net_parsed"
    assert Path(loaded_config.get("paths", "path_wd")) == simulation
    assert Path(loaded_config.get("paths", "dataset_path")) == tmp_path / "dataset"


def test_config_holds_only_what_differs_and_full_config_everything(tmp_path):
    parameters = configuration(
        "net", [SimulationSettings(samples=2, duration=200, batch_size=1)]
    )
    write_changes(parameters, tmp_path / "config")
    write_all(parameters, tmp_path / ".config")
    few = (tmp_path / "config").read_text()
    assert "num_to_test = 2" in few
    assert "duration" not in few  # 200 is the toolbox's default
    assert "v_thresh" not in few
    full = (tmp_path / ".config").read_text()
    assert all(f"[{section}]" in full for section in defaults().sections())
    for text in (few, full):
        assert str(tmp_path) not in text
        assert "path_wd = /" not in text


@pytest.mark.toolbox
def test_the_defaults_are_those_of_the_installed_toolbox(tmp_path):
    import snntoolbox

    theirs = ConfigParser()
    theirs.optionxform = str
    theirs.read_string(
        Path(snntoolbox.__file__).with_name("config_defaults").read_text()
    )
    write_all(theirs, tmp_path / "theirs")
    write_all(defaults(), tmp_path / "ours")
    assert (tmp_path / "ours").read_text() == (tmp_path / "theirs").read_text()


def test_without_the_toolbox_its_options_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "snntoolbox", None)
    advice = r"needs snntoolbox 0\.5.* image snnb or Python 3\.8"
    with pytest.raises(InputError, match=f"--engine toolbox {advice}"):
        refuse_unsuitable(SimulationSettings(engine="toolbox"), **FLOAT)
    with pytest.raises(InputError, match=f"--parser toolbox {advice}"):
        require_toolbox("--parser toolbox", "--parser own")
