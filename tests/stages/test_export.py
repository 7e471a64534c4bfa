"""Where exports go, what they may replace, and which graph they are of."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from snnb import Run
from snnb.errors import UsageError
from snnb.rundir.directory import RunDirectory
from snnb.rundir.verify import verify
from snnb.stages.export import export_graph, stale_exports


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize(
    "target",
    [
        ".",
        "manifest.yaml",
        "train",
        "train/x.csv",
        "dataset/x_train.npy",
        "new.csv",
        "graphs/x.csv",
        "exports",
        "..",
        "../run",
        "../link",
        "../link/train",
        "../link/x.csv",
        "../outside-link.csv",
    ],
)
def test_nothing_of_a_run_is_replaced_and_nothing_put_among_it(run, force, target):
    (run.path.parent / "link").symlink_to(run.path)
    (run.path.parent / "outside-link.csv").symlink_to(run.path / "train" / "training_history.csv")
    before = content(run.path)
    with pytest.raises(UsageError):
        export_graph(run, "csv", output=run.path / target, force=force)
    assert content(run.path) == before


def test_nor_of_another_run(run, tmp_path):
    other = shutil.copytree(run.path, tmp_path / "elsewhere" / "other")
    before = content(other)
    for target in (other, other / "manifest.yaml", other / "parse", other.parent):
        with pytest.raises(UsageError):
            export_graph(run, "sonata", output=target, force=True)
    assert content(other) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: (path.mkdir(), (path / "thesis.tex").write_text("mine")), "was not made by an export"),
        (lambda path: (path.mkdir(), (path / "description.json").write_text("{}")), "was not made by an export"),
        (lambda path: (path.mkdir(), (path / "description.json").write_text('{"format": "tar"}')), "was not made"),
        (lambda path: os.mkfifo(path), "is no regular file"),
        (lambda path: path.symlink_to(path.parent), "is a link"),
        (lambda path: path.symlink_to("nowhere"), "is a link"),
    ],
)
@pytest.mark.parametrize("format", ["csv", "sonata"])
def test_force_replaces_only_a_file_or_what_an_export_made(run, tmp_path, make, message, format):
    target = tmp_path / "target"
    make(target)
    with pytest.raises(UsageError, match=message):
        export_graph(run, format, output=target, force=True)
    assert os.path.lexists(target)


def test_a_file_beside_that_is_no_description_is_kept(run, tmp_path):
    (tmp_path / "graph.csv.json").write_text('{"mine": 1}')
    with pytest.raises(UsageError, match=r"graph\.csv\.json was not made by an export"):
        export_graph(run, "csv", output=tmp_path / "graph.csv", force=True)
    assert (tmp_path / "graph.csv.json").read_text() == '{"mine": 1}'


@pytest.mark.parametrize("format", ["csv", "sonata", "npz"])
def test_what_an_export_made_is_replaced_with_force_only(run, format):
    first = export_graph(run, format)
    with pytest.raises(UsageError, match="--force to replace it"):
        export_graph(run, format)
    again = export_graph(run, format, force=True)
    assert (again.path, again.edges) == (first.path, first.edges)


def test_exports_outlive_a_graph_that_is_made_again_and_status_names_them(run):
    stamp = next(iter(run.manifest.stages.graphs))
    for format in ("csv", "sonata", "npz"):
        export_graph(run, format)
    exported = content(run.path / "exports" / stamp)
    assert {"mini_network.csv", "mini_network.csv.json"} <= {p.name for p in (run.path / "exports" / stamp).iterdir()}
    assert stale_exports(run) == []
    changed = Run(path=run.path)
    changed.graph(force=True)
    assert stale_exports(changed.directory) == []
    changed.graph(pool_weight="mean")
    assert content(run.path / "exports" / stamp) == exported
    named = stale_exports(changed.directory)
    assert len(named) == 3
    assert f"exports/{stamp}/mini_network.csv" in named
    assert verify(RunDirectory.open(run.path)).problems == []


def test_it_says_which_graph_it_took(run):
    stamp = next(iter(run.manifest.stages.graphs))
    Run(path=run.path).graph(weights_only=True)
    said = []
    opened = RunDirectory.open(run.path)
    written = export_graph(opened, "csv", say=said.append)
    assert said[0] == f"export: graph weights, of the weights alone; there are also {stamp}: choose with --graph"
    assert written.path.parent.name == written.origin["stamp"] == "weights"
    said.clear()
    export_graph(opened, "csv", graph=stamp, say=said.append)
    assert said[0] == f"export: graph {stamp}"


@pytest.mark.parametrize("level", ["exports", "exports/{stamp}"])
def test_nothing_is_exported_through_a_link_in_the_run(run, tmp_path, level):
    stamp = next(iter(run.manifest.stages.graphs))
    victim = tmp_path / "victim"
    victim.mkdir()
    link = run.path / level.format(stamp=stamp)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    with pytest.raises(UsageError, match="is a link, which is not followed"):
        export_graph(run, "csv", force=True)
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("target", ["", "no/such/folder/x.csv", "/dev/null"])
def test_targets_that_cannot_be_written_are_named_in_one_line(run, target):
    command = [sys.executable, "-c", "from snnb.cli.app import app; app()", "export", str(run.path), "--format", "csv"]
    result = subprocess.run([*command, "--output", target, "--force", "-q"], capture_output=True, text=True)
    assert result.returncode in (2, 3), result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert target[:14] in result.stderr
    assert "--run-dir" not in result.stderr


def test_the_document_names_the_graph(run):
    command = [sys.executable, "-c", "from snnb.cli.app import app; app()", "export", str(run.path), "--format", "csv"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert json.loads(result.stdout)["graph"] == next(iter(run.manifest.stages.graphs))
