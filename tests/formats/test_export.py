"""Properties of every format: options, estimates; no incomplete file is left."""

from pathlib import Path

import pytest

from snnb.core.errors import UsageError
from snnb.formats.all import FORMATS
from snnb.formats.request import Request
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras


@pytest.mark.parametrize("format", sorted(name for name, one in FORMATS.items() if not one.needs_mapping))
def test_an_existing_target_is_kept_unless_forced(graph, tmp_path, spike_times, format):
    target = tmp_path / "out"
    target.write_text("precious")
    with pytest.raises(UsageError, match=r"out exists.*--force"):
        export(graph, format, target, Request(spike_times=spike_times))
    assert target.read_text() == "precious"
    told = []
    export(
        graph, format, target, Request(spike_times=spike_times, progress=lambda *seen: told.append(seen)), force=True
    )
    assert told[-1][0] == told[-1][1] > 0
    first = sorted(target.rglob("*"))
    export(graph, format, target, Request(spike_times=spike_times), force=True)
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "out.json", "out.nodes.csv"}
    assert sorted(target.rglob("*")) == first


def test_a_target_without_a_name(graph):
    with pytest.raises(UsageError, match="is not a file name"):
        export(graph, "csv", Path())


def test_names_that_are_no_names_of_files(tmp_path):
    """Keras takes `/` in a name."""
    source = LAYERS.Input((3,), name="input")
    first = LAYERS.Dense(2, name="block/../../first")(source)
    parsed = save(keras.Model(source, LAYERS.Dense(2, name="s" * 150)(first)), tmp_path / "net_parsed.h5")
    (tmp_path / "inner").mkdir()
    with build_graph(parsed, tmp_path / "net_graph.h5") as graph:
        for format in ("npz", "pynn", "sonata"):
            export(graph, format, tmp_path / "inner" / format)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner", "net_graph.h5", "net_parsed.h5"]
    names = {path.name for path in (tmp_path / "inner" / "npz").iterdir()}
    assert "0000_input__block_.._.._first.npz" in names
    assert f"0001_block_.._.._first__{'s' * 80}.npz" in names
