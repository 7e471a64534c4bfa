"""The help of every command: short, complete, with examples that the command takes; and what a shell completes."""

import re
import shlex

import click
import pytest
import typer
from click.testing import CliRunner

from snnb.architectures import names
from snnb.chips.read_hardware import hardware_names
from snnb.cli.command_table import COMMANDS as LISTED
from snnb.cli.command_table import EXAMPLES
from snnb.cli.commands import commands, load
from snnb.cli.main import main
from snnb.core.options import flag_of
from snnb.formats.write_export import FORMATS
from snnb.stages.all import STAGES

COMMANDS = {name: load(name) for name in LISTED}
MOST_LINES = 60


@pytest.fixture(scope="module")
def texts():
    runner, program = (
        CliRunner(env={"COLUMNS": "100"}),
        typer.main.get_command(commands),
    )
    return {
        name: runner.invoke(program, [name, "--help"], prog_name="snnb").output
        for name in COMMANDS
    }


def remove_frame(text):
    """One line, without the frames of the panels."""
    return re.sub(r"\s+", " ", re.sub("[│╭╮╰╯─]", " ", text))


def test_every_help_is_short(texts):
    lines = {name: len(text.splitlines()) for name, text in texts.items()}
    assert all(lines.values())
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
    assert all(
        len(line) <= 100 for text in texts.values() for line in text.splitlines()
    )


def test_the_help_lists_the_commands_in_groups():
    text = (
        CliRunner(env={"COLUMNS": "100"})
        .invoke(typer.main.get_command(commands), ["--help"])
        .output
    )
    panels = dict(re.findall(r"╭─ (\w+) ─+╮\n(.*?)╰", text, re.DOTALL))
    listed_groups = {
        title: re.findall(r"^│ (\w+)  ", panel, re.MULTILINE)
        for title, panel in panels.items()
    }
    del listed_groups["Options"]
    assert list(listed_groups) == ["Stages", "Lists", "Results", "Tools"]
    assert listed_groups["Stages"] == [*STAGES, "run", "sweep"]
    assert sorted(name for names in listed_groups.values() for name in names) == sorted(
        COMMANDS
    )
    sentence = remove_frame(text).split("COMMAND [ARGS]... ")[1].split(".")[0]
    assert all(word in sentence for word in ("NIR", "ONNX", " map "))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_has_a_text(name, texts):
    for parameter in COMMANDS[name].params:
        assert parameter.help, parameter.name
        if isinstance(parameter, click.Argument):
            assert parameter.help.split(". ")[0].rstrip(".") in remove_frame(
                texts[name]
            ), parameter.name


def test_the_default_of_figures_is_stated(texts):
    for name in ("train", "simulate", "map"):
        assert "One of png, svg, pdf. Default: png, or as before." in remove_frame(
            texts[name]
        )


def test_a_command_of_several_stages_refers_to_their_help(texts):
    for name in ("run", "sweep"):
        assert "--percentile" in [opt for p in COMMANDS[name].params for opt in p.opts]
        assert "(`snnb STAGE --help`)" in texts[name]
        assert "--warm-up" not in texts[name]


def test_the_help_of_export_names_every_format(texts):
    named_match = re.search(r"One of ([\w, ]+)\.", remove_frame(texts["export"]))
    assert named_match[1].split(", ") == list(FORMATS)


@pytest.mark.parametrize("stage", STAGES)
def test_every_option_is_there_with_its_choices_and_default(texts, stage):
    text, params = remove_frame(texts[stage]), STAGES[stage].params
    for name, prop in params.model_json_schema()["properties"].items():
        if flag_of(params, name).hidden:
            continue
        choices = prop.get("enum", ())
        for choice in choices:
            assert re.search(
                rf"\bone of [^.]*\b{choice}\b", text, flags=re.IGNORECASE
            ), name
        if (
            prop.get("default") not in (None, False, {})
            and name != "samples"
            and stage != "train"
        ):
            assert re.search(
                rf"Default: {re.escape(str(prop['default']).rstrip('0').rstrip('.') or '0')}",
                text,
            ), name
    assert "SNNB_SIMULATE" not in text  # environment variables are in docs/cli.md


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_taken(texts, name):
    assert len(EXAMPLES[name]) == 2
    for line in EXAMPLES[name]:
        assert line in texts[name]
        program, command, *words = shlex.split(line)
        assert (program, command) == ("snnb", name)
        with COMMANDS[name].make_context(
            name, words, parent=click.Context(click.Group("snnb"))
        ) as context:
            assert context.args == []


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_of_one_value_is_given_once(name):
    """Every option, before its value is looked at."""
    options = [
        o
        for o in COMMANDS[name].params
        if isinstance(o, click.Option) and not o.multiple
    ]
    command = click.Context(
        COMMANDS[name], info_name=name, parent=click.Context(click.Group("snnb"))
    )
    for option in options:
        words = [option.opts[0], "1", option.opts[0], "2"]
        if option.is_flag:
            words = [option.opts[0], *option.secondary_opts]
        if len(words) < 2:  # has no value
            continue
        with pytest.raises(
            click.UsageError, match=f"^{option.opts[0]} .*given several times"
        ):
            COMMANDS[name].parse_args(command, words)


WANTED = [
    ("models lenet_", [name for name in names() if name.startswith("lenet_")]),
    ("run --model lenet_", [name for name in names() if name.startswith("lenet_")]),
    ("train --dataset mni", ["mnist"]),
    ("simulate --engine ", ["auto", "event", "tensorflow", "toolbox"]),
    ("simulate --input p", ["poisson"]),
    (
        "hardware --show loihi",
        [name for name in hardware_names() if name.startswith("loihi")],
    ),
    (
        "map --hardware loihi",
        [name for name in hardware_names() if name.startswith("loihi")],
    ),
    ("export runs/x --format hm", ["hmetis"]),
]


@pytest.mark.parametrize(("line", "values"), WANTED, ids=[line for line, _ in WANTED])
def test_a_shell_completes_values(line, values, monkeypatch, capsys):
    words = f"snnb {line}"
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    for name, value in {"_SNNB_COMPLETE": "complete_bash", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main([])
    said = capsys.readouterr().out
    assert (
        re.findall(
            r"[a-z0-9_]+", said.replace("_arguments", "").replace("_describe", "")
        )
        == values
    )
