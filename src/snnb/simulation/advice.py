"""Warnings of a simulation with remedies: silent and saturated layers, and measured causes of a lost accuracy."""

from typing import List

from snnb.network.network import MEMBRANE, Network
from snnb.simulation.simulation_settings import SimulationSettings
from snnb.simulation.simulation_statistics import SimulationStatistics, wilson_interval

# Below this rate a pixel of 1 gives less than the spike a step that its current would be, but biases act in full.
FULL_RATE = 1000.0
# A population whose mean rate is above this share of the highest possible one spikes at nearly every step.
SATURATED = 0.99
FEW = 5  # names of layers in a message

LEAST_LOSS = 0.01  # of the samples; a smaller loss is none, however many samples there are
# By coding of the output: which accuracy to quote, and why there are two.
QUOTED = {
    "random": "quote the read-out accuracy: this softmax draws its spikes at random",
    "spikes": "quote the SNN accuracy, of output spikes; the read-out is of their input",
    MEMBRANE: "the output does not spike: both are of its membrane potential",
}


def advice(statistics: SimulationStatistics, settings: SimulationSettings, network: Network) -> List[str]:
    """Return the warnings of a simulation of `network`, one line each."""
    lines = []
    if settings.input == "poisson" and settings.input_rate < FULL_RATE:
        lines.append(
            f"--input-rate {settings.input_rate:g} Hz: below {FULL_RATE:g} Hz the biases, which act at every step, "
            "outweigh the input: use 1000 Hz unless this is meant"
        )
    rates = statistics.mean_rates
    fire = [p for p in network.populations if p.activation != MEMBRANE and (p.neuron is None or p.neuron.spikes)]
    silent = [population.name for population in fire if rates[population.name] == 0]
    never = [f"layer {name} never spikes" for name in silent]
    if len(silent) > FEW:
        never = [f"{len(silent)} layers, first {silent[0]} and last {silent[-1]}, never spike"]
    if network.trained_spiking:
        return [*lines, *(f"{which}: check --time-step and --nir-reset, and --bin-us of events" for which in never)]
    lines += [f"{which}: simulate longer (--duration), or parse with a lower --percentile" for which in never]
    for population in network.populations:
        if rates[population.name] > SATURATED and population is not network.output:
            lines.append(
                f"layer {population.name} spikes nearly every step: raise --threshold, or parse with a higher "
                "--percentile"
            )
    return lines + loss_advice(statistics, settings, network)


def loss_advice(statistics: SimulationStatistics, settings: SimulationSettings, network: Network) -> List[str]:
    """Return a line for each cause of a loss that exceeds a point and the 95 % interval of the number of samples."""
    trained, spikes, samples = statistics.ann_accuracy, statistics.snn_accuracy, statistics.num_samples
    lost = 0.0
    if trained is not None and spikes is not None and _is_loss(trained, spikes, samples):
        lost = trained - spikes
    if network.steps not in (None, settings.duration):
        steps, points = settings.duration, f", which loses {100 * lost:.1f} points" if lost else ""
        return [
            f"--duration {steps}: the network is calibrated for {network.steps} time steps{points}; leave out "
            f"--duration, or calibrate for {steps} (parse --calibrate {steps}, or train --levels {steps})"
        ]
    if trained is None or spikes is None:
        rising = len(statistics.rising_populations)
        error = (statistics.snn_mean_squared_error or 0.0) > (statistics.ann_mean_squared_error or 0.0)
        return [f"the rate still rises in {rising} layers: simulate longer (--duration)"] if rising and error else []
    if not lost:
        return []
    readout, before = statistics.readout_accuracy, _remedies(statistics, settings, network)
    if readout is None or readout == spikes:
        return [f"{100 * lost:.1f} points lost ({spikes:.1%} of {trained:.1%}): {before}"]
    output = "--output membrane reads out"
    if "random" in statistics.coding.values():
        output = "random spikes of a softmax; take --output spikes or membrane"
    causes = [
        (readout - spikes, f"in the output ({spikes:.1%} by spikes, {readout:.1%} read out): {output}"),
        (trained - readout, f"before the output ({readout:.1%} read out, {trained:.1%} trained): {before}"),
    ]
    causes.sort(reverse=True)
    large = [cause for cause in causes if _is_loss(spikes + cause[0], spikes, samples)]
    return [f"{100 * points:.1f} points lost {where}" for points, where in large or causes[:1]]


def _is_loss(trained: float, spiking: float, samples: int) -> bool:
    """Whether a difference of accuracies exceeds a point, and the interval of the lower one does not explain it."""
    return trained - spiking >= LEAST_LOSS and trained > wilson_interval(spiking * samples, samples)[1]


def _remedies(statistics: SimulationStatistics, settings: SimulationSettings, network: Network) -> str:
    """Return remedies against a loss before the output: first a longer simulation, if the accuracy still rises."""
    remedies = []
    by_step = statistics.readout_accuracy_by_timestep or statistics.by_step
    # The accuracy gained in the last half of the time.
    gained = by_step[-1] - by_step[len(by_step) // 2 - 1] if len(by_step) > 1 else None
    if network.steps is not None:
        remedies.append("calibrate for more time steps (parse --calibrate, or train --levels)")
    elif gained is not None and gained >= LEAST_LOSS:
        remedies.append(f"simulate longer (--duration; the last half gained {100 * gained:.1f} points)")
    if network.weight_bits is not None:
        remedies.append("round weights to more bits (parse --weight-bits)")
    if network.zeros is not None:
        remedies.append("prune fewer weights (parse --prune)")
    if network.steps is None and not settings.initial_potential and settings.engine != "toolbox":
        remedies.append("start at half the threshold (--initial-potential 0.5)")
    if network.steps is None:
        remedies.append("calibrate (parse --calibrate)")
    return "; ".join(remedies)
