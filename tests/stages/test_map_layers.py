"""`snnb map` onto a chip that takes whole layers: files, what is recorded, and refusals with their table."""

import shutil
from dataclasses import replace

import pytest

from snnb import Run
from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import InputError, UsageError
from snnb.core.quantities import number
from snnb.mapping.layers.assignment import assign_layers
from snnb.mapping.layers.layer_cost import LayerCost
from snnb.mapping.notes import layer_notes
from snnb.report.write_report import write_report
from snnb.results.status import status_of
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run
from snnb.stages.states import state_of_stages
from tests.mapping.layers.test_assignment import Layers

SMALL = """
name: small
cores:
  - {kernel: 64, neurons: 256, biases: 4}
  - {kernel: 512, neurons: 64, biases: 10}
  - {kernel: 512, neurons: 64, biases: 10}
layer: {pooling: [2]}
source: a test
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_a_mapping_of_layers_is_recorded_shown_and_reported(run):
    face = Run(path=run.path)
    result = face.map(hardware="speck2f")
    assert {path.name for path in result.directory.iterdir()} == {
        "cost.json",
        "layers.png",
        "log.txt",
    }
    cost = LayerCost.read(result.directory / "cost.json")
    traffic = cost.traffic
    peak = cost.busiest_core.core_events_peak
    assert result.metrics == {"cores": 3, **dict(traffic), "core_events_peak": peak}
    details = result.record.details
    assert (details.mesh, details.neurons) == (None, 256 + 32 + 10)
    assert details.traffic == traffic
    assert cost.units == {
        "cores": "",
        "connectivity": "spikes/sample",
        "outside_spikes": "spikes/sample",
        "synaptic_operations": "per sample",
        "core_events_peak": "per step",
    }
    pooled_warning, bits, current, softmax = result.record.warnings
    assert pooled_warning.startswith(
        "01AveragePooling2D_4x4x4: pooling neurons of the simulation; speck2f has none and sums"
    )
    assert "`snnb parse RUN --weight-bits 8`" in bits
    assert current.startswith("input sends currents: ")
    assert softmax.startswith("04Dense_10: a softmax")
    log = (result.directory / "log.txt").read_text()
    assert (
        "layer           kernel  neurons  biases  fits cores         core\n00Conv2D_8x8x4  64      256      4 "
        in log
    )
    assert verify_run(open_run(run.path)).problems == []
    assert face.map(hardware="speck2f").record.timing == result.record.timing
    (summary,) = status_of(open_run(run.path), []).mappings
    assert (summary.chip, summary.details) == ("speck2f", details)
    assert (details.hardware, details.method, details.cores.cores) == (
        "speck2f",
        "layers",
        3,
    )
    assert (details.energy, details.sequential) == (None, None)
    page = write_report(open_run(run.path)).read_text()
    assert "whole layers onto cores of speck2f" in page
    assert number(cost.layers[1].synaptic_operations).value in page
    assert (
        face.plot("layers").axes[0].get_title(loc="left")
        == "memory of the cores of speck2f"
    )
    with pytest.raises(InputError, match="plot `layers`"):
        face.plot("mapping")
    with pytest.raises(UsageError, match="each layer has one core of speck2f"):
        face.export("sanafe", map=result.directory.name)


def test_pooling_before_a_dense_layer_is_composed_by_calibration():
    layers = Layers(8, 8, 1)
    layers.conv(2, padding="same")
    layers.pool(2)
    layers.dense(3, name="out")
    speck, network = read_hardware("speck2f"), layers.network
    placement = assign_layers(network, speck)
    _, composition_note, bits = layer_notes(network, speck, placement, [])
    assert composition_note.startswith(
        "out: `snnb parse RUN --calibrate 16` composes the pooling with the Dense layer"
    )
    assert "`snnb parse RUN --weight-bits 8`" in bits
    assert (
        len(
            list(
                layer_notes(
                    replace(network, steps=8, weight_bits=8), speck, placement, []
                )
            )
        )
        == 1
    )


def test_an_own_chip_and_a_changed_one(run, small):
    face = Run(path=run.path)
    result = face.map(hardware=str(small))
    assert [
        row.core for row in LayerCost.read(result.directory / "cost.json").layers
    ] == [0, 1, 2]
    small.write_text(SMALL.replace("name: small", "name: other"))
    assert {
        state.reason for state in state_of_stages(open_run(run.path)) if state.reason
    } == {f"{small} has changed"}
    assert face.map(hardware=str(small)).record.details.hardware == "other"


def test_a_network_that_does_not_fit_ends_with_its_table_and_one_line(run, small, snnb):
    small.write_text(SMALL.replace("kernel: 512", "kernel: 511"))
    *lines, reason = snnb(
        "map", run.path, "--hardware", small, code=3
    ).stderr.splitlines()
    start = lines.index("map: layers on small")
    table = [line.split() for line in lines[start + 1 :]]
    assert table == [
        ["layer", "kernel", "neurons", "biases", "fits", "cores", "core", "exceeds"],
        ["00Conv2D_8x8x4", "64", "256", "4", "0", "0"],
        ["02Conv2D_2x2x8", "512", "32", "8", "–", "kernel"],
        ["04Dense_10", "512", "10", "10", "–", "kernel"],
    ]
    assert reason == (
        "snnb: small: layer 02Conv2D_2x2x8 has 512 entries of kernel, 1 more than the 511 of the largest core; at most "
        "4 of its 8 output channels or 3 of its 4 input channels fit (and 1 more in the table)"
    )
    assert not (run.path / "maps").exists()


def test_it_is_refused_before_a_simulation(run, small):
    small.write_text(SMALL.replace("kernel: 512", "kernel: 511"))
    for folder in ("simulations", "graphs"):
        shutil.rmtree(run.path / folder)
    face = Run(path=run.path)
    with pytest.raises(InputError, match="1 more than the 511 of the largest core"):
        face.map(hardware=str(small))
    assert not (run.path / "simulations").exists()


def test_a_sweep_names_the_cores_or_the_reason(run, small):
    small.write_text(SMALL.replace("kernel: 512", "kernel: 511"))
    points = Run(path=run.path).sweep({"hardware": ["speck2f", str(small)]})
    assert [(point.chip.cores, point.chip.chips) for point in points] == [
        (3, 1),
        (None, None),
    ]
    assert "1 more than the 511" in points[1].chip.note
