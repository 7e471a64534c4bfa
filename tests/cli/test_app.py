"""The command line as a person meets it: real processes, exit codes, one line on stderr."""

import json
import shutil
import subprocess
import sys

import pytest

from snnb.cli.main import commands
from tests.end_to_end.conftest import RECORDED

FORBID = """
import sys
FORBIDDEN = ("tensorflow", "snntoolbox")
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ImportError(name + " is forbidden here")
sys.meta_path.insert(0, Forbidden())
from snnb.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

STAGES = ("prepare", "train", "parse", "simulate", "graph", "run")


def snnb(*arguments, cwd=None, code="from snnb.cli.app import app; app()"):
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["models"], ["datasets"], ["--version"]])
def test_what_needs_no_tensorflow_starts_without_it(arguments):
    result = snnb(*arguments, code=FORBID)
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_waits_for_no_large_library(arguments):
    large = ("numpy", "scipy", "h5py", "numba", "matplotlib", "jinja2", "onnx", "networkx", "tensorflow", "snntoolbox")
    result = snnb(*arguments, code=FORBID.replace('("tensorflow", "snntoolbox")', repr(large)))
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_models_lists_what_the_specs_say():
    found = {m["name"]: m for m in json.loads(snnb("models", "--json").stdout)}
    assert found["lenet_mnist"]["synapses"] == 286_120
    assert found["lenet_mnist"]["neurons"] == 5_814
    assert len(found) == 27


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--model", "lenet_minst"], 2, "did you mean lenet_mnist"),
        (["train", "--modle", "lenet_mnist"], 2, "--modle"),
        (["train", "--model", "mini_network", "--epochs", "-1"], 2, "--epochs"),
        (["train", "--model", "mini_network", "--optimizer", "eve", "--quiet"], 2, "eve"),
        (["simulate"], 2, "--model"),
        (["status", "nowhere"], 3, "no run directory"),
        (["verify", "nowhere"], 3, "no run directory"),
        (["export", "nowhere", "--format", "csv"], 3, "no run directory"),
        (["prepare", "--model", "lenet_mnist", "--source", "nowhere", "--quiet"], 3, "nowhere"),
        *(([stage, "--model", "lenet_mnist", "--source", "nowhere", "--quiet"], 3, "nowhere") for stage in STAGES),
        (["status", ""], 2, "is empty"),
        (["train", "--model", "mini_network", "--run-dir", ""], 2, "is empty"),
        (["train", "--model", "mini_network", "--seed", "4294967296", "--quiet"], 2, "--seed"),
        (["run", "--model", "mini_network", "--duration", "99999999999", "--quiet"], 2, "--duration"),
        (["train", "--model", "mini_network", "--no-upstream", "--quiet"], 4, "prepare has to run"),
    ],
)
def test_bad_input_ends_in_one_line_and_the_exit_code_of_the_contract(tmp_path, arguments, code, message):
    result = snnb(*arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.parametrize("stage", ["train", "parse", "simulate"])
def test_without_an_extra_a_stage_that_needs_one_names_it(tmp_path, stage):
    run = shutil.copytree(RECORDED, tmp_path / "run")
    missing = FORBID.replace("ImportError(name", "ModuleNotFoundError(name=name.split('.')[0], *[name").replace(
        'here")', 'here"])'
    )
    result = snnb(stage, "--run-dir", run, "--force", "--quiet", code=missing)
    assert result.returncode == 3, result.stderr
    assert "pip install '.[cpu]'" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_error_is_json_too_when_json_is_asked_for(tmp_path):
    result = snnb("status", "nowhere", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["exit_code"] == result.returncode == 3


def test_a_bug_shows_its_traceback_only_when_asked(tmp_path):
    broken = "from snnb.pipeline import open_run; open_run.identify_model = lambda *_: 1 / 0; "
    code = f"{broken}from snnb.cli.app import app; app()"
    plain = snnb("train", "--model", "mini_network", cwd=tmp_path, code=code)
    verbose = snnb("train", "--model", "mini_network", "--verbose", cwd=tmp_path, code=code)
    assert plain.returncode == verbose.returncode == 1
    assert "Traceback" not in plain.stderr
    assert "ZeroDivisionError" in plain.stderr
    assert "Traceback" in verbose.stderr


def test_every_command_has_help():
    assert all(command.callback.__doc__ for command in commands.registered_commands)
