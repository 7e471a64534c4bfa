"""The start of the command without large libraries, and the exit codes of bugs and interruptions."""

import re
import shutil
import subprocess
import sys

import pytest

from snnb.architectures import find
from snnb.cli.main import main
from snnb.stages.all import KINDS
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import RECORDED
from tests.model_files.conftest import DIGITS_NET

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


def snnb(*arguments, program=FORBID, code=0):
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done


def test_commands_that_need_no_tensorflow_run_without_it(tmp_path):
    run = str(shutil.copytree(RECORDED, tmp_path / "run"))
    lines = [
        ["models"], ["datasets"], ["status", run], ["verify", run], ["report", run, "--output", str(tmp_path / "page")],
        ["graph", run, "--force"], ["graph", run, "--weights-only"], ["crosscheck", run, "--with", "scipy"],
        ["map", run, "--hardware", "loihi", "--method", "sequential"], ["doctor"], ["compare", run],
        ["export", run, "--format", "csv"], ["export", run, "--format", "sonata"],
    ]  # fmt: skip
    snnb(
        program=FORBID.replace(
            "main(sys.argv[1:])", f"max(main(line) for line in {lines})"
        )
    )
    assert (tmp_path / "page").exists()


def test_a_trained_network_goes_from_its_file_to_a_chip_without_tensorflow(tmp_path):
    models = {
        "h5": [
            RECORDED / "train" / "mini_network.h5",
            "--dataset",
            "digits",
            "--duration",
            "10",
        ],
        "onnx": [DIGITS_NET, "--dataset", "digits", "--duration", "10"],
        "example": ["digits_example"],
        "nir": ["spiking_digits"],
    }
    lines = []
    for name, model in models.items():
        run = ["--quiet", "--run-dir", tmp_path / name]
        lines.append(
            [str(word) for word in ("run", *run, "--samples", "5", "--model", *model)]
        )
        lines.append(
            [
                str(word)
                for word in (
                    "map",
                    *run,
                    "--hardware",
                    "loihi",
                    "--method",
                    "sequential",
                )
            ]
        )
    snnb(
        program=FORBID.replace(
            "main(sys.argv[1:])", f"max(main(line) for line in {lines})"
        )
    )
    for name in models:
        records = [open_run(tmp_path / name).record_of(kind.name) for kind in KINDS]
        assert len(records) == 6
        assert None not in records
    example, spec = open_run(tmp_path / "example"), find("digits_example")
    assert example.record_of("train").metrics["test_accuracy"] > 0.98
    assert example.record_of("graph").metrics == {
        "neurons": spec.neurons,
        "synapses": spec.synapses,
    }


def test_help_imports_no_large_library():
    large = (
        "numpy",
        "scipy",
        "h5py",
        "numba",
        "matplotlib",
        "jinja2",
        "onnx",
        "networkx",
        "tensorflow",
        "snntoolbox",
    )
    large += ("onnxruntime", "nir", "tf_keras")
    program = FORBID.replace(
        '("tensorflow", "tf_keras", "snntoolbox")',
        repr((*large, "dask", "distributed")),
    )
    lines = [["run", "--help"], ["--version"]]
    assert snnb(
        program=program.replace(
            "main(sys.argv[1:])", f"max(main(line) for line in {lines})"
        )
    ).stdout


@pytest.mark.parametrize(
    ("command", "forbidden"),
    [
        (
            "--help",
            (
                "snnb.stages",
                "snnb.rundir",
                "snnb.results",
                "snnb.mapping",
                "snnb.cli.status",
                "numpy",
            ),
        ),
        (
            "status",
            ("snnb.formats.description", "h5py", "scipy", "numba", "matplotlib"),
        ),
    ],
)
def test_a_command_imports_only_modules_that_it_uses(command, forbidden, tmp_path):
    run = (
        [str(shutil.copytree(RECORDED, tmp_path / "run"))]
        if command == "status"
        else []
    )
    program = FORBID.replace(
        '("tensorflow", "tf_keras", "snntoolbox")', repr(forbidden)
    )
    assert snnb(command, *run, program=program).stdout


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise ModuleNotFoundError('none', name='tensorflow')", "is not installed"),
        (
            "raise ImportError('libcudart.so: cannot open')",
            r"cannot be imported \(.*cannot open",
        ),
        ("import numpy; numpy.no_such", r"cannot be imported \(.*no_such"),
    ],
)
def test_a_stage_names_the_extra_that_it_needs(tmp_path, fault, reason):
    run = shutil.copytree(RECORDED, tmp_path / "run")
    (tmp_path / "tensorflow.py").write_text(fault)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {'; '.join(FORBID.splitlines()[-2:])}"
    (line,) = snnb(
        "train", "--run-dir", run, "--force", "--quiet", program=program, code=3
    ).stderr.splitlines()
    assert re.search(f"train needs tensorflow, which {reason}", line)
    assert "pip install '.[train]'" in line


def test_a_bug_shows_its_traceback_only_when_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("snnb.stages.open_run.identify_model", lambda *_: 1 / 0)
    for verbose in (False, True):
        assert main(["train", "--model", "mini_network", *["--verbose"] * verbose]) == 1
        errors = capsys.readouterr().err
        assert "ZeroDivisionError" in errors
        assert ("Traceback" in errors) == verbose


def test_an_interruption_in_the_process_is_exit_code_130(tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("snnb.stages.open_run.identify_model", interrupt)
    monkeypatch.setattr("snnb.cli.output.current_stage", None)  # as in a new process
    monkeypatch.setattr("snnb.rundir.directory.last_change", None)
    assert main(["train", "--model", "mini_network"]) == 130
    assert capsys.readouterr().err.startswith("snnb: interrupted; the run is unchanged")
