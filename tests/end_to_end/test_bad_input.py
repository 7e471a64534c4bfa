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


def test_more_samples_than_there_are_are_refused_before_training(tmp_path, snnb):
    result = snnb("run", "--model", "mini_network", "--samples", "361", "--run-dir", tmp_path / "run", "--quiet")
    assert result.returncode == 2
    assert "the test set has 360" in result.stderr
    assert (tmp_path / "run" / "dataset").exists()
    assert not (tmp_path / "run" / "train").exists()
