"""What messages recommend exists, and is accepted for the network at hand."""

import ast
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import snnb
from snnb.cli.command_table import COMMANDS as LISTED
from snnb.cli.commands import load
from snnb.core.options import typed
from snnb.network.fidelity import Fidelity
from snnb.network.read_network import read_network
from snnb.simulation.advice import loss_advice
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.statistics import SimulationStatistics
from snnb.stages.all import STAGES
from tests.end_to_end.conftest import RECORDED

SOURCE = Path(snnb.__file__).parent
COMMANDS = {name: load(name) for name in LISTED}
RECOMMENDED = re.compile(r"`snnb ([^`]*RUN[^`]*)`")


def syntax_trees():
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def recommendations():
    """Yield the calls of `recommend` with the file and line."""
    for path, tree in syntax_trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "recommend"
            ):
                yield f"{path.name}:{node.lineno}", node


def test_recommended_commands_and_options_exist():
    calls = list(recommendations())
    assert len(calls) > 10
    for place, call in calls:
        stage = STAGES[ast.literal_eval(call.args[0])]
        for keyword in call.keywords:
            assert keyword.arg in stage.params.model_fields, place
            if isinstance(keyword.value, ast.Constant):
                typed(stage.params, {keyword.arg: keyword.value.value})


def test_commands_in_texts_have_the_options_named_with_them():
    """Of texts such as `` `snnb graph --rates` ``, the command and the options exist."""
    found = 0
    for path, tree in syntax_trees():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                continue
            for name, words in re.findall(r"`snnb ([a-z]+)([^`]*)", node.value):
                assert name in COMMANDS, (path, node.lineno, name)
                options = {
                    option
                    for parameter in COMMANDS[name].params
                    for option in (*parameter.opts, *parameter.secondary_opts)
                }
                for option in re.findall(r"--[a-z][a-z-]+", words):
                    found += 1
                    assert option in options or option == "--help", (path, option)
    assert found > 5


def advised(network, fidelity=None, duration=8):
    """Return the advice about a loss of 25 of 95 points, none of it in the output."""
    statistics = SimulationStatistics.model_construct(
        num_samples=1000,
        ann_accuracy=0.95,
        snn_accuracy=0.7,
        readout_accuracy=0.7,
        snn_accuracy_by_timestep=[0.1, 0.5, 0.6, 0.7],
        readout_accuracy_by_timestep=[0.1, 0.5, 0.6, 0.7],
        coding={"output": "random"},
    )
    settings = SimulationSettings(samples=1000, duration=duration)
    return " ".join(loss_advice(statistics, settings, network, fidelity))


def with_losses(**after):
    return Fidelity(samples=1000, classifies=True, trained=0.95, after=after)


def test_every_recommended_command_runs(tmp_path, snnb):
    """Of simulations with losses, and of mappings onto chips that need integers."""
    original = tmp_path / "original"
    shutil.copytree(RECORDED, original)
    network = read_network(original / "parse/mini_network_parsed.h5")
    texts = [
        advised(network),
        advised(replace(network, steps=8)),
        advised(replace(network, steps=8), duration=32),
        advised(replace(network, weight_bits=6)),
        advised(network, with_losses(average_pooling=0.72)),
    ]
    for chip in ("speck2f", "loihi"):
        texts.append(snnb("map", original, "--hardware", chip).stderr)
    commands = {words for text in texts for words in RECOMMENDED.findall(text)}
    assert {shlex.split(words)[0] for words in commands} == {"parse", "simulate"}
    assert len(commands) > 6
    for number, words in enumerate(sorted(commands)):
        run = tmp_path / f"run{number}"
        shutil.copytree(RECORDED, run)
        snnb(*(str(run) if word == "RUN" else word for word in shlex.split(words)))


def test_a_loss_by_averages_recommends_the_maximum_and_nothing_for_spikes():
    network = read_network(RECORDED / "parse/mini_network_parsed.h5")
    line = advised(network, with_losses(average_pooling=0.7))
    assert RECOMMENDED.findall(line) == ["parse RUN --max-pool exact"]
    line = advised(network, with_losses(average_pooling=0.85))
    assert RECOMMENDED.findall(line) == [
        "parse RUN --max-pool exact",
        "simulate RUN --initial-potential 0.5",
        "parse RUN --calibrate 8",
    ]


@pytest.mark.parametrize("chip", ["speck2f", "loihi"])
def test_nothing_is_parsed_again_for_a_network_that_was_trained_spiking(
    tmp_path, snnb, chip
):
    run = tmp_path / "run"
    options = ("--run-dir", run, "--samples", 4)
    snnb("run", "--model", "spiking_digits", *options)
    code = 3 if chip == "speck2f" else 0
    printed = snnb("map", run, "--hardware", chip, code=code).stderr
    assert "speck2f" in printed or "loihi" in printed
    assert "snnb parse" not in printed
    assert "--calibrate" not in printed


def test_a_stale_graph_is_named_with_the_command_that_renews_it(tmp_path, snnb):
    run = tmp_path / "run"
    shutil.copytree(RECORDED, run)
    snnb("parse", run, "--weight-bits", 8)
    printed = snnb("export", run, "--format", "csv").stderr
    command = re.search(r"this graph is stale: .*; `snnb ([^`]*)`", printed).group(1)
    snnb(*shlex.split(command))
    assert "stale" not in snnb("export", run, "--format", "csv", "--force").stderr
