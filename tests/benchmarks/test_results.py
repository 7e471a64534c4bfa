"""docs/results.md and docs/models.md against the records of benchmarks/results.py, and what these records state."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "results.py"
spec = importlib.util.spec_from_file_location("results", str(FILE))
results = importlib.util.module_from_spec(spec)
spec.loader.exec_module(results)
ROWS = results.read_rows()


def test_the_pages_have_the_figures_of_the_records(monkeypatch):
    monkeypatch.setattr("sys.argv", ["results.py", "--check"])
    with pytest.raises(SystemExit) as exit_info:
        results.main()
    assert exit_info.value.code == 0


@pytest.mark.parametrize(
    "row", list(ROWS.values()), ids=lambda row: "-".join(map(str, row.key))
)
def test_a_record_counts_pictures(row):
    right, readout, spikes, same, worse = (
        share * row.samples
        for share in (row.ann, row.readout, row.spikes, row.same, row.worse)
    )
    assert np.allclose(
        [right, readout, spikes, same, worse],
        np.rint([right, readout, spikes, same, worse]),
        atol=0.01,
    )
    better = readout - (right - worse)
    # pictures of which only one of the two classes is right have two classes
    assert -0.01 < better <= row.samples - right + 0.01
    assert worse + better <= row.samples - same + 0.01


def test_the_interval_of_a_loss_is_that_of_paired_differences():
    random = np.random.default_rng(0)
    ann, readout = random.random((2, 1017)) < np.array([[0.92], [0.9]])
    shares = ann.mean(), readout.mean(), 0.0, 0.5, (ann & ~readout).mean()
    row = results.Row(
        "net", "", "", "original", 1017, "calibrated", 8, *shares, 24, 16, 1.0, 1.0
    )
    loss, half = row.lost
    differences = ann.astype(float) - readout
    assert loss == pytest.approx(100 * differences.mean())
    assert half == pytest.approx(196 * differences.std() / np.sqrt(1017))
