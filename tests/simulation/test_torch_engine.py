"""The engine `torch` against `tensorflow`; where PyTorch is installed, as by `make test-torch`."""

import sys

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.rundir.versions import current_environment
from snnb.simulation.engines.choose import choose_engine
from snnb.simulation.engines.tensorflow.loop import TensorFlowEngine
from snnb.simulation.simulate import simulate
from tests.simulation.alike import (
    CHANGES,
    SETTINGS,
    assert_every_spike_is_the_same,
    assert_of_a_thousand_counts_at_most_one_differs_by_one,
    simulated,
)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def _engines(torch):
    from snnb.simulation.engines.torch.loop import TorchEngine

    return TensorFlowEngine, TorchEngine


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_where_sums_are_exact_every_spike_is_tensorflows(torch, exact, change):
    assert_every_spike_is_the_same(_engines(torch), exact, SETTINGS.changed(**change))


@pytest.mark.parametrize("name", ["trained", "branched"])
def test_of_a_thousand_counts_at_most_one_differs_by_one(torch, request, name):
    assert_of_a_thousand_counts_at_most_one_differs_by_one(_engines(torch), request.getfixturevalue(name))


def test_a_sample_counts_the_same_in_any_batch(torch, trained, monkeypatch):
    from snnb.simulation.engines.torch import loop

    whole, _ = simulated(loop.TorchEngine, trained, SETTINGS)
    monkeypatch.setattr(loop, "LARGEST_BATCH", {"cpu": 16, "cuda": 16})
    for start in range(0, 70, 16):
        part = loop.TorchEngine(trained.network, SETTINGS).simulate(
            trained.x[start : start + 16][: 70 - start], start, len
        )
        for name, counts in part.counts.items():
            np.testing.assert_array_equal(counts, whole.counts[name][start : start + 16], err_msg=name)


def test_a_whole_simulation(torch, trained, tmp_path):
    folder = tmp_path / "sim"
    folder.mkdir()
    result = simulate(
        trained.parsed,
        folder,
        name="mini",
        x=np.round(trained.x * 16).astype(np.uint8),
        y=trained.y,
        scale=16,
        class_names=[str(i) for i in range(10)],
        num_classes=10,
        settings=SETTINGS.changed(engine="torch"),
    )
    assert (result.engine, result.engine_reason) == ("torch", "asked for")
    assert result.snn_accuracy > 0.8


def test_it_is_taken_where_tensorflow_cannot_use_the_card(torch, trained, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert choose_engine(trained.network, SETTINGS) == ("torch", "TensorFlow 2.2 cannot use the GPU NVIDIA H100")


def test_without_pytorch_it_says_what_to_install(trained, monkeypatch):
    for place in ("snnb.simulation.engines.choose", "snnb.simulation.simulation_settings"):
        monkeypatch.setattr(f"{place}.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install '\.\[torch\]'"):
        choose_engine(trained.network, SETTINGS.changed(engine="torch"))
    assert choose_engine(trained.network, SETTINGS)[0] == "event"


def test_its_version_and_its_gpu_are_recorded(torch, trained, monkeypatch):
    choose_engine(trained.network, SETTINGS.changed(engine="torch"))
    found = current_environment()
    assert (found.torch, found.device) == (torch.__version__.split("+")[0], "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert current_environment().device == "gpu"  # though TensorFlow sees none
    monkeypatch.delitem(sys.modules, "torch")
    assert (current_environment().torch, current_environment().device) == (None, "cpu")
