"""Every file of a run, damaged in every way, before every command.

Whatever the damage: one of the exit codes of the contract, at most one line on stderr, no traceback; and a command that
succeeds has made the very bytes that it makes of a whole run, so none from damaged ones.
"""

import contextlib
import io
import os
import shutil
from pathlib import Path

import pytest

from snnb import Run
from snnb.cli.main import main
from snnb.stages import train
from snnb.stages.open_run import open_run
from tests.rundir.test_manifest import alter_in_secret

pytestmark = pytest.mark.slow
QUICK = {"limit": 60, "norm_samples": 30}
COMMANDS = {
    "status": ["status", "{run}"],
    "verify": ["verify", "{run}"],
    "prepare": ["prepare", "--run-dir", "{run}"],
    "train": ["train", "--run-dir", "{run}"],
    "train resumed": ["train", "--run-dir", "{run}", "--epochs", "2"],
    "train forced": ["train", "--run-dir", "{run}", "--force"],
    "parse": ["parse", "--run-dir", "{run}", "--force"],
    "simulate": ["simulate", "--run-dir", "{run}"],
    "graph": ["graph", "--run-dir", "{run}"],
    "graph forced": ["graph", "--run-dir", "{run}", "--force"],
    "map": [
        "map",
        "--run-dir",
        "{run}",
        "--hardware",
        "loihi",
        "--method",
        "sequential",
    ],
    "map forced": ["map", "--run-dir", "{run}", "--force"],
    "run": ["run", "--run-dir", "{run}"],
    "report": ["report", "{run}"],
    "compare": ["compare", "{run}"],
    "export": ["export", "{run}", "--format", "csv", "--force"],
}
# What must come out the same whenever a command succeeds; the other outputs hold times.
RESULTS = (
    "mini_network.h5",
    "mini_network_parsed.h5",
    "spike_rate_sums.npz",
    "mini_network_graph.h5",
    "x_train.npy",
)
RESULTS += ("partition.txt", "cores.csv", "traffic.npz", "mapping.png")


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory):
    """A small run with all stages, an export, and the checkpoint of a training that was interrupted."""
    path = tmp_path_factory.mktemp("whole") / "run"
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.getbasetemp() / "cache")
    run = Run("mini_network", path)
    run.prepare(**QUICK)
    run.train(epochs=1)
    run.simulate(samples=5, duration=20)
    run.graph()
    run.map(hardware="loihi", method="sequential")
    run.export("csv")
    record_checkpoint(path)
    return path


def record_checkpoint(path):
    """Leave a checkpoint as a training of the same options leaves it that is interrupted after its first epoch."""
    other_path = path.with_name("other")
    shutil.copytree(path, other_path)

    def progress(*_):
        if (other_path / ".checkpoint" / "state.npz").exists():
            raise KeyboardInterrupt

    run = open_run(other_path)
    with contextlib.suppress(KeyboardInterrupt), run.locked():
        train.STAGE.execute(run, train.STAGE.resolve(run, {"epochs": 2}), {}, progress)
    shutil.move(str(other_path / ".checkpoint"), str(path))
    shutil.rmtree(other_path)


@pytest.fixture(scope="session")
def undamaged_output(whole_run, tmp_path_factory):
    """What each command makes of the whole run."""
    outputs = {}
    for command, words in COMMANDS.items():
        run = tmp_path_factory.mktemp("expected") / "run"
        shutil.copytree(whole_run, run)
        code, _, errors = call([*(word.format(run=run) for word in words), "--quiet"])
        assert (code, errors) == (0, "")
        outputs[command] = results(run)
    return outputs


def cut(size):
    def damage(path):
        content = path.read_bytes()
        path.write_bytes(content[: size(len(content))])

    return damage


def flip(path):
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "empty": cut(lambda size: 0),
    "half": cut(lambda size: size // 2),
    "flipped bit": flip,
    "flipped bit, time kept": alter_in_secret,
    "deleted": Path.unlink,
}
FILES = [
    *("manifest.yaml", ".hashes.json", ".lock", ".checkpoint/*"),
    *(
        f"dataset/{name}"
        for name in ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy")
    ),
    *(f"dataset/{name}" for name in ("x_norm.npz", "x_test.npz", "y_test.npz")),
    *(
        "train/*.h5",
        "train/*.csv",
        "train/*.json",
        "train/*.png",
        "parse/*.h5",
        "parse/*.json",
    ),
    *(
        f"simulations/*/{name}"
        for name in (
            "*_network.h5",
            "*_parsed.h5",
            "*.npz",
            "*.json",
            "*_INI.h5",
            "*.txt",
        )
    ),
    *(
        "simulations/*/config",
        "simulations/*/.config",
        "graphs/*/*.h5",
        "graphs/*/graph",
        "graphs/*/*.txt",
    ),
    *(
        "maps/*/*.txt",
        "maps/*/cores.csv",
        "maps/*/cost.json",
        "maps/*/traffic.npz",
        "maps/*/mapping.png",
    ),
    *("exports/*/*.csv", "exports/*/*.json"),
]


def results(path):
    """Hashes of what matters among the outputs of the latest of each stage, by name."""
    run = open_run(path)
    records = [
        run.record_of(stage)
        for stage in ("prepare", "train", "parse", "simulate", "graph", "map")
    ]
    outputs = [
        file for record in records if record is not None for file in record.outputs
    ]
    return {
        Path(file.path).name: file.sha256
        for file in outputs
        if Path(file.path).name in RESULTS
    }


def call(arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("file", FILES)
def test_whatever_is_damaged_every_command_answers_and_nothing_is_made_from_it(
    whole_run, undamaged_output, tmp_path, file
):
    found_paths = sorted(whole_run.glob(file)) or [whole_run / file]
    for path in found_paths[:2]:
        for damage, do in DAMAGES.items():
            for command, words in COMMANDS.items():
                run = tmp_path / "run"
                shutil.copytree(whole_run, run, symlinks=True)
                target = run / path.relative_to(whole_run)
                if not target.exists():
                    target.write_text("{}")
                do(target)
                code, _, errors = call(
                    [*(word.format(run=run) for word in words), "--quiet"]
                )
                case = f"{target.relative_to(run)}: {damage}, {command}: exit {code}, {errors!r}"
                lines = errors.strip().splitlines()
                answers = (
                    (0, 2, 3, 4, 5, 6) if command == "export" else (0, 3, 4, 5, 6)
                )  # 2: not replaced
                assert code in answers, case
                assert "Traceback" not in errors, case
                assert len([line for line in lines if line.startswith("snnb: ")]) == (
                    code != 0
                ), case
                if code == 0 and file != "manifest.yaml":
                    assert results(run) == undamaged_output[command], case
                shutil.rmtree(run)
