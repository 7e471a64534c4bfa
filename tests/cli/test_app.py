"""Exit codes, one line on stderr, and the start of the command without large libraries."""

import json
import shutil
import subprocess
import sys

import pytest

from snnb.cli.main import main
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


def snnb(*arguments, code=FORBID):
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)


def test_commands_that_need_no_tensorflow_run_without_it(tmp_path):
    run = str(shutil.copytree(RECORDED, tmp_path / "run"))
    lines = [
        ["models"], ["datasets"], ["status", run], ["verify", run], ["report", run, "--output", str(tmp_path / "page")],
        ["graph", run, "--weights-only"], ["map", run, "--hardware", "loihi", "--method", "sequential"],
        ["export", run, "--format", "csv"], ["compare", run],
    ]  # fmt: skip
    each = FORBID.replace("sys.exit(main(sys.argv[1:]))", f"sys.exit(max(main(line) for line in {lines}))")
    result = snnb(code=each)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "page").exists()


@pytest.mark.parametrize("arguments", [["run", "--help"], ["--version"], ["datasets"]])
def test_help_and_the_list_of_data_sets_import_no_large_library(arguments):
    large = ("numpy", "scipy", "h5py", "numba", "matplotlib", "jinja2", "onnx", "networkx", "tensorflow", "snntoolbox")
    large += ("dask", "distributed")
    result = snnb(*arguments, code=FORBID.replace('("tensorflow", "snntoolbox")', repr(large)))
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_models_lists_their_sizes(capsys):
    assert main(["models", "--json"]) == 0
    found = {m["name"]: m for m in json.loads(capsys.readouterr().out)}
    assert found["lenet_mnist"]["synapses"] == 286_120
    assert found["lenet_mnist"]["neurons"] == 5_814
    assert len(found) == 27


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--model", "lenet_minst"], 2, "did you mean lenet_mnist"),
        (["train", "--modle", "lenet_mnist"], 2, "--modle"),
        (["rum"], 2, "No such command 'rum'. Did you mean 'run'? (`snnb"),
        (["prepare", "--model", "mini_network", "--run-dir", __file__], 3, "exists already; move it away"),
        (["prepare", "--model", "mini_network", "--run-dir", "/proc/x"], 3, "nor can it be made; check the path"),
        (["train", "--model", "mini_network", "--epochs", "-1"], 2, "--epochs"),
        (["train", "--model", "mini_network", "--optimizer", "eve", "--quiet"], 2, "eve"),
        (["simulate"], 2, "--model"),
        (["status", "nowhere"], 3, "nowhere is not a run"),
        (["export", "nowhere", "--format", "csv"], 3, "nowhere is not a run"),
        *(([stage, "--model", "lenet_mnist", "--source", "nowhere", "--quiet"], 3, "nowhere") for stage in STAGES),
        (["status", ""], 2, "is empty"),
        (["train", "--model", "mini_network", "--run-dir", ""], 2, "is empty"),
        (["train", "--model", "mini_network", "--no-upstream", "--quiet"], 4, "prepare has to run"),
    ],
)
def test_bad_input_ends_in_one_line_and_the_exit_code_of_the_contract(
    tmp_path, monkeypatch, capsys, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, errors = capsys.readouterr()
    assert message in errors
    assert len(errors.strip().splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize("stage", ["train", pytest.param("simulate", marks=pytest.mark.slow)])
def test_a_stage_names_the_extra_that_it_needs(tmp_path, stage):
    run = shutil.copytree(RECORDED, tmp_path / "run")
    missing = FORBID.replace("ImportError(name", "ModuleNotFoundError(name=name.split('.')[0], *[name").replace(
        'here")', 'here"])'
    )
    result = snnb(stage, "--run-dir", run, "--force", "--quiet", code=missing)
    assert result.returncode == 3, result.stderr
    extra = "cpu" if sys.version_info < (3, 9) else "tensorflow"
    assert f"pip install '.[{extra}]'" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_bug_shows_its_traceback_only_when_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("snnb.pipeline.open_run.identify_model", lambda *_: 1 / 0)
    for verbose in (False, True):
        assert main(["train", "--model", "mini_network", *["--verbose"] * verbose]) == 1
        errors = capsys.readouterr().err
        assert "ZeroDivisionError" in errors
        assert ("Traceback" in errors) == verbose


def test_an_interruption_in_the_process_is_exit_code_130(tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("snnb.pipeline.open_run.identify_model", interrupt)
    assert main(["train", "--model", "mini_network"]) == 130
    assert capsys.readouterr().err.startswith("snnb: interrupted; the run is as it was")
