"""The start of the command without large libraries, and the exit codes of bugs and interruptions."""

import re
import shutil
import subprocess
import sys

import pytest

from snnb.cli.main import main
from snnb.stages.all import KINDS
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import RECORDED
from tests.model_files.conftest import RECORDED as MODEL_FILES

FORBID = """
import sys
FORBIDDEN = ("tensorflow", "tf_keras", "snntoolbox")
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name in FORBIDDEN or name.split(".")[0] in FORBIDDEN:
            raise ImportError(name + " is forbidden here")
sys.meta_path.insert(0, Forbidden())
from snnb.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def snnb(*arguments, code=FORBID):
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)


def test_commands_that_need_no_tensorflow_run_without_it(tmp_path):
    run = str(shutil.copytree(RECORDED, tmp_path / "run"))
    lines = [
        ["models"], ["datasets"], ["status", run], ["verify", run], ["report", run, "--output", str(tmp_path / "page")],
        ["graph", run, "--force"], ["graph", run, "--weights-only"], ["crosscheck", run, "--with", "scipy"],
        ["map", run, "--hardware", "loihi", "--method", "sequential"], ["doctor"], ["compare", run],
        ["export", run, "--format", "csv"], ["export", run, "--format", "sonata"],
    ]  # fmt: skip
    each = FORBID.replace("sys.exit(main(sys.argv[1:]))", f"sys.exit(max(main(line) for line in {lines}))")
    result = snnb(code=each)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "page").exists()


def test_a_trained_network_goes_from_its_file_to_a_chip_without_tensorflow(tmp_path):
    models = {
        "h5": [RECORDED / "train" / "mini_network.h5", "--dataset", "digits", "--duration", "10"],
        "onnx": [MODEL_FILES / "digits_net.onnx", "--dataset", "digits", "--duration", "10"],
        "nir": ["spiking_digits"],
    }
    lines = []
    for name, model in models.items():
        run = ["--quiet", "--run-dir", tmp_path / name]
        lines.append([str(word) for word in ("run", *run, "--samples", "5", "--model", *model)])
        lines.append([str(word) for word in ("map", *run, "--hardware", "loihi", "--method", "sequential")])
    result = snnb(code=FORBID.replace("main(sys.argv[1:])", f"max(main(line) for line in {lines})"))
    assert result.returncode == 0, result.stderr
    for name in models:
        records = [open_run(tmp_path / name).record_of(kind.name) for kind in KINDS]
        assert len(records) == 6
        assert None not in records


def test_help_imports_no_large_library():
    large = ("numpy", "scipy", "h5py", "numba", "matplotlib", "jinja2", "onnx", "networkx", "tensorflow", "snntoolbox")
    large += ("onnxruntime", "nir", "tf_keras")
    code = FORBID.replace('("tensorflow", "tf_keras", "snntoolbox")', repr((*large, "dask", "distributed")))
    lines = [["run", "--help"], ["--version"]]
    result = snnb(code=code.replace("main(sys.argv[1:])", f"max(main(line) for line in {lines})"))
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize(
    ("command", "forbidden"),
    [
        ("--help", ("snnb.stages", "snnb.rundir", "snnb.results", "snnb.mapping", "snnb.cli.status", "numpy")),
        ("status", ("snnb.formats.description", "h5py", "scipy", "numba", "matplotlib")),
    ],
)
def test_a_command_imports_only_modules_that_it_uses(command, forbidden, tmp_path):
    run = [str(shutil.copytree(RECORDED, tmp_path / "run"))] if command == "status" else []
    result = snnb(command, *run, code=FORBID.replace('("tensorflow", "tf_keras", "snntoolbox")', repr(forbidden)))
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_a_stage_names_the_extra_that_it_needs(tmp_path):
    run = shutil.copytree(RECORDED, tmp_path / "run")
    missing = FORBID.replace("ImportError(name", "ModuleNotFoundError(name=name.split('.')[0], *[name").replace(
        'here")', 'here"])'
    )
    result = snnb("train", "--run-dir", run, "--force", "--quiet", code=missing)
    assert result.returncode == 3, result.stderr
    assert "train needs tensorflow, which is not installed; pip install '.[train]'" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("fault", ["raise ImportError('libcudart.so: cannot open')", "import numpy; numpy.no_such"])
def test_a_tensorflow_that_cannot_be_imported_is_named_with_what_to_install(tmp_path, fault):
    run = shutil.copytree(RECORDED, tmp_path / "run")
    (tmp_path / "tensorflow.py").write_text(fault)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {FORBID.splitlines()[-2]}; {FORBID.splitlines()[-1]}"
    result = snnb("train", "--run-dir", run, "--force", "--quiet", code=code)
    assert result.returncode == 3, result.stderr
    assert re.search(r"train needs tensorflow, which cannot be imported \(.*(cannot open|no_such)", result.stderr)
    assert "pip install '.[" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_bug_shows_its_traceback_only_when_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("snnb.stages.model.identify_model", lambda *_: 1 / 0)
    for verbose in (False, True):
        assert main(["train", "--model", "mini_network", *["--verbose"] * verbose]) == 1
        errors = capsys.readouterr().err
        assert "ZeroDivisionError" in errors
        assert ("Traceback" in errors) == verbose


def test_an_interruption_in_the_process_is_exit_code_130(tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("snnb.stages.model.identify_model", interrupt)
    monkeypatch.setattr("snnb.cli.output.at_work", None)  # as in a new process
    assert main(["train", "--model", "mini_network"]) == 130
    assert capsys.readouterr().err.startswith("snnb: interrupted; the run is unchanged")
