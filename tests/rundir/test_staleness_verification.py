from types import SimpleNamespace

import pytest

from snnb.pipeline.map import MapParams
from snnb.pipeline.stage import changed_options, stale_reason
from snnb.results.verify import verify_run


@pytest.fixture
def prepared(run, write):
    with run.locked():
        write(run, "first")
    return run


def test_an_option_that_is_not_given_keeps_its_recorded_value(prepared):
    record = prepared.record_of("prepare")
    assert changed_options(record, {}) == []
    assert changed_options(record, {"seed": 0, "norm_samples": 3}) == []
    assert changed_options(record, {"seed": 1}) == ["seed: 0 → 1"]


def test_an_option_without_a_value_is_shown_as_not_given():
    record = SimpleNamespace(params=MapParams(hardware="loihi"))
    assert changed_options(record, {"partition": "/parts"}) == ["partition: not given → /parts"]


def test_how_to_work_is_no_reason_to_run_again(prepared, tmp_path):
    assert changed_options(prepared.record_of("prepare"), {"data_dir": tmp_path}) == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "dataset/x.npy is missing"),
        (lambda path: path.write_text("firs"), "dataset/x.npy is not as it was written"),
        (lambda path: path.write_text("thirs"), "dataset/x.npy is not as it was written"),
    ],
)
def test_damaged_output_is_found_by_status_and_verify(prepared, damage, reason):
    assert stale_reason(prepared, prepared.record_of("prepare"), {}) is None
    assert verify_run(prepared).problems == []
    damage(prepared.path / "dataset" / "x.npy")
    assert stale_reason(prepared, prepared.record_of("prepare"), {}) == reason
    assert len(verify_run(prepared).problems) == 1
