"""Advice of a simulation: what is unusual in its statistics, and what to change.

`advice` calls each condition, in the order in which its lines are printed. A condition
is a function that returns its lines; the list is empty if the condition does not hold.
Accuracies are fractions of 1, and a point is 0.01.
"""

from typing import List, NamedTuple, Optional

import numpy as np

from snnb.core.recommendation import (
    MAX_CALIBRATED_STEPS,
    MAX_WEIGHT_BITS,
    recommend,
)
from snnb.network.fidelity import CHANGES, Fidelity
from snnb.network.network import Network
from snnb.simulation.accuracy import chance_warning, is_close_to_chance, wilson_interval
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.statistics import SimulationStatistics

# At a lower rate a pixel of 1 gives less than the spike a step that its current would
# be, but biases act in full.
FULL_RATE = 1000.0
# A population whose mean rate is above this share of the highest possible one spikes at
# nearly every step.
SATURATED = 0.99
FEW = 5  # names of layers in a message
LEAST_LOSS = 0.01  # a smaller fraction of the samples is not reported as a loss

# What to do about a layer that never spikes, by the origin of the network's thresholds
SILENCE_REMEDIES = {
    "lava-dl": "check the pixels, or --bin-us of events",
    "nir": "check --time-step and --nir-reset, and --bin-us of events",
    "calibrated": "calibrate for more time steps ({more_steps}), or parse with a lower "
    "--percentile",
    "normalised": "simulate longer (--duration), or parse with a lower --percentile",
}
# Why spikes of the output have another accuracy than the read-out, by whether they are
# random
OUTPUTS = {
    True: "random spikes of a softmax; use --output spikes or membrane",
    False: "--output membrane reads out",
}


class Cause(NamedTuple):
    """A place in the network where accuracy is lost."""

    lost: float
    description: str  # the place, with accuracies and remedies


def advice(
    statistics: SimulationStatistics,
    settings: SimulationSettings,
    network: Network,
    fidelity: Optional[Fidelity] = None,
) -> List[str]:
    """Return the warnings of a simulation of `network`, one line each.

    `fidelity` is that of its conversion; None if the conversion changed nothing.
    """
    fault = conversion_fault(statistics, settings, network)
    lines = [
        *(fault or label_fault(statistics)),
        *low_input_rate(settings),
    ]
    if network.trained_spiking:
        lines += threshold_ties(statistics)
        lines += silent_layers(statistics, network)
        return lines
    lines += silent_layers(statistics, network)
    lines += saturated_layers(statistics, network)
    has_calibrated_duration = network.steps == settings.duration
    if not (fault and has_calibrated_duration):  # else more time steps would not help
        lines += loss_advice(statistics, settings, network, fidelity)
    return lines


def loss_advice(
    statistics: SimulationStatistics,
    settings: SimulationSettings,
    network: Network,
    fidelity: Optional[Fidelity] = None,
) -> List[str]:
    """Return advice about an output that is worse than that of the trained network.

    Only the first condition that holds speaks: a duration other than the calibrated one
    explains any loss, and a reconstruction has no accuracy.
    """
    return (
        other_duration(statistics, settings, network)
        or rising_rates(statistics)
        or lost_accuracy(statistics, settings, network, fidelity)
    )


def conversion_fault(
    statistics: SimulationStatistics,
    settings: SimulationSettings,
    network: Network,
) -> List[str]:
    """Speak if the accuracy is chance, but that of the trained network is not.

    Both accuracies are of the same samples, so the labels are right.
    """
    trained_accuracy = statistics.ann_accuracy
    if trained_accuracy is None or statistics.quoted_confusion is None:
        return []
    samples = statistics.num_samples
    spiking = statistics.quoted_by_step[-1]
    guessing = max(statistics.class_counts.values()) / samples
    lowest_trained = wilson_interval(trained_accuracy * samples, samples)[0]
    highest_spiking = wilson_interval(spiking * samples, samples)[1]
    if (
        not is_close_to_chance(spiking, guessing)
        or is_close_to_chance(trained_accuracy, guessing)
        or lowest_trained <= highest_spiking
    ):
        return []
    suspect = "the conversion"
    if network.steps != settings.duration:
        suspect = f"the conversion or --duration {settings.duration}"
    return [
        f"the accuracy of {spiking:.1%} is chance, and the trained network has "
        f"{trained_accuracy:.1%} on the same samples: {suspect} is at fault, not the "
        "labels; `snnb report` shows, under Activation and rate, the first layer "
        "whose rates do not follow its activations"
    ]


def label_fault(statistics: SimulationStatistics) -> List[str]:
    """Speak if the guesses suggest that the numbers of the classes are wrong.

    The accuracy is far below chance then, or other class numbers would raise it.
    """
    rows = statistics.quoted_confusion
    if rows is None:
        return []
    names = list(statistics.class_counts)
    n_guesses = max(len(names), *(guess + 1 for _, guess, _ in rows))
    confusion = np.zeros((len(names), n_guesses + 1), np.int64)
    for label, guess, samples in rows:
        confusion[label, guess] = samples  # a guess of -1, none, is the last column
    warning = chance_warning(confusion, names)
    return [] if warning is None else [warning]


def low_input_rate(settings: SimulationSettings) -> List[str]:
    """Speak if a pixel of 1 spikes at less than every step: Poisson input, low rate."""
    if settings.input != "poisson" or settings.input_rate >= FULL_RATE:
        return []
    return [
        f"--input-rate {settings.input_rate:g}: below {FULL_RATE:g} the biases, "
        "which act at every step, outweigh the input: "
        f"use {FULL_RATE:g} unless this is meant"
    ]


def threshold_ties(statistics: SimulationStatistics) -> List[str]:
    """Speak if membrane potentials equal the threshold: other tools may differ."""
    if not statistics.tie_share:
        return []
    return [
        f"{statistics.tie_share:.2%} of the membrane potentials equal the threshold "
        "exactly, where neurons do not spike (NIR: v > v_threshold); a tool that "
        "spikes at v ≥ v_threshold, or rounds differently, has different spikes"
    ]


def silent_layers(statistics: SimulationStatistics, network: Network) -> List[str]:
    """Speak of each layer that never spikes, or once of all if there are many."""
    rates = statistics.mean_rates
    spiking = [
        population for population in network.populations if population.is_spiking
    ]
    silent = [population.name for population in spiking if not rates[population.name]]
    findings = [f"layer {name} never spikes" for name in silent]
    if len(silent) > FEW:
        extremes = f"first {silent[0]} and last {silent[-1]}"
        findings = [f"{len(silent)} layers, {extremes}, never spike"]
    if network.fixed_point:
        remedy = SILENCE_REMEDIES["lava-dl"]
    elif network.trained_spiking:
        remedy = SILENCE_REMEDIES["nir"]
    elif network.steps is not None:
        remedy = SILENCE_REMEDIES["calibrated"].format(more_steps=_more_steps(network))
    else:
        remedy = SILENCE_REMEDIES["normalised"]
    return [f"{finding}: {remedy}" for finding in findings]


def saturated_layers(statistics: SimulationStatistics, network: Network) -> List[str]:
    """Speak of each layer but the output that spikes at nearly every step."""
    remedy = "raise --threshold, or parse with a higher --percentile"
    if network.steps is not None or network.weight_bits is not None:
        remedy = "parse with a higher --percentile"  # these networks fix the threshold
    rates = statistics.mean_rates
    names = [population.name for population in network.populations]
    hidden = [name for name in names if name != network.output.name]
    saturated_names = [name for name in hidden if rates[name] > SATURATED]
    return [
        f"layer {name} spikes nearly every step: {remedy}" for name in saturated_names
    ]


def other_duration(
    statistics: SimulationStatistics,
    settings: SimulationSettings,
    network: Network,
) -> List[str]:
    """Speak if the network is calibrated for another number of time steps."""
    if network.steps is None or network.steps == settings.duration:
        return []
    steps = settings.duration
    lost = _accuracy_loss(statistics)
    loss = f", which loses {100 * lost:.1f} points" if lost else ""
    return [
        f"--duration {steps}: the network is calibrated for {network.steps} time steps"
        f"{loss}; give --duration {network.steps}, or calibrate for {steps} "
        f"({recommend('parse', calibrate=min(steps, MAX_CALIBRATED_STEPS))})"
    ]


def rising_rates(statistics: SimulationStatistics) -> List[str]:
    """Speak if a reconstruction is worse than trained, and firing rates still rise."""
    if _has_accuracies(statistics):
        return []
    layers = len(statistics.rising_populations)
    trained_error = statistics.ann_mean_squared_error or 0.0
    spiking_error = statistics.snn_mean_squared_error or 0.0
    if not layers or spiking_error <= trained_error:
        return []
    return [f"the firing rate still rises in {layers} layers: increase --duration"]


def lost_accuracy(
    statistics: SimulationStatistics,
    settings: SimulationSettings,
    network: Network,
    fidelity: Optional[Fidelity],
) -> List[str]:
    """Speak if accuracy is lost: of each cause that is a loss, the largest first.

    The read-out, where it differs from the spikes, separates two causes: the loss in
    the output, and the loss before it.
    """
    lost = _accuracy_loss(statistics)
    if not lost:
        return []
    trained_accuracy = statistics.ann_accuracy
    spiking = statistics.snn_accuracy
    readout = statistics.readout_accuracy
    samples = statistics.num_samples
    assert trained_accuracy is not None
    assert spiking is not None
    remedies = _remedies(statistics, settings, network, fidelity)
    if readout is None or readout == spiking:
        changes = _conversion_loss(fidelity, lost, settings.first, samples)
        return [
            f"{100 * lost:.1f} points lost ({spiking:.1%} of {trained_accuracy:.1%}): "
            f"{changes}{remedies}"
        ]
    output = OUTPUTS[statistics.is_random]
    in_output = Cause(
        readout - spiking,
        f"in the output ({spiking:.1%} by spikes, {readout:.1%} read out): {output}",
    )
    changes = _conversion_loss(
        fidelity, trained_accuracy - readout, settings.first, samples
    )
    accuracies = f"{readout:.1%} read out, {trained_accuracy:.1%} trained"
    before_output = Cause(
        trained_accuracy - readout,
        f"before the output ({accuracies}): {changes}{remedies}",
    )
    causes = sorted((in_output, before_output), reverse=True)
    lines: List[str] = []
    for cause in causes:
        # The largest is named in any case, although each alone may be no loss.
        is_named = not lines or _is_loss(spiking + cause.lost, spiking, samples)
        if is_named:
            lines.append(f"{100 * cause.lost:.1f} points lost {cause.description}")
    return lines


def _has_accuracies(statistics: SimulationStatistics) -> bool:
    """Whether both networks classify."""
    return statistics.ann_accuracy is not None and statistics.snn_accuracy is not None


def _accuracy_loss(statistics: SimulationStatistics) -> float:
    """Return the accuracy that spikes lose; 0 if it is no loss by `_is_loss`."""
    trained_accuracy = statistics.ann_accuracy
    spiking = statistics.snn_accuracy
    if trained_accuracy is None or spiking is None:
        return 0.0
    if not _is_loss(trained_accuracy, spiking, statistics.num_samples):
        return 0.0
    return trained_accuracy - spiking


def _is_loss(trained_accuracy: float, spiking: float, samples: int) -> bool:
    """Whether a difference of accuracies is at least a point and is significant.

    It is if the 95 % interval of the lower accuracy does not reach the higher one.
    """
    highest_spiking = wilson_interval(spiking * samples, samples)[1]
    return (
        trained_accuracy - spiking >= LEAST_LOSS and trained_accuracy > highest_spiking
    )


def _conversion_loss(
    fidelity: Optional[Fidelity],
    lost: float,
    first_step: int,
    samples: int,
) -> str:
    """Return the beginning of an advice: what the conversion loses without spikes.

    It is a part of `lost` only if both are of the same samples, those from `first_step`
    on. Empty if the conversion loses less than a point.
    """
    if fidelity is None or not fidelity.classifies or fidelity.loss < LEAST_LOSS:
        return ""
    points = f"{100 * fidelity.loss:.1f}"
    if (first_step, samples) != (0, fidelity.samples):
        points += f" points on the first {fidelity.samples:,} samples"
    elif fidelity.loss <= lost:
        points += " of them"
    else:  # spikes make up for a part
        points += " points"
    changes = ", ".join(CHANGES[change] for change in fidelity.changes_made)
    return f"{points} without spikes, by {changes}; "


def _remedies(
    statistics: SimulationStatistics,
    settings: SimulationSettings,
    network: Network,
    fidelity: Optional[Fidelity],
) -> str:
    """Return the remedies of a loss before the output, separated by semicolons.

    Where averages in place of max pooling lose accuracy, exact max pooling comes first.
    Time steps, initial potentials and calibration do not change what the conversion
    loses without spikes: they are named if spikes lose more.
    """
    gain = _late_gain(statistics)
    gain_text = f"the last half gained {100 * gain:.1f} points"
    is_calibrated = network.steps is not None
    can_start_higher = not settings.initial_potential and settings.engine != "toolbox"
    more_bits = min(2 * (network.weight_bits or 0), MAX_WEIGHT_BITS)
    spikes_lose = True
    remedies: List[str] = []
    if fidelity is not None and fidelity.classifies:
        spikes_lose = _accuracy_loss(statistics) - fidelity.loss >= LEAST_LOSS
        averages_lose = fidelity.loss_by("average_pooling") >= LEAST_LOSS
        if averages_lose:
            remedies.append(
                f"keep the maximum ({recommend('parse', max_pool='exact')})"
            )
    if spikes_lose and is_calibrated:
        remedies.append(f"calibrate for more time steps ({_more_steps(network)})")
    if spikes_lose and not is_calibrated and gain >= LEAST_LOSS:
        remedies.append(f"simulate longer (--duration; {gain_text})")
    if network.weight_bits is not None and network.weight_bits < more_bits:
        command = recommend("parse", weight_bits=more_bits)
        remedies.append(f"round weights to more bits ({command})")
    if network.zeros is not None:
        remedies.append("prune fewer weights (--prune of parse)")
    if spikes_lose and not is_calibrated:
        if can_start_higher:
            half = recommend("simulate", initial_potential=0.5)
            remedies.append(f"start at half the threshold ({half})")
        steps = min(settings.duration, MAX_CALIBRATED_STEPS)
        command = recommend("parse", calibrate=steps)
        remedies.append(f"calibrate ({command})")
    return "; ".join(remedies)


def _more_steps(network: Network) -> str:
    """Return the command that calibrates a network for twice as many time steps."""
    assert network.steps is not None
    steps = min(2 * network.steps, MAX_CALIBRATED_STEPS)
    return recommend("parse", calibrate=steps)


def _late_gain(statistics: SimulationStatistics) -> float:
    """Return the accuracy gained in the last half of the time; 0 for a single step."""
    by_step = statistics.readout_accuracy_by_timestep or statistics.by_step
    if len(by_step) < 2:
        return 0.0
    return by_step[-1] - by_step[len(by_step) // 2 - 1]
