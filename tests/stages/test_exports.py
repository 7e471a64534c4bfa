"""Where exports go, what they may replace, and which graph they are of."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from snnb import Run
from snnb.core.errors import UpstreamError, UsageError
from snnb.formats.all import FORMATS
from snnb.formats.description import DESCRIPTION
from snnb.formats.export_options import ExportOptions
from snnb.io.atomic import atomic_path
from snnb.report.write_report import write_report
from snnb.results.crosscheck import crosscheck
from snnb.results.export import export_graph, stale_exports
from snnb.results.verify import verify_run
from snnb.rundir.manifest import load_manifest, sealed
from snnb.stages import simulate
from snnb.stages.open_run import open_run
from tests.rundir.test_directory import deaths


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


TARGETS = ". manifest.yaml train/x.csv new.csv graphs/x.csv exports .. ../link ../link/train ../outside-link.csv"


@pytest.mark.parametrize("target", TARGETS.split())
def test_nothing_of_a_run_is_replaced_and_nothing_put_among_it(run, target):
    (run.path.parent / "link").symlink_to(run.path)
    (run.path.parent / "outside-link.csv").symlink_to(
        run.path / "train" / "training_history.csv"
    )
    before = content(run.path)
    with pytest.raises(UsageError):
        export_graph(run, "csv", output=run.path / target, force=True)
    assert content(run.path) == before


def test_nor_of_another_run(run, tmp_path):
    other_folder = shutil.copytree(run.path, tmp_path / "elsewhere" / "other")
    before = content(other_folder)
    for target in (
        other_folder,
        other_folder / "manifest.yaml",
        other_folder / "parse",
        other_folder.parent,
    ):
        with pytest.raises(UsageError):
            export_graph(run, "sonata", output=target, force=True)
    assert content(other_folder) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: (path.mkdir(), (path / "thesis.tex").write_text("mine")),
            "thesis.tex was not written by `snnb`",
        ),
        (
            lambda path: (
                path.mkdir(),
                (path / "description.json").write_text('{"format": "tar"}'),
            ),
            "description.json was",
        ),
        (
            lambda path: path.symlink_to(path.parent),
            "is a link, which is not followed; move it away",
        ),
    ],
)
def test_force_replaces_only_a_file_or_what_an_export_made(
    run, tmp_path, make, message
):
    target = tmp_path / "target"
    make(target)
    with pytest.raises(UsageError, match=message):
        export_graph(run, "sonata", output=target, force=True)
    assert os.path.lexists(target)


def test_a_file_beside_that_is_no_description_is_kept(run, tmp_path):
    (tmp_path / "graph.csv.json").write_text('{"mine": 1}')
    with pytest.raises(UsageError, match=r"graph\.csv\.json was not written by `snnb`"):
        export_graph(run, "csv", output=tmp_path / "graph.csv", force=True)
    assert (tmp_path / "graph.csv.json").read_text() == '{"mine": 1}'


def test_what_somebody_put_into_an_export_is_kept(run, tmp_path):
    written = export_graph(run, "npz").path
    for put, name in ((Path.touch, "notes.txt"), (Path.mkdir, "inside")):
        put(written / name)
        with pytest.raises(
            UsageError,
            match=f"{name} was not written by `snnb` and would be lost; move it away",
        ):
            export_graph(run, "npz", force=True)
        (written / name).rename(tmp_path / name)
    export_graph(run, "npz", force=True)


OPTIONS = {  # value of an option, and the formats that have it, as docs/exports.md states
    "rate_unit": ("hz", "networkx graphml csv npz parquet parts sonata snn axh"),
    "with_input": (True, "spinemap metis hmetis snn axh"),
    "exact": (True, "csv spinemap pynn"),
    "scale": (3.0, "metis hmetis noxim"),
}


@pytest.mark.parametrize(
    "format", [name for name, one in FORMATS.items() if not one.needs_mapping]
)
def test_an_option_changes_the_files_of_a_format_or_is_refused(run, tmp_path, format):
    def written(**given):
        export_graph(
            run, format, ExportOptions(**given), output=tmp_path / "net", force=True
        )
        data = [
            path
            for path in content(tmp_path / "net") or [tmp_path / "net"]
            if path.name != DESCRIPTION
        ]
        return [read_datasets(path) for path in sorted(data)]

    def read_datasets(path):
        """The bytes of a file; of NIR's library, which writes the time, the arrays."""
        if format != "nir":
            return path.read_bytes()
        arrays = []
        with h5py.File(path, "r") as file:
            file.visititems(
                lambda name, item: arrays.append(
                    (name, repr(getattr(item, "shape", None) and item[()]))
                )
            )
        return arrays

    before = written()
    assert before
    assert written() == before
    for name, (value, formats) in OPTIONS.items():
        if format in formats.split():
            assert written(**{name: value}) != before, name
        else:
            with pytest.raises(
                UsageError,
                match=f"^--{name.replace('_', '-')} applies to --format .*; omit it$",
            ):
                written(**{name: value})


def test_the_next_command_that_writes_removes_what_a_killed_export_left(run):
    stamp = next(iter(run.records_of("graph")))
    folder = run.path / "exports" / stamp
    folder.mkdir(parents=True)
    child = os.fork()
    if child == 0:
        with atomic_path(folder / "mini_network_npz", force=False):
            os._exit(137)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 137
    (leftover,) = folder.glob(".mini_network_npz.*.partial")
    export_graph(run, "csv")  # only reads the run
    assert leftover.exists()
    with run.locked():
        assert not leftover.exists()


def test_killed_at_any_file_operation_an_export_has_happened_or_has_not(run, tmp_path):
    """A description is that of the data beside it, former data are kept, and exports remove what is left."""
    folder, outcomes = tmp_path / "out", set()
    folder.mkdir()

    def export(unit="step"):
        export_graph(
            run, "csv", ExportOptions(rate_unit=unit), output=folder / "net", force=True
        )

    def state():
        """The data, and the unit of rates in the description, if there is one."""
        data, description = folder / "net", folder / "net.json"
        return (
            data.read_bytes() if data.exists() else None,
            description.exists() and json.loads(description.read_text())["rate_unit"],
        )

    export("hz")
    new = state()
    export()
    old = state()
    for _ in deaths(lambda _: export("hz")):
        outcomes.add(state()[0] and state() == new)
        if state()[0] is None:
            (former,) = folder.glob(".net.*.partial/.former/net")
            assert former.read_bytes() == old[0]
        else:
            assert state() in (old, new)
        export()
        assert state() == old
        export()
        assert {path.name for path in folder.iterdir()} == {
            "net",
            "net.json",
            "net.nodes.csv",
        }
    assert outcomes == {True, False, None}


def test_exports_at_once_do_not_touch_each_other(run):
    other_threads = []

    def export_another(*_):
        if not other_threads:
            other_threads.append(export_graph(open_run(run.path), "npz"))
            with open_run(run.path).locked():
                pass

    first_graph = export_graph(open_run(run.path), "csv", progress=export_another)
    names = sorted(path.name for path in first_graph.path.parent.iterdir())
    assert [name for name in names if name[0] == "." or "csv" not in name] == [
        other_threads[0].path.name
    ]
    assert first_graph.path.name in names


def test_exports_outlive_a_graph_that_is_made_again_and_status_names_them(run):
    changed_run = Run(path=run.path)
    changed_run.graph(
        force=True
    )  # the recorded one has other bytes where another HDF5 is installed
    run = open_run(run.path)
    stamp = next(iter(run.records_of("graph")))
    for format in ("csv", "sonata", "npz"):
        export_graph(run, format)
    exported_content = content(run.path / "exports" / stamp)
    assert {"mini_network.csv", "mini_network.csv.json"} <= {
        p.name for p in (run.path / "exports" / stamp).iterdir()
    }
    assert stale_exports(run) == []
    changed_run.graph(force=True)
    assert stale_exports(changed_run.directory) == []
    changed_run.graph(pool_weight="mean")
    assert content(run.path / "exports" / stamp) == exported_content
    named_exports = stale_exports(changed_run.directory)
    assert len(named_exports) == 3
    assert f"exports/{stamp}/mini_network.csv" in named_exports
    assert verify_run(open_run(run.path)).problems == []


def test_it_says_which_graph_it_took(run):
    stamp = next(iter(run.records_of("graph")))
    Run(path=run.path).graph(weights_only=True)
    said = []
    opened_run = open_run(run.path)
    written = export_graph(opened_run, "csv", say=said.append)
    assert (
        said[0] == f"export: graph {stamp}; there are also weights: choose with --graph"
    )
    assert written.path.parent.name == written.graph == stamp
    said.clear()
    export_graph(opened_run, "csv", graph="weights", say=said.append)
    assert said[0] == "export: graph weights, made of the weights only"


def test_every_command_reads_the_graph_of_the_current_simulation(run, tmp_path):
    """It is made if it is missing, and a graph of an older simulation that is made later changes nothing."""
    said, old = [], next(iter(run.records_of("simulate")))
    face = Run(path=run.path, say=said.append)
    stamp = face.simulate(duration=20, engine="event", samples=10).directory.name
    for _ in range(2):
        assert (
            face.map(hardware="spinemap_5x5", method="sequential").record.details.graph
            == stamp
        )
        opened_run = open_run(run.path)
        assert export_graph(opened_run, "metis", force=True).graph == stamp
        assert crosscheck(opened_run, "scipy").stamp == stamp
        assert (
            f"graphs/{stamp}"
            in write_report(
                opened_run, output=tmp_path / "page.html", force=True
            ).read_text()
        )
        face.graph(simulation=old, force=True)
    assert said.count("graph: running (has not run)") == 1
    face.directory.remove([f"graphs/{stamp}"])
    write_report(open_run(run.path), say=said.append)
    assert said.count("graph: running (has not run)") == 2


def test_the_simulation_in_force_is_the_latest_that_fits_the_run(run):
    """Of the present network; else it is the latest."""
    face, old = Run(path=run.path), next(iter(run.records_of("simulate")))
    new = face.simulate(
        duration=20, engine="event", samples=10, record_spikes=0
    ).directory.name

    def in_force_with(stale=()):
        text = yaml.safe_load((run.path / "manifest.yaml").read_text())
        for stamp in stale:
            for file in text["stages"]["simulations"][stamp]["inputs"]:
                if file["path"].startswith("parse/"):
                    file["sha256"] = "0" * 64
        (run.path / "other.yaml").write_text(sealed(yaml.safe_dump(text)))
        opened_run = open_run(run.path)
        opened_run.manifest = load_manifest(run.path / "other.yaml", opened_run.kinds)
        return simulate.in_force(opened_run)

    assert in_force_with() == new
    assert in_force_with(stale=[old]) == new
    assert in_force_with(stale=[new]) == old
    assert in_force_with(stale=[old, new]) == new


def test_a_run_without_simulations_has_the_graph_of_its_weights(run):
    face = Run(path=run.path)
    face.remove(next(iter(run.records_of("simulate"))), with_dependents=True)
    with pytest.raises(UpstreamError, match="has no graph yet; `snnb graph --run-dir"):
        export_graph(open_run(run.path), "csv")
    face.graph(weights_only=True)
    assert export_graph(open_run(run.path), "csv").graph == "weights"
    with pytest.raises(
        UsageError, match="--rate-unit: a graph of weights has no rates; omit it"
    ):
        export_graph(open_run(run.path), "npz", ExportOptions(rate_unit="hz"))


@pytest.mark.parametrize("level", ["exports", "exports/{stamp}"])
def test_nothing_is_exported_through_a_link_in_the_run(run, tmp_path, level):
    stamp = next(iter(run.records_of("graph")))
    victim = tmp_path / "victim"
    victim.mkdir()
    link = run.path / level.format(stamp=stamp)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    with pytest.raises(UsageError, match="is a link, which is not followed"):
        export_graph(run, "csv", force=True)
    assert list(victim.iterdir()) == []


def test_the_description_tells_of_the_simulation(run):
    """Threshold and reset as in the simulation's own network, recorded samples as in its spike times."""
    simulation = next((run.path / "simulations").iterdir())
    for format in ("csv", "pynn"):
        written = export_graph(run, format).path
        path = (
            written / "description.json"
            if written.is_dir()
            else written.with_name(written.name + ".json")
        )
        document = json.loads(path.read_text())
        graph = run.path / "graphs" / simulation.name / "mini_network_graph.h5"
        digest = hashlib.sha256(graph.read_bytes()).hexdigest()
        assert document["graph"] == {"stamp": simulation.name, "sha256": digest}
        with h5py.File(simulation / "mini_network_INI.h5", "r") as file:
            assert document["neuron"]["threshold"] == file.attrs["threshold"]
            assert document["neuron"]["reset"] == file.attrs["reset"]
        with np.load(simulation / "spike_times.npz") as times:
            assert (
                document["simulation"]["recorded_samples"]
                == times["num_samples"]
                < document["num_samples"]
            )
            assert document["simulation"]["duration"] == times["num_steps"]
        pictures = run.path / document["simulation"]["samples_file"]
        assert (
            hashlib.sha256(pictures.read_bytes()).hexdigest()
            == document["simulation"]["samples_sha256"]
        )
        values = (
            np.load(pictures)[: document["num_samples"]]
            / document["simulation"]["pixel_scale"]
        )
        with np.load(simulation / "spike_rate_sums.npz") as sums:
            np.testing.assert_allclose(
                values.sum(axis=0) * document["num_timesteps"], sums["input"]
            )
