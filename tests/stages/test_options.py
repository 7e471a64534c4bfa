"""Options hold for one command, and a result knows its own: the table of docs/report.md, and what is recorded."""

import json
import random
import re
import shutil
from pathlib import Path
from typing import Literal, Union

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from typing_extensions import get_args, get_origin

from snnb import Run
from snnb.core.errors import InputError, SnnbError, UsageError
from snnb.core.options import field_type, own_flags
from snnb.rundir.manifest import sealed
from snnb.stages.all import STAGES
from snnb.stages.command_options import CommandOptions
from snnb.stages.open_run import open_run
from snnb.stages.states import state_of_stages

PAGE = Path(__file__).parents[2] / "docs" / "report.md"


def rows_of_page():
    """Return the commands of each row of the table in the documentation, and the parameters of the last one."""
    table = PAGE.read_text().split("## Options of a run")[1].split("\n## ")[0]
    rows = [
        line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")
    ]
    return [
        (re.findall(r"`([^`]+)`", commands), params.strip(" `"))
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


def change_manifest(path, change):
    """Change the content of a manifest by a function, and seal it."""
    manifest = yaml.safe_load((path / "manifest.yaml").read_text())
    change(manifest)
    (path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))


@pytest.mark.usefixtures("no_kahypar")
@pytest.mark.parametrize(("commands", "params"), rows_of_page())
def test_the_last_command_uses_what_the_documentation_says(
    small, snnb, commands, params
):
    for command in commands:
        name, *words = command.split()
        printed_output = snnb(name, small.path, *words, "--json")
    made_params = json.loads(printed_output.stdout)["stages"][-1]["params"]
    expected_document = yaml.safe_load(f"{{{params}}}")
    assert {key: made_params[key] for key in expected_document} == expected_document


@pytest.mark.usefixtures("no_kahypar")
def test_a_loop_over_methods_gives_different_mappings(run):
    face = Run(path=run.path)
    sequential = face.map(hardware="loihi", method="sequential")
    best = face.map(hardware="loihi")
    assert [m.record.params.method for m in (sequential, best)] == [
        "sequential",
        "auto",
    ]
    assert sequential.directory != best.directory
    assert list(face.mappings) == [m.directory.name for m in (sequential, best)]


def candidates(kind, name):
    """Return values of an option, found by trying what the type of its field takes."""
    annotation = kind.model_fields[name].annotation
    members = get_args(annotation) if get_origin(annotation) is Union else (annotation,)
    choices = [
        choice
        for member in members
        if get_origin(member) is Literal
        for choice in get_args(member)
    ]
    adapter, values = TypeAdapter(field_type(kind, name)), []
    for value in [*choices, True, False, 1, 2, 3, 5, 0.25, 0.5, 99.5, "x", "x.h5"]:
        try:
            values.append(
                adapter.validate_python(value, strict=isinstance(value, bool))
            )
        except ValidationError:
            continue
    return values


def draw_options(draw, stage):
    """Return some options of a stage that count, with values drawn at random."""
    kind = stage.params
    names = [
        name
        for name in own_flags(kind)
        if stage.counts(name) and candidates(kind, name)
    ]
    return {
        name: draw.choice(candidates(kind, name))
        for name in draw.sample(names, draw.randint(1, min(4, len(names))))
    }


def planned_params(run, name, options_given):
    """Return the parameters of a stage in a command, or the message that refuses them."""
    try:
        stage = STAGES[name]
        defaults = [name] if stage.adds_result else []
        options = CommandOptions.of(run, {name: options_given}, defaults)
        stamp = next(iter(run.records_of("graph")))
        if not any(map(stage.counts, options.given[name])) and not stage.adds_result:
            return "no option has an effect"
        return options.plan(name, stamp if stage.source else None).params
    except SnnbError as error:
        return str(error)


def test_a_command_gives_the_same_parameters_whatever_was_given_before(run, tmp_path):
    """In a run whose results have recorded options and in copies with others, drawn at random."""
    draw = random.Random(7)
    compared_names = set()
    for _ in range(400):
        name = draw.choice(list(STAGES))
        options = draw_options(draw, STAGES[name])
        expected_params = planned_params(run, name, options)
        other = open_run(run.path)
        record = other.record_of(name)
        if record is not None:
            history = draw_options(draw, STAGES[name])
            update = {"options": history}
            stages = other.manifest.stages
            if STAGES[name].names is None:
                stages = stages.model_copy(
                    update={STAGES[name].key: record.model_copy(update=update)}
                )
            else:
                records = {
                    stamp: one.model_copy(update=update)
                    for stamp, one in other.records_of(name).items()
                }
                stages = stages.model_copy(update={STAGES[name].key: records})
            other.manifest = other.manifest.model_copy(update={"stages": stages})
        assert planned_params(other, name, options) == expected_params, (name, options)
        if not isinstance(expected_params, str):
            compared_names.add(name)
            values = dict(expected_params)
            assert {n: values[n] for n in options if n != "settings"} == {
                n: v for n, v in options.items() if n != "settings"
            }
    assert compared_names >= {"prepare", "train", "parse", "simulate", "graph"}


def test_a_training_is_kept_until_a_command_has_an_option_for_it(run, snnb):
    snnb("train", run.path, "--epochs", 3, "--batch-size", 100)
    trained = open_run(run.path).record_of("train")
    assert trained.options == {"epochs": 3, "batch_size": 100}
    assert "train: up to date" in snnb("train", run.path).stderr
    words = ("--duration", 5, "--samples", 4, "--quiet")
    snnb("run", run.path, *words)
    assert open_run(run.path).record_of("train") == trained
    assert (
        "train: running (epochs: 3 → 4)"
        in snnb("train", run.path, "--epochs", 4, "--batch-size", 100).stderr
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_an_interrupted_training_continues_with_its_options(run, is_first):
    """Killed in epoch 2 of 3, it ends after 3."""
    if is_first:
        removed = ("train", "parse", "simulations", "graphs")
        change_manifest(
            run.path, lambda manifest: [manifest["stages"].pop(key) for key in removed]
        )
        for folder in removed:
            shutil.rmtree(run.path / folder)

    def interrupt_in_second_epoch(done, total, note=""):
        if note.startswith("epoch 2/3"):
            raise KeyboardInterrupt

    options = {"epochs": 3, "batch_size": 100}
    training = STAGES["train"]
    opened = open_run(run.path)
    with opened.locked(), pytest.raises(KeyboardInterrupt):
        training.execute(
            opened,
            training.resolve(opened, options),
            options,
            interrupt_in_second_epoch,
        )
    resume = {} if is_first else {"resume": True}
    result = Run(path=run.path).train(**resume)
    assert result.record.options == options
    assert result.record.details.epochs_run == 3
    assert not (run.path / ".checkpoint").exists()
    rows = (result.directory / "training_history.csv").read_text().splitlines()
    assert len(rows) == 1 + 3


def test_options_that_change_no_result_make_none_again(run, snnb):
    data = run.path.parent
    prepared = run.record_of("prepare")
    assert prepared.options == {"norm_samples": 100, "limit": 400}
    for words in (
        ("simulate", run.path, "--source", data, "--duration", 4),
        ("train", run.path, "--figures", "pdf"),
        ("simulate", run.path, "--label", "x", "--duration", 4),
    ):
        said = snnb(*words).stderr
        assert "prepare: up to date" in said
        assert not re.search("(prepare|train|parse): running", said)
    assert open_run(run.path).record_of("prepare") == prepared


def test_run_gives_an_option_to_each_stage_that_has_it(tmp_path, snnb):
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
    assert {name: run.record_of(name).options for name in STAGES if name != "map"} == {
        "prepare": {"limit": 30, "seed": 3},
        "train": {"batch_size": 10},
        "parse": {"batch_size": 10},
        "simulate": {"samples": 5, "duration": 4, "batch_size": 10, "seed": 3},
        "graph": {},
    }
    again = snnb("run", run.path, "--quiet").stdout
    assert again.count("up to date") == 5


def test_an_environment_variable_is_an_option_of_the_command(small, snnb, monkeypatch):
    monkeypatch.setenv("SNNB_PARSE_PERCENTILE", "99")
    snnb("parse", small.path)
    assert open_run(small.path).record_of("parse").options == {"percentile": 99.0}
    monkeypatch.delenv("SNNB_PARSE_PERCENTILE")
    assert "parse: up to date" in snnb("parse", small.path).stderr


def test_a_refused_command_changes_nothing(small, snnb):
    before = (small.path / "manifest.yaml").read_text()
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
    assert (small.path / "manifest.yaml").read_text() == before


def test_status_shows_the_options_of_each_result(small, snnb):
    face = Run(path=small.path)
    face.parse(percentile=99, batch_size=10)
    stamp = face.simulate(duration=5).directory.name
    shown_status = snnb("status", small.path).stdout
    pattern = (
        r"options of dataset +--limit 50\n"
        r"options of parse +--percentile 99, --batch-size 10\n"
        rf"options of simulations/{stamp} +--duration 5\n"
    )
    assert re.search(pattern, shown_status)
    document = json.loads(snnb("status", small.path, "--json").stdout)
    options = {stage["stage"]: stage["options"] for stage in document["stages"]}
    assert options == {
        "prepare": {"limit": 50},
        "train": {},
        "parse": {"percentile": 99, "batch_size": 10},
        f"simulations/{stamp}": {"duration": 5},
        "graph": {},
    }


def test_an_external_graph_keeps_its_file(tmp_path, snnb):
    (tmp_path / "a.csv").write_text("source,target,weight\n0,1,1\n1,2,1\n")
    (tmp_path / "b.csv").write_text("source,target,weight\n0,1,1\n")
    (tmp_path / "spikes.csv").write_text("neuron,spikes\n0,4\n1,8\n2,6\n")
    run_dir, spikes = tmp_path / "run", tmp_path / "spikes.csv"

    def options():
        return open_run(run_dir).record_of("graph").options

    described = ("--rates", spikes, "--rate-steps", 10)
    snnb("graph", "--from", tmp_path / "a.csv", *described, "--run-dir", run_dir)
    assert options() == {
        "from_file": tmp_path / "a.csv",
        "rates": (spikes,),
        "rate_steps": 10,
    }
    words = ("--hardware", "loihi", "--method", "sequential")
    assert "graph: up to date" in snnb("map", run_dir, *words).stderr
    assert "map: up to date" in snnb("map", run_dir, *words).stderr
    assert "give --hardware" in snnb("map", run_dir, code=2).stderr
    snnb("graph", run_dir, "--defaults")  # the file is that of the run
    params = open_run(run_dir).record_of("graph").params
    assert (options(), params.from_file, params.rates) == ({}, tmp_path / "a.csv", None)
    snnb("graph", run_dir, *described)
    assert open_run(run_dir).record_of("graph").params.from_file == tmp_path / "a.csv"
    snnb("graph", run_dir, "--from", tmp_path / "b.csv", "--force")
    assert options() == {"from_file": tmp_path / "b.csv"}


def test_arrays_take_the_place_of_an_external_graph(tmp_path):
    (tmp_path / "a.csv").write_text("source,target,weight\n0,1,1\n1,2,1\n")
    Run.from_graph(tmp_path / "a.csv", path=tmp_path / "run")
    edges = {"source": [0, 1], "target": [1, 0], "spikes": [4, 5]}
    run = Run.from_graph(**edges, steps=10, path=tmp_path / "run", force=True)
    assert run.directory.record_of("graph").options == {"rate_steps": 10}
    assert {state.reason for state in state_of_stages(run.directory)} == {None}
    assert run.map(hardware="loihi", method="sequential").metrics["energy_pj"] > 0
    with pytest.raises(
        UsageError, match="has the graph of arrays; give another --run-dir"
    ):
        run.graph(from_file=tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": "many"}, r"train\.options\.epochs: \"many\" is not an integer"),
        ({"epochs": 0}, r"train\.options\.epochs: 0 is below 1"),
        ({"colour": 1}, r"train\.options\.colour: unknown to snnb"),
        ({"resume": True}, r"train\.options\.resume: unknown to snnb"),
        ([], r"train\.options: a list is not a mapping"),
    ],
)
def test_options_that_no_command_records_are_refused(small, options, message):
    def change(manifest):
        manifest["stages"]["train"]["options"] = options

    change_manifest(small.path, change)
    with pytest.raises(InputError, match=message) as caught:
        open_run(small.path)
    assert "\n" not in str(caught.value)


def test_a_run_of_an_earlier_version_keeps_its_results(run, snnb):
    """Its options were in `run`, and not with the results."""

    def change(manifest):
        manifest["run"]["options"] = {"train": {"epochs": 3}}
        stages = manifest["stages"]
        for record in (
            stages["prepare"],
            stages["train"],
            stages["parse"],
            *stages["simulations"].values(),
            *stages["graphs"].values(),
        ):
            del record["options"]

    change_manifest(run.path, change)
    said = snnb("graph", run.path).stderr
    assert said.count("which an earlier version of snnb wrote, are ignored") == 1
    assert "running" not in said
    assert "ignored" not in snnb("graph", run.path).stderr
    params = Run(path=run.path).train(force=True).record.params
    assert params == run.record_of("train").params


def test_options_are_read_as_they_were_given(small):
    """A tuple, a path and settings are not those of YAML."""
    options = {
        "settings": {"filters": (3, 4)},
        "initial_weights": small.path / "x.h5",
    }

    def change(manifest):
        manifest["stages"]["train"]["options"] = {
            "settings": {"filters": [3, 4]},
            "initial_weights": str(small.path / "x.h5"),
        }

    change_manifest(small.path, change)
    assert open_run(small.path).record_of("train").options == options
