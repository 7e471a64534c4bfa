"""The engine `torch` against `tensorflow`; where PyTorch is installed, as by `make test-torch`."""

import numpy as np
import pytest

from snnb.errors import InputError
from snnb.simulation.engines.choose import choose_engine
from snnb.simulation.engines.tensorflow.loop import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import simulate

SETTINGS = SimulationSettings(samples=70, duration=60, seed=5, record_spikes=2)
CHANGES = [
    {},
    {"warm_up": 23},
    {"threshold": 0.5},
    {"reset": "zero"},
    {"initial_potential": 0.5, "threshold": 2.0},
    {"input": "poisson", "input_rate": 700.0},
    {"input": "poisson", "threshold": 0.5, "reset": "zero"},
]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def _run(engine, case, settings):
    spikes = []
    counted = engine(case.network, settings).simulate(case.x[:70], 0, spikes.append)
    return counted, np.concatenate(spikes, axis=1)


def _engines(torch):
    from snnb.simulation.engines.torch.loop import TorchEngine

    return TensorFlowEngine, TorchEngine


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_where_sums_are_exact_every_spike_is_tensorflows(torch, exact, change):
    (one, one_spikes), (two, two_spikes) = (_run(e, exact, SETTINGS.changed(**change)) for e in _engines(torch))
    assert list(one.counts) == list(two.counts)
    for name, counts in one.counts.items():
        assert counts.any()
        np.testing.assert_array_equal(two.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(two_spikes, one_spikes)
    np.testing.assert_array_equal(two.late, one.late)
    np.testing.assert_allclose(two.readout, one.readout, atol=1e-4)
    assert list(one.spikes) == list(two.spikes)
    for name, table in one.spikes.items():
        np.testing.assert_array_equal(two.spikes[name], table, err_msg=name)


@pytest.mark.parametrize("name", ["trained", "branched"])
def test_of_a_thousand_counts_at_most_one_differs_by_one(torch, request, name):
    case = request.getfixturevalue(name)
    (one, _), (two, _) = (_run(e, case, SETTINGS) for e in _engines(torch))
    differences = np.concatenate([(two.counts[name] - one.counts[name]).ravel() for name in one.counts])
    assert np.abs(differences).max() <= 1
    assert (differences != 0).mean() <= 1e-3


def test_a_sample_counts_the_same_in_any_batch(torch, trained, monkeypatch):
    from snnb.simulation.engines.torch import loop

    whole, _ = _run(loop.TorchEngine, trained, SETTINGS)
    monkeypatch.setattr(loop, "LARGEST_BATCH", 16)
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
    monkeypatch.setattr("snnb.simulation.engines.choose.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'snnb\[torch\]'"):
        choose_engine(trained.network, SETTINGS.changed(engine="torch"))
    assert choose_engine(trained.network, SETTINGS)[0] == "event"
