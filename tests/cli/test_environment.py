"""Environment variables in place of options, and the run as first argument and as `--run-dir`.

The variables of docs/cli.md are taken; one that names no option is refused.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from snnb.cli.main import main
from tests.end_to_end.conftest import RECORDED

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
# For each command its options, each with the name of the variable if the page states it
OF_COMMAND = {
    section.split("\n", 1)[0]: re.findall(
        r"^- .*?`--([a-z-]+)`(?:.*Variable: `(\w+)`)?", section, re.MULTILINE
    )
    for section in PAGE.split("\n## snnb ")[1:]
}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("SNNB_STATUS_JSN", "did you mean SNNB_STATUS_JSON?"),
        ("SNNB_STATUS_9", "docs/cli.md lists"),
    ],
)
def test_a_variable_that_is_no_option_is_refused(monkeypatch, capsys, name, near):
    monkeypatch.setenv(name, "1")
    assert main(["status", "nowhere"]) == 2
    out, errors = capsys.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert f"{name} is not an option of status; {near}" in errors
    assert main(["status", "--help"]) == 0


def test_variables_of_other_commands_and_programs_are_left_alone(monkeypatch, capsys):
    for name in ("SNNB_STATUS_JSN", "SNNB_MODELSHOP", "SNNB_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SNNB_MODELS_JSON", "1")
    assert main(["models"]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", OF_COMMAND)
def test_every_variable_of_the_page_is_known(monkeypatch, capsys, command):
    """Whatever is said of its value: it is not said that there is no such option."""
    for option, stated_text in [*OF_COMMAND[command], ("json", "")]:
        monkeypatch.setenv(
            stated_text or f"SNNB_{command}_{option}".upper().replace("-", "_"), ""
        )
    main([command])
    assert "is not an option of" not in capsys.readouterr().err


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
