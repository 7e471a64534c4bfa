"""Choice of a class by name or number, and the graph of one class."""

import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.graph.build import SampleClass, build_graph, choose_class, read_classes
from tests.graph.conftest import CODING
from tests.graph.networks import counts_of, save_counts

NAMES = ["1", "10", "2", "tench, Tinca", "été $x$\nb", "none of it"]
CLASSES = [SampleClass(number, name, 0 if name.startswith("none") else 3) for number, name in enumerate(NAMES)]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [("1", 0), ("10", 1), ("2", 2), ("3", 3), ("tench, Tinca", 3), ("été $x$\\nb", 4)],
)
def test_a_name_comes_before_a_number(wanted, number):
    assert choose_class(CLASSES, wanted).number == number


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("tench", r"--class tench: there is no such class; there are 6, named or numbered"),
        ("8", "--class 8: there is no such class; there are 6, named or numbered from 0: 1, 10, 2"),
        ("none of it", "--class none of it: none of the simulated samples is of this class; simulate more --samples"),
        ("5", "--class none of it: none of the simulated samples"),
    ],
)
def test_what_is_no_class_of_the_simulation(wanted, words):
    with pytest.raises(UsageError, match=words):
        choose_class(CLASSES, wanted)


@pytest.fixture
def by_class(model, tmp_path):
    """Counts of three classes of 1, 0 and 4 samples."""
    rows = [counts_of(model, seed) for seed in (1, 2, 3)]
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0] if rows[0][name].ndim}
    stacked.update({name: rows[0][name] for name in rows[0] if not rows[0][name].ndim} if "dt_ms" in rows[0] else {})
    path = save_counts(tmp_path / "spike_counts_by_class.npz", stacked)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **arrays, class_names=np.array(["a", "b", "c"]), samples_by_class=np.array([1, 0, 4]))
    return path


def test_the_graph_of_a_class_is_that_of_its_counts_alone(model, parsed, by_class, tmp_path):
    chosen = read_classes(by_class)[2]
    assert (chosen.name, chosen.samples) == ("c", 4)
    alone = save_counts(tmp_path / "alone.npz", counts_of(model, 3))  # of four samples too
    with build_graph(parsed, tmp_path / "one.h5", counts=by_class, coding=CODING, of_class=chosen) as one, build_graph(
        parsed, tmp_path / "two.h5", counts=alone, coding=CODING
    ) as two:
        assert (one.class_name, two.class_name) == ("c", None)
        assert one.recording == two.recording
        for mine, other in zip(one.populations, two.populations):
            np.testing.assert_array_equal(mine.spike_count, other.spike_count)
        assert (one.to_scipy("edge") != two.to_scipy("edge")).nnz == 0
        assert one.describe()["class_name"] == one.to_networkx().graph["class_name"] == "c"
        assert "class_name" not in two.describe()
