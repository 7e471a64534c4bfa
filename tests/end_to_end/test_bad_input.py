"""Broken files in a run: one line, the exit code of the contract, a truthful status, and a next run that works."""

from snnb.pipeline.open_run import open_run
from snnb.pipeline.plan import state_of_stages
from snnb.results.verify import verify_run


def status_of(run):
    return {state.name: state.reason for state in state_of_stages(open_run(run.path))}


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_file_cut_in_half_is_seen_and_made_again(run, snnb):
    file = "parse/mini_network_parsed.h5"
    cut_in_half(run.path / file)
    assert status_of(run)["parse"] == f"{file} is not as it was written"
    assert snnb("verify", run.path).returncode == 5
    result = snnb("run", "--run-dir", run.path, "--quiet")
    assert result.returncode == 0, result.stderr
    assert verify_run(open_run(run.path)).problems == []
    assert status_of(run)["parse"] is None


def test_a_manifest_that_is_wrong_stops_every_command_and_changes_nothing(run, snnb):
    path = run.path / "manifest.yaml"
    path.write_text(path.read_text().replace("epochs: 8", "epochs: eight", 1))
    before = sorted((p, p.stat().st_mtime_ns) for p in run.path.rglob("*") if not p.name.startswith(".lock"))
    for command in (["status"], ["verify"], ["train", "--force"], ["graph", "--force"]):
        result = snnb(*command, run.path)
        assert result.returncode == 3
        assert "stages.train.params.epochs" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    assert sorted((p, p.stat().st_mtime_ns) for p in run.path.rglob("*") if not p.name.startswith(".lock")) == before


def test_more_samples_than_there_are_are_refused_before_training(tmp_path, snnb):
    result = snnb("run", "--model", "mini_network", "--samples", "361", "--run-dir", tmp_path / "run", "--quiet")
    assert result.returncode == 2
    assert "the test set has 360" in result.stderr
    assert (tmp_path / "run" / "dataset").exists()
    assert not (tmp_path / "run" / "train").exists()
