"""From a recorded run to cores, typed as a person types it: map, status, again, stale, forced, interrupted."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from snnb.pipeline.open_run import open_run
from snnb.rundir.verification import verify_run

COMMAND = [sys.executable, "-c", "from snnb.cli.app import app; app()"]


def snnb(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True)


def mapped(run, *arguments):
    method = [] if "--partition" in arguments else ["--method", "sequential"]  # quick
    result = snnb("map", "--run-dir", run.path, "--hardware", "spinemap_5x5", *method, *arguments)
    assert result.returncode == 0, result.stderr
    return result


def test_map_status_again_and_after_another_graph(run):
    first = mapped(run)
    assert "map: running (has not run)" in first.stderr
    stamp = next(iter(open_run(run.path).records_of("map")))
    directory = run.path / "maps" / stamp
    assert first.stdout.splitlines()[0] == f"map  ran  {directory}"
    pictures = [f"picture: {directory / name}" for name in ("mapping.png", "traffic.png")]
    assert first.stdout.splitlines()[1].split()[0] == "cores"
    assert first.stdout.splitlines()[-2:] == pictures
    assert f"maps/{stamp}" in snnb("status", run.path).stdout
    again = mapped(run)
    assert "map: up to date" in again.stderr
    assert again.stdout == first.stdout.replace("  ran  ", "  up to date  ")
    assert snnb("verify", run.path).returncode == 0
    assert snnb("graph", "--run-dir", run.path, "--pool-weight", "mean", "--quiet").returncode == 0
    stages = json.loads(snnb("status", run.path, "--json").stdout)["stages"]
    (reason,) = [stage["reason"] for stage in stages if stage["stage"] == f"maps/{stamp}"]
    assert reason.endswith("mini_network_graph.h5 has changed")
    assert f"running ({reason})" in mapped(run).stderr
    assert list(open_run(run.path).records_of("map")) == [stamp]


def test_json_is_one_document(run):
    document = json.loads(mapped(run, "--json", "--quiet").stdout)
    stage = document["stages"][-1]
    assert (stage["stage"], stage["ran"]) == ("map", True)
    assert stage["details"]["hardware"] == "spinemap_5x5"
    assert stage["metrics"]["connectivity"] <= stage["metrics"]["sequential_connectivity"]
    forced = json.loads(mapped(run, "--json", "--quiet", "--force").stdout)["stages"][-1]
    assert (forced["reason"], forced["directory"]) == ("forced", stage["directory"])
    assert forced["metrics"] == stage["metrics"]
    error = snnb("map", "--run-dir", run.path, "--hardware", "lohi", "--json", "--quiet")
    assert json.loads(error.stdout)["exit_code"] == error.returncode == 2


def test_a_partition_goes_out_and_comes_back(run, tmp_path):
    """The numbering is that of the snn and hmetis exports."""
    mapped(run)
    (directory,) = (run.path / "maps").iterdir()
    assert snnb("export", run.path, "--format", "snn", "--output", tmp_path / "net.snn").returncode == 0
    nodes = int(np.fromfile(tmp_path / "net.snn", "<u4", 1)[0])
    lines = (directory / "partition.txt").read_text().splitlines()
    assert len(lines) == nodes == 362
    (tmp_path / "partition").write_text("\n".join(lines))
    stage = json.loads(mapped(run, "--partition", tmp_path / "partition", "--json", "--quiet").stdout)["stages"][-1]
    here = open_run(run.path).record_of("map", directory.name)
    assert stage["metrics"]["connectivity"] == here.metrics["connectivity"]
    assert stage["metrics"]["cores"] == here.metrics["cores"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_answers_at_once_and_leaves_nothing(run, sent):
    before = (run.path / "manifest.yaml").read_bytes()
    process = subprocess.Popen(
        [*COMMAND, "map", "--run-dir", str(run.path), "--hardware", "spinemap_5x5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not list(run.path.rglob(".incomplete-*")):
        time.sleep(0.005)
    begin = time.monotonic()
    process.send_signal(sent)
    _, errors = process.communicate()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent], errors
    assert time.monotonic() - begin < 10  # a hang, not a measurement
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("snnb: interrupted; the run is as it was before `map`")
    assert (run.path / "manifest.yaml").read_bytes() == before
    with open_run(run.path).locked():
        assert not (run.path / "maps").exists()


def test_a_directory_that_is_a_link_stays_one(run, tmp_path):
    mapped(run)
    (directory,) = (run.path / "maps").iterdir()
    elsewhere = tmp_path / "disk"
    directory.rename(elsewhere)
    directory.symlink_to(elsewhere)
    old = (elsewhere / "cost.json").stat().st_mtime_ns
    mapped(run, "--force")
    assert directory.is_symlink()
    assert (elsewhere / "cost.json").stat().st_mtime_ns > old
    assert verify_run(open_run(run.path)).problems == []


def test_hardware_lists_what_map_knows_by_name():
    chips = json.loads(snnb("hardware", "--json").stdout)
    assert {chip["name"]: chip["cores"] for chip in chips}["loihi"] == 128
    assert all(chip["source"] for chip in chips)
    lines = snnb("hardware").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [chip["name"] for chip in chips]
    assert "65,536" in lines[-2]


def test_it_needs_no_tensorflow(run):
    forbid = "import sys; sys.modules['tensorflow'] = sys.modules['snntoolbox'] = None; "
    command = [sys.executable, "-c", forbid + COMMAND[-1], "map", "--run-dir", str(run.path), "--hardware", "loihi"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
