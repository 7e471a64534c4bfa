"""docs/datasets.md names every data set as its specification does."""

from pathlib import Path

from snnb.datasets import dataset_names, describe
from snnb.datasets.folder import spec_of

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


def table():
    """The page's table, from the specifications."""
    rows = [
        "| name | what | becomes | classes | training + test | layout on disk | licence | source |",
        "|---|---|---|---:|---:|---|---|---|",
    ]
    for spec in [*map(describe, dataset_names()), spec_of("folder:DIR")]:
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
        rows.append(f"| {' | '.join(cells)} |".replace("<", "\\<"))  # else read as a tag
    return "\n".join(rows)


def test_the_table_is_that_of_the_specifications():
    assert table() in PAGE.read_text(encoding="utf-8"), f"the table of {PAGE.name} should now read:\n{table()}"
