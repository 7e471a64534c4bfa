"""The run as first argument and as `--run-dir`."""

import json
import shutil

import pytest

from snnb.cli.main import main
from tests.end_to_end.conftest import RECORDED


@pytest.fixture
def path(tmp_path):
    return str(shutil.copytree(RECORDED, tmp_path / "run"))


@pytest.mark.parametrize("command", ["status", "verify", "parse"])
def test_the_run_is_the_first_argument_or_an_option(path, command, capsys):
    for words in ([path], ["--run-dir", path], [path, "--run-dir", f"{path}/"]):
        assert main([command, *words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["run_dir"].startswith(path)


def test_an_argument_wins_over_the_environment(path, capsys, monkeypatch):
    monkeypatch.setenv("SNNB_STATUS_RUN_DIR", "elsewhere")
    assert main(["status", path]) == 0
    assert main(["status"]) == 3
    monkeypatch.delenv("SNNB_STATUS_RUN_DIR")
    assert main(["status"]) == 2
    assert "give the directory of a run" in capsys.readouterr().err
    monkeypatch.setenv("SNNB_STATUS_RUN", path)  # an argument has no variable
    assert main(["status", path]) == 2
