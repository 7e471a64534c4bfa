from pathlib import Path

import pytest

from snnb.core.errors import UsageError
from snnb.datasets import event_files, pictures
from snnb.datasets.catalogue import available, dataset_names, find_dataset

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        UsageError, match=r"unknown data set cifar_10: did you mean cifar10\?"
    ):
        find_dataset("cifar_10")
    with pytest.raises(UsageError, match=r"there are .*digits.*mnist"):
        find_dataset("zzz")


def test_digits_are_always_there_and_what_is_not_on_disk_is_not(tmp_path):
    assert (available("digits", tmp_path) / "digits.csv.gz").is_file()
    assert available("mnist", tmp_path) is None
    assert available("cifar10", tmp_path) is None


def table():
    rows = [
        "| name | contents | becomes | classes | training + test | layout on disk | licence | source |",
        "|---|---|---|---:|---:|---|---|---|",
    ]
    for spec in [
        *(find_dataset(name).spec for name in dataset_names()),
        pictures.SPEC,
        event_files.SPEC,
    ]:
        cells = [
            f"`{spec.name}`",
            spec.title,
            "×".join(map(str, spec.shape)) if spec.shape else "as the model takes",
            str(spec.num_classes or "as on disk"),
            "{:,} + {:,}".format(*spec.samples) if spec.samples else "as on disk",
            spec.layout or "none: it is part of a package",
            spec.licence,
            spec.source + ("; downloaded when missing" if spec.download else ""),
        ]
        rows.append(
            f"| {' | '.join(cells)} |".replace("<", "\\<")
        )  # else read as a tag
    return "\n".join(rows)


def test_the_page_has_the_table_of_the_specifications():
    assert table() in PAGE.read_text(encoding="utf-8"), (
        f"the table of {PAGE.name} should now read:\n{table()}"
    )
