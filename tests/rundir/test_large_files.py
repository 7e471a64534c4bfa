"""Files of a received run that claim to be large, or are pipes: named, and not read."""

import os
import shutil
from pathlib import Path

import pytest

from snnb.cli.main import main
from tests.end_to_end.conftest import RECORDED


def peak_kilobytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


@pytest.mark.parametrize("name", ["manifest.yaml", ".hashes.json", ".journal.json"])
def test_a_text_file_of_a_run_that_claims_gigabytes_is_refused_unread(
    name, tmp_path, capsys
):
    """4 GB on paper, a few bytes on the disk; the journal begins as snnb's do."""
    run = tmp_path / "run"
    shutil.copytree(RECORDED, run)
    with (run / name).open("ab") as file:
        file.write(b'{"seal":')
        file.truncate(4_000_000_000)
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = peak_kilobytes()
    assert main(["graph", "--run-dir", str(run), "--force", "--quiet"]) == 3
    message = capsys.readouterr().err
    assert name in message
    assert "4,000,000,0" in message
    assert peak_kilobytes() - before < 1_000_000


def test_a_pipe_in_place_of_the_lock_is_named(tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(RECORDED, run)
    os.mkfifo(run / ".lock")
    assert main(["graph", "--run-dir", str(run), "--force", "--quiet"]) == 3
    assert f"{run}/.lock" in capsys.readouterr().err
