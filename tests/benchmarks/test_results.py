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
    with pytest.raises(SystemExit) as ended:
        results.main()
    assert ended.value.code == 0


def test_a_record_that_changes_or_a_page_that_is_edited_is_noticed(monkeypatch, tmp_path):
    page = tmp_path / "results.md"
    text = results.PAGE.read_text(encoding="utf-8")
    monkeypatch.setattr(results, "WRITTEN", {page: results.with_tables})
    monkeypatch.setattr("sys.argv", ["results.py", "--check"])
    row = next(row for row in ROWS.values() if row.method == "calibrated")
    page.write_text(text.replace(results.percent(row.readout), "12.3"), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        results.main()
    assert "-| `" in ended.value.code
    assert "12.3" in ended.value.code


@pytest.mark.parametrize("row", list(ROWS.values()), ids=lambda row: "-".join(map(str, row.key)))
def test_a_record_counts_pictures(row):
    right, readout, spikes, same, worse = (
        share * row.samples for share in (row.ann, row.readout, row.spikes, row.same, row.worse)
    )
    assert np.allclose([right, readout, spikes, same, worse], np.rint([right, readout, spikes, same, worse]), atol=0.01)
    better = readout - (right - worse)
    # pictures of which only one of the two classes is right have two classes
    assert -0.01 < better <= row.samples - right + 0.01
    assert worse + better <= row.samples - same + 0.01


def test_the_interval_of_a_loss_is_that_of_paired_differences():
    random = np.random.default_rng(0)
    ann, readout = random.random((2, 1017)) < np.array([[0.92], [0.9]])
    shares = ann.mean(), readout.mean(), 0.0, 0.5, (ann & ~readout).mean()
    row = results.Row("net", "", "", "original", 1017, "calibrated", 8, *shares, 24, 16, 1.0, 1.0)
    loss, half = row.lost
    differences = ann.astype(float) - readout
    assert loss == pytest.approx(100 * differences.mean())
    assert half == pytest.approx(196 * differences.std() / np.sqrt(1017))


def test_a_loss_of_less_than_half_a_tenth_has_no_sign():
    row = results.Row("net", "", "", "MNIST", 10_000, "calibrated", 8, 0.9902, 0.9904, 0.0, 1.0, 0.0, 24, 16, 1.0, 1.0)
    assert results.points(row).startswith("0.0 ± ")


def test_operations_have_three_digits():
    values = (1_234, 99_960, 999_600, 1_234_000, 42_480_000, 999_600_000, 1_900_000_000)
    assert list(map(results.quantity, values)) == ["1.23k", "100k", "1.00M", "1.23M", "42.5M", "1,000M", "1,900M"]
