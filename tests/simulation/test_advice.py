"""Advice about a lost accuracy: the measured causes, largest first, and none for what so few samples cannot show."""

import shutil
from dataclasses import replace

import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.network.fidelity import Fidelity
from snnb.network.network import DROPPED
from snnb.network.read_network import write_spiking
from snnb.simulation.advice import FEW, advice, loss_advice
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.statistics import SimulationStatistics
from tests.simulation.alike import simulate_case


def _advice(
    network,
    ann,
    spikes,
    readout,
    *,
    coding="random",
    by_step=(0.5, 0.9, 0.9, 0.9),
    samples=1000,
    fidelity=None,
    **settings,
):
    statistics = SimulationStatistics.model_construct(
        num_samples=samples,
        ann_accuracy=ann,
        snn_accuracy=spikes,
        readout_accuracy=readout,
        snn_accuracy_by_timestep=list(by_step),
        readout_accuracy_by_timestep=list(by_step),
        coding={"output": coding},
    )
    settings = SimulationSettings(samples=samples, **settings)
    return loss_advice(statistics, settings, network, fidelity)


def statistics_from_rates(rates):
    """Statistics without a loss."""
    return SimulationStatistics.model_construct(
        num_samples=10, ann_accuracy=1.0, snn_accuracy=1.0, mean_rates=rates, coding={}
    )


@pytest.mark.parametrize(
    ("accuracies", "causes"),
    [
        (
            (0.922, 0.682, 0.922),
            [["--output spikes or membrane"]],
        ),  # the issue's: nothing is lost before the output
        ((0.95, 0.65, 0.8), [["--output"], ["--initial-potential 0.5", "--calibrate"]]),
        ((0.95, 0.65, 0.7), [["--initial-potential 0.5", "--calibrate"], ["--output"]]),
        ((0.95, 0.7, 0.7), [["--initial-potential 0.5", "--calibrate"]]),
        (
            (0.95, 0.7, None),
            [["--initial-potential 0.5", "--calibrate"]],
        ),  # the toolbox's
        ((0.95, 0.945, 0.95), []),  # half a point
        ((0.95, 0.938, 0.938), []),  # within the interval of 1,000 samples
    ],
)
def test_causes_come_in_the_order_of_what_they_cost(branched_case, accuracies, causes):
    lines = _advice(branched_case.network, *accuracies)
    assert len(lines) == len(causes)
    for line, words in zip(lines, causes):
        assert all(word in line for word in words)
        assert "--duration" not in line  # the accuracy no longer rises


def test_more_steps_come_first_where_the_last_half_gained(branched_case):
    (line,) = _advice(
        branched_case.network, 0.95, 0.7, 0.7, by_step=(0.1, 0.5, 0.6, 0.7)
    )
    assert line.index("--duration; the last half gained 20.0 points") < line.index(
        "--initial-potential"
    )


def test_another_duration_than_that_of_the_calibration_is_the_only_advice(
    branched_case,
):
    network = replace(branched_case.network, steps=8)
    (line,) = _advice(network, 0.95, 0.735, 0.735, duration=32)
    assert (
        "calibrated for 8 time steps, which loses 21.5 points; give --duration 8"
        in line
    )
    (line,) = _advice(network, 0.95, 0.95, 0.95, duration=32)
    assert "points" not in line
    (line,) = _advice(network, 0.95, 0.7, 0.7, coding="spikes", duration=8)
    assert "snnb parse RUN --calibrate" in line
    assert "--duration" not in line


def test_a_few_silent_layers_are_named_and_many_are_counted(branched_case):
    names = [population.name for population in branched_case.network.populations]
    assert len(names) > FEW + 1
    for silent in (names[1 : FEW + 1], names[1:]):
        rates = {name: float(name not in silent) / 2 for name in names}
        lines = advice(
            statistics_from_rates(rates),
            SimulationSettings(samples=10),
            branched_case.network,
        )
        assert len(lines) == (FEW if len(silent) == FEW else 1)
        assert silent[0] in lines[0]
        assert silent[-1] in lines[-1]


@pytest.mark.parametrize(("rate", "is_warned"), [(200, True), (1000, False)])
def test_slow_poisson_input_is_warned_about(branched_case, rate, is_warned):
    rates = {population.name: 0.5 for population in branched_case.network.populations}
    lines = advice(
        statistics_from_rates(rates),
        SimulationSettings(input="poisson", input_rate=rate),
        branched_case.network,
    )
    assert ["outweigh" in line for line in lines] == [True] * is_warned


@pytest.mark.parametrize(
    ("ann", "first_sample", "samples", "measured_on", "said"),
    [
        (0.95, 0, 1000, 1000, "12.0 of them without spikes"),
        (
            0.95,
            200,
            1000,
            1000,
            "12.0 points on the first 1,000 samples without spikes",
        ),
        (0.95, 0, 400, 1000, "12.0 points on the first 1,000 samples without spikes"),
        (0.80, 0, 1000, 1000, "12.0 points without spikes"),  # more than is lost
    ],
)
def test_a_loss_of_the_conversion_names_its_samples(
    branched_case, ann, first_sample, samples, measured_on, said
):
    fidelity = Fidelity(
        samples=measured_on,
        classifies=True,
        trained=0.95,
        after={"average_pooling": 0.83},
    )
    (line,) = _advice(
        branched_case.network,
        ann,
        0.7,
        0.7,
        first=first_sample,
        samples=samples,
        fidelity=fidelity,
    )
    cause = line.partition(": ")[2]
    assert cause.startswith(f"{said}, by max pooling → average pooling; ")


HALF, CALIBRATE = (
    "start at half the threshold (`snnb simulate RUN --initial-potential 0.5`)",
    "calibrate (`snnb parse RUN --calibrate 8`)",
)
LONGER = "calibrate for more time steps (`snnb parse RUN --calibrate 16`)"


@pytest.mark.parametrize(
    ("fixed", "remedies"),
    [
        ({}, [HALF, CALIBRATE]),
        ({"steps": 8}, [LONGER]),
        (
            {"steps": 8, "zeros": DROPPED},
            [LONGER, "prune fewer weights (--prune of parse)"],
        ),
        (
            {"weight_bits": 8},
            [
                "round weights to more bits (`snnb parse RUN --weight-bits 16`)",
                HALF,
                CALIBRATE,
            ],
        ),
    ],
)
def test_remedies_are_those_that_the_network_takes(branched_case, fixed, remedies):
    (line,) = _advice(
        replace(branched_case.network, **fixed), 0.95, 0.7, 0.7, duration=8
    )
    assert line == f"25.0 points lost (70.0% of 95.0%): {'; '.join(remedies)}"


@pytest.mark.parametrize("fixed", [{}, {"steps": 8}, {"weight_bits": 8}])
def test_no_option_is_advised_that_the_network_refuses(branched_case, fixed):
    network, (silent, full, *others_population) = (
        replace(branched_case.network, **fixed),
        branched_case.network.populations,
    )
    rates = {
        silent.name: 0.0,
        full.name: 1.0,
        **{population.name: 0.5 for population in others_population},
    }
    lines = advice(
        statistics_from_rates(rates),
        SimulationSettings(samples=10, duration=8),
        network,
    )
    assert [name in line for name, line in zip((silent.name, full.name), lines)] == [
        True,
        True,
    ]
    assert ("--threshold" in lines[1]) == (not fixed)
    assert ("--duration" in lines[0]) == ("steps" not in fixed)


@pytest.fixture
def miscalibrated_case(trained_case, tmp_path):
    """A calibrated network of which the weights of the first population have the wrong sign."""
    network = calibrate(
        trained_case.network, trained_case.x[100:], ConversionSettings(calibrate=8)
    ).network
    first_population = network.populations[0]
    weights = replace(first_population.only, kernel=-first_population.only.weights())
    path = tmp_path / "wrong_parsed.h5"
    shutil.copyfile(str(trained_case.parsed), str(path))
    write_spiking(
        network.with_populations([replace(first_population, projections=(weights,))]),
        path,
    )
    return replace(trained_case, parsed=path)


def test_a_wrong_conversion_is_named_first_and_the_labels_are_not_suspected(
    miscalibrated_case, tmp_path
):
    settings = SimulationSettings(samples=200, duration=8)
    result = simulate_case(miscalibrated_case, tmp_path / "out", settings)
    statistics = result.statistics
    assert statistics.ann_accuracy > 0.9
    first_warning, *others_warning = result.warnings
    assert first_warning.startswith(
        f"the accuracy of {statistics.snn_accuracy:.1%} is chance, and the trained network has "
        f"{statistics.ann_accuracy:.1%} on the same samples: the conversion is at fault, not the labels; "
    )
    assert "`snnb report`" in first_warning
    for line in others_warning:
        assert "labels" not in line
        assert "points lost" not in line


def test_wrong_labels_are_not_a_fault_of_the_conversion(trained_case, tmp_path):
    wrong = replace(trained_case, y=(trained_case.y + 3) % 10)
    settings = SimulationSettings(samples=200, duration=40)
    warnings = simulate_case(wrong, tmp_path / "out", settings).warnings
    assert "a shift by 3): check the order of the classes and the labels" in warnings[0]
    assert not any("at fault" in line for line in warnings)


def test_too_few_time_steps_are_named_beside_the_conversion(trained_case, tmp_path):
    settings = SimulationSettings(samples=200, duration=1)
    first_warning, *others_warning = simulate_case(
        trained_case, tmp_path / "out", settings
    ).warnings
    assert "the conversion or --duration 1 is at fault, not the labels" in first_warning
    assert any("simulate longer" in line for line in others_warning)
