"""Options that a run remembers: the table of docs/report.md, what is written when, and what is not."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from snnb import Run
from snnb.core.errors import InputError, UsageError
from snnb.rundir.manifest import sealed
from snnb.stages import train
from snnb.stages.open_run import open_run
from snnb.stages.plan import state_of_stages

PAGE = Path(__file__).parents[2] / "docs" / "report.md"


def rows_of_page():
    """Return the commands of each row of the table in the documentation, and the parameters of the last one."""
    table = PAGE.read_text().split("## Options of a run")[1].split("\n## ")[0]
    rows = [
        line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")
    ]
    return [
        (re.findall(r"`([^`]+)`( \(killed\))?", commands), params.strip(" `"))
        for commands, params in rows
    ]


@pytest.fixture(scope="module")
def prepared_run(tmp_path_factory):
    """A run of a trained model with 50 test samples, converted; it needs no TensorFlow."""
    run = Run("digits_example", tmp_path_factory.mktemp("options") / "run")
    run.prepare(limit=50)
    run.parse()
    return run.path


@pytest.fixture
def small(prepared_run, tmp_path):
    return open_run(Path(shutil.copytree(prepared_run, tmp_path / "run")))


def interrupt_stage(message):
    """Interrupt a command when a stage begins, before it has made anything."""
    if ": running" in message:
        raise KeyboardInterrupt


@pytest.mark.parametrize(("commands", "params"), rows_of_page())
def test_the_last_command_uses_what_the_documentation_says(
    small, snnb, monkeypatch, commands, params
):
    for command, is_killed in commands:
        name, *words = command.split()
        with monkeypatch.context() as patches:
            if is_killed:
                patches.setattr(
                    "snnb.cli.output.Output.say",
                    lambda output, message: interrupt_stage(message),
                )
            printed_output = snnb(
                name, small.path, *words, "--json", code=130 if is_killed else 0
            )
    made_params = json.loads(printed_output.stdout)["stages"][-1]["params"]
    expected_document = yaml.safe_load(f"{{{params}}}")
    assert {key: made_params[key] for key in expected_document} == expected_document


def test_a_killed_training_leaves_its_options(run):
    with pytest.raises(KeyboardInterrupt):
        Run(path=run.path, say=interrupt_stage).train(epochs=3)
    later = open_run(run.path)
    assert later.options["train"] == {"epochs": 3, "batch_size": 16}
    assert train.STAGE.resolve(later, later.options["train"]).epochs == 3
    states = {state.name: state.reason for state in state_of_stages(later)}
    assert (states["prepare"], states["train"]) == (None, "epochs: 8 → 3")
    assert states["parse"] == "train has to run first"


def test_run_writes_an_option_to_each_stage_that_has_it(tmp_path, snnb):
    """The seed of this model is not that of a training, and `--label` changes no result."""
    words = "--seed 3 --limit 30 --samples 5 --duration 4 --batch-size 10 --label first --quiet"
    snnb(
        "run",
        "--model",
        "digits_example",
        "--run-dir",
        tmp_path / "run",
        *words.split(),
    )
    run = open_run(tmp_path / "run")
    assert run.options == {
        "prepare": {"limit": 30, "seed": 3},
        "train": {"batch_size": 10},
        "parse": {"batch_size": 10},
        "simulate": {"samples": 5, "duration": 4, "batch_size": 10, "seed": 3},
    }
    said = snnb("simulate", run.path).stderr
    assert (
        "simulate: recorded options: --samples 5, --duration 4, --batch-size 10, --seed 3\n"
        in said
    )


def test_a_refused_command_changes_no_options(small, snnb):
    before = open_run(small.path).options
    for words in (
        "--first 50",
        "--samples 51",
        "--input-rate 5",
        "--record-spikes x",
        "--input events",
    ):
        snnb(*f"simulate {small.path} {words}".split(), code=2)
    snnb("map", small.path, "--hardware", "loihi", "--objective", "size", code=2)
    snnb("graph", small.path, "--pool-weight", "one", "--no-upstream", code=4)
    assert open_run(small.path).options == before == {"prepare": {"limit": 50}}


def test_status_shows_the_options(small, snnb):
    Run(path=small.path).parse(percentile=99, batch_size=10)
    shown_status = snnb("status", small.path).stdout
    assert (
        "options of prepare  --limit 50\noptions of parse    --percentile 99, --batch-size 10\n"
        in shown_status
    )
    document = json.loads(snnb("status", small.path, "--json").stdout)
    assert document["options"] == {
        "prepare": {"limit": 50},
        "parse": {"percentile": 99, "batch_size": 10},
    }


def test_an_external_graph_keeps_its_file_and_the_options_that_describe_it(
    tmp_path, snnb
):
    (tmp_path / "a.csv").write_text("source,target,weight\n0,1,1\n1,2,1\n")
    (tmp_path / "b.csv").write_text("source,target,weight\n0,1,1\n")
    (tmp_path / "spikes.csv").write_text("neuron,spikes\n0,4\n1,8\n2,6\n")
    run_dir, spikes = tmp_path / "run", tmp_path / "spikes.csv"

    def options():
        return open_run(run_dir).options.get("graph", {})

    snnb(
        "graph",
        "--from",
        tmp_path / "a.csv",
        "--rates",
        spikes,
        "--rate-steps",
        10,
        "--run-dir",
        run_dir,
    )
    assert options() == {
        "from_file": tmp_path / "a.csv",
        "rates": (spikes,),
        "rate_steps": 10,
    }
    assert (
        "graph: up to date"
        in snnb("map", run_dir, "--hardware", "loihi", "--method", "sequential").stderr
    )
    assert "map: up to date" in snnb("map", run_dir).stderr
    snnb("graph", run_dir, "--defaults")  # the file is that of the run
    params = open_run(run_dir).record_of("graph").params
    assert (options(), params.from_file, params.rates) == ({}, tmp_path / "a.csv", None)
    snnb("graph", run_dir, "--rates", spikes, "--rate-steps", 10)
    snnb("graph", run_dir, "--from", tmp_path / "b.csv", "--force")
    assert options() == {"from_file": tmp_path / "b.csv"}


def test_arrays_of_an_external_graph_forget_the_file_before_them(tmp_path):
    (tmp_path / "a.csv").write_text("source,target,weight\n0,1,1\n1,2,1\n")
    Run.from_graph(tmp_path / "a.csv", path=tmp_path / "run")
    edges = {"source": [0, 1], "target": [1, 0], "spikes": [4, 5]}
    run = Run.from_graph(**edges, steps=10, path=tmp_path / "run", force=True)
    assert run.directory.options["graph"] == {"rate_steps": 10}
    assert {state.reason for state in state_of_stages(run.directory)} == {None}
    assert run.map(hardware="loihi", method="sequential").metrics["energy_pj"] > 0
    with pytest.raises(
        UsageError, match="has the graph of arrays; give another --run-dir"
    ):
        run.graph(from_file=tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"train": {"epochs": "many"}},
            r"run\.options\.train\.epochs: \"many\" is not an integer",
        ),
        ({"train": {"epochs": 0}}, r"run\.options\.train\.epochs: 0 is below 1"),
        ({"train": {"colour": 1}}, r"run\.options\.train\.colour: unknown to snnb"),
        ({"fly": {}}, r"run\.options\.fly: unknown to snnb"),
        (
            {"graph": {"weights_only": True}},
            r"run\.options\.graph\.weights_only: unknown to snnb",
        ),  # one-shot
        (
            {"simulate": {"label": "x"}},
            r"run\.options\.simulate\.label: unknown to snnb",
        ),
        ([], r"run\.options: a list is not a mapping"),
    ],
)
def test_options_that_no_command_writes_are_refused(small, options, message):
    path = small.path / "manifest.yaml"
    manifest = yaml.safe_load(path.read_text())
    manifest["run"]["options"] = options
    path.write_text(sealed(yaml.safe_dump(manifest)))
    with pytest.raises(InputError, match=message) as caught:
        open_run(small.path)
    assert "\n" not in str(caught.value)


def test_a_manifest_without_options_has_none(small):
    path = small.path / "manifest.yaml"
    manifest = yaml.safe_load(path.read_text())
    del manifest["run"]["options"]
    path.write_text(sealed(yaml.safe_dump(manifest)))
    assert open_run(small.path).options == {}


def test_options_are_read_as_they_were_given(small):
    """A tuple, a path and settings are not those of YAML."""
    options = {
        "train": {
            "settings": {"filters": (3, 4)},
            "initial_weights": small.path / "x.h5",
        }
    }
    with small.locked():
        small.save_options(options)
    assert open_run(small.path).options == options
