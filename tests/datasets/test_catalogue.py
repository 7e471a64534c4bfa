import subprocess
import sys

import pytest

from snnb.core.errors import UsageError
from snnb.datasets import available, dataset_names, describe


def test_every_data_set_is_described():
    for name in dataset_names():
        spec = describe(name)
        assert spec.name == name
        assert spec.licence
        assert spec.source
        assert spec.how_to_get
        if spec.class_names is not None:
            assert len(set(spec.class_names)) == spec.num_classes


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"unknown data set cifar_10: did you mean cifar10\?"):
        describe("cifar_10")
    with pytest.raises(UsageError, match=r"there are .*digits.*mnist"):
        describe("zzz")


def test_digits_are_always_there_and_what_is_not_on_disk_is_not(tmp_path):
    assert (available("digits", tmp_path) / "digits.csv.gz").is_file()
    assert available("mnist", tmp_path) is None
    assert available("cifar10", tmp_path) is None


def test_listing_the_data_sets_imports_neither_numpy_nor_anything_heavier():
    program = (
        "import sys, pathlib, snnb.datasets as d;"
        "[(d.describe(n), d.available(n, pathlib.Path('.'))) for n in d.dataset_names()];"
        "print([m for m in ('numpy', 'PIL', 'sklearn', 'requests', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
