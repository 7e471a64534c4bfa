"""What reaches a terminal, a file, a closed stream, in any encoding; signals end the process and its children."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from snnb.cli.main import main
from snnb.io.text import printable
from tests.end_to_end.conftest import RECORDED, SNNB


def shell(line, code, **environment):
    """Run a line that ends with an exit code; return what it prints on stderr."""
    command = ["bash", "-c", line, "bash", *SNNB]
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, **environment}
    )
    assert done.returncode == code, done.stderr
    return done.stderr.decode("ascii")


def test_everything_can_be_printed_in_any_encoding():
    errors = shell('"$@" train --model ünknown→', 2, PYTHONIOENCODING="ascii")
    assert "Traceback" not in errors
    assert "nknown" in errors


def test_a_pipe_that_is_closed_does_no_harm():
    errors = shell(f'"$@" status {RECORDED} | head -1', 0)
    assert "Exception ignored" not in errors
    assert "Traceback" not in errors


def test_a_result_that_a_full_disk_does_not_take_is_an_error():
    errors = shell(f'"$@" status {RECORDED} > /dev/full', 6)
    assert errors.count("\n") == 1
    assert "cannot write to standard output" in errors


def test_a_removal_without_standard_input_asks_for_the_option(tmp_path):
    shutil.copytree(RECORDED, tmp_path / "run")
    (stamp,) = (path.name for path in (tmp_path / "run" / "simulations").iterdir())
    errors = shell(f'"$@" remove {tmp_path}/run {stamp} --with-dependents <&-', 2)
    assert "give --yes to remove without it" in errors


@pytest.mark.parametrize("limit", [6, 7, 8, 9])
def test_too_few_open_files_are_one_line(tmp_path, limit):
    shutil.copytree(RECORDED, tmp_path / "run")
    line = f'ulimit -n {limit}; "$@" verify {tmp_path}/run --quiet || test $? = 3'
    errors = shell(line, 0)
    assert errors.count("\n") <= 1
    assert not errors or "too many open files" in errors


def test_a_limit_on_the_size_of_files_names_the_file(tmp_path):
    shutil.copytree(RECORDED, tmp_path / "run")
    target = tmp_path / "g.csv"
    errors = shell(
        f'ulimit -f 20; "$@" export {tmp_path}/run --format csv --output {target} --quiet',
        3,
    )
    assert f"{target}: the file is larger than the limit of this process" in errors
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


def test_names_reach_the_terminal_without_their_control_characters(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert (
        main(
            [
                "train",
                "--model",
                "evil\x1b[2J\x9b\u202e\r\x07.py:f",
                "--dataset",
                "digits",
            ]
        )
        == 3
    )
    errors = capsys.readouterr().err
    assert not set(errors) & set("\x1b\x9b\u202e\r\x07")
    assert "evil\\x1b[2J" in errors
    assert printable("a\tb\udcff\n") == "a\\tb\\xff\n"


THREADS = """
import _thread, threading
import snnb.cli.main

class Destroyed:
    def __del__(self):
        raise ValueError("in a destructor")

def main():
    ended = threading.Event()

    def work(name):
        try:
            raise ValueError(name)
        finally:
            ended.set()

    thread = threading.Thread(target=work, args=("in a thread",))
    thread.start()
    thread.join()
    ended.clear()
    _thread.start_new_thread(work, ("in a thread of the interpreter",))
    ended.wait()
    while _thread._count():
        pass
    Destroyed()
    {end}

snnb.cli.main.main = main
from snnb.cli.app import app
app()
"""


def test_an_exception_in_a_thread_or_at_the_end_is_shown_and_one_in_a_destructor_is_not():
    for end, messages, code in (
        ("return 0", [], 0),
        ("raise ValueError('at the end')", ["ValueError: at the end"], 1),
    ):
        command = [sys.executable, "-c", THREADS.format(end=end)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        lines = [
            line for line in done.stderr.splitlines() if line.startswith("ValueError: ")
        ]
        expected_lines = [
            "ValueError: in a thread",
            "ValueError: in a thread of the interpreter",
            *messages,
        ]
        assert (lines, done.returncode) == (expected_lines, code), done.stderr


def test_messages_of_tensorflow_while_it_is_imported_are_shown_on_request_only(
    tmp_path,
):
    """As libraries of TensorFlow 2.21 print them, before they read TF_CPP_MIN_LOG_LEVEL."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(
        "import os\nos.write(2, b'I0000 no cuda drivers\\n')\n"
    )
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from snnb.core.tensorflow_process import QuietFinder, set_tensorflow_variables\n"
        "set_tensorflow_variables()\n"
        "sys.meta_path.insert(0, QuietFinder)\n"
        "import tensorflow\nprint('imported', file=sys.stderr)\n"
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "TF_CPP_MIN_LOG_LEVEL"
    }
    for option, is_shown in (
        ({}, "imported\n"),
        ({"TF_CPP_MIN_LOG_LEVEL": "0"}, "I0000 no cuda drivers\nimported\n"),
    ):
        done = subprocess.run(
            [sys.executable, script],
            env={**environment, **option},
            capture_output=True,
            text=True,
        )
        assert done.stderr == is_shown


WORKING = """
import sys
import snnb.cli.main
from snnb.cli import output

def main():
    with output.current.bar("train"):
        work()

{work}

snnb.cli.main.main = main
from snnb.cli.app import app
app()
"""
MT_KAHYPAR = """
import threading, time
import numpy as np
import psutil
from snnb.mapping.partition.mtkahypar import partitions
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.settings import SearchSettings

def report_jobs():
    while len(psutil.Process().children(recursive=True)) < 3:
        time.sleep(0.01)
    print("ready", flush=True)

def work():
    hypergraph = Hypergraph(
        node_weight=np.ones(50_000, np.int64),
        start=np.arange(0, 800_001, 4),
        pin=np.random.default_rng(0).integers(0, 50_000, 800_000).astype(np.int32),
        weight=np.ones(200_000, np.int64),
        capacity=100,
    )
    threading.Thread(target=report_jobs, daemon=True).start()
    list(partitions(hypergraph, [(1000, 0), (1000, 1)], SearchSettings(), print))
"""
IMPORTS = """
import sys, time

class Endless:
    def find_spec(name, *_):
        if name == "pydantic":
            print("ready", flush=True)
            time.sleep(3600)

sys.meta_path.insert(0, Endless)
from snnb.cli.app import app
app()
"""
TENSORFLOW = """
import sys
from pathlib import Path
from snnb.cli.app import app

package = Path(sys.argv[0]).parent / "tensorflow"
package.mkdir()
(package / "__init__.py").write_text("import time; print('ready', flush=True); time.sleep(3600)")
sys.argv[1] = "doctor"
app()
"""


def start(program, folder):
    """A process that has printed "ready"."""
    path = folder / "program.py"  # of compiled functions the source is read
    path.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(path), "models"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


@pytest.mark.parametrize(
    "program", [IMPORTS, TENSORFLOW], ids=["pydantic", "tensorflow"]
)
def test_a_signal_while_modules_are_imported_ends_the_process(tmp_path, program):
    process = start(program, tmp_path)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (
        143,
        "snnb: interrupted; the run is unchanged\n",
    )


@pytest.mark.slow
def test_a_signal_ends_the_process_and_its_children(tmp_path):
    pytest.importorskip("mtkahypar")
    process = start(WORKING.format(work=MT_KAHYPAR), tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # also of its children
    assert process.returncode == 130
    assert errors.splitlines() == [
        "snnb: interrupted; the run is in its state before `train`; the same command continues after the last epoch"
    ]
    _, alive = psutil.wait_procs(children, timeout=60)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    assert alive == []
