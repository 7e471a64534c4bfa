"""What a simulation lost to the trained network, and what to try: causes that were measured, largest first."""

from typing import List, Mapping, Optional, Sequence

from snnb.io.text import JsonValue
from snnb.network.network import MEMBRANE, Network
from snnb.simulation.quality import wilson_interval
from snnb.simulation.simulation_settings import SimulationSettings

LEAST_LOSS = 0.01  # of the samples; a smaller loss is none, however many samples there are
# By coding of the output: which accuracy to quote, and why there are two.
QUOTED = {
    "random": "quote the read-out accuracy: this softmax draws its spikes at random",
    "spikes": "quote the SNN accuracy, of output spikes; the read-out is of their input",
    MEMBRANE: "the output does not spike: both are of its accumulated input",
}


def loss_advice(
    values: Mapping[str, JsonValue], settings: SimulationSettings, network: Network, rising: Sequence[str]
) -> List[str]:
    """Return a line for each cause of a loss that exceeds a point and the 95 % interval of so many samples.

    Parameters
    ----------
    values : mapping
        Content of `sim_accuracies.json`.
    settings : SimulationSettings
    network : Network
        The simulated network.
    rising : sequence of str
        Populations whose rate still rose at the end.
    """
    if network.steps not in (None, settings.duration):
        return [_other_duration(values, settings, network)]
    if "snn_accuracy" not in values:
        error = values["snn_mean_squared_error"] > values["ann_mean_squared_error"]
        return (
            [f"the rate still rises in {len(rising)} layers: simulate longer (--duration)"] if rising and error else []
        )
    trained, spikes, samples = values["ann_accuracy"], values["snn_accuracy"], values["num_samples"]
    if not _is_loss(trained, spikes, samples):
        return []
    readout = values["readout_accuracy"]
    before = _remedies(values, settings, network)
    if readout in (None, spikes):
        return [f"{100 * (trained - spikes):.1f} points lost ({spikes:.1%} of {trained:.1%}): {before}"]
    causes = [
        (readout - spikes, f"in the output ({spikes:.1%} by spikes, {readout:.1%} read out): {_other_output(values)}"),
        (trained - readout, f"before the output ({readout:.1%} read out, {trained:.1%} trained): {before}"),
    ]
    causes.sort(reverse=True)
    large = [cause for cause in causes if _is_loss(spikes + cause[0], spikes, samples)]
    return [f"{100 * lost:.1f} points lost {where}" for lost, where in large or causes[:1]]


def _is_loss(trained: float, spiking: float, samples: int) -> bool:
    """Whether a difference of accuracies exceeds a point, and the interval of the lower one does not explain it."""
    return trained - spiking >= LEAST_LOSS and trained > wilson_interval(spiking * samples, samples)[1]


def _other_duration(values: Mapping[str, JsonValue], settings: SimulationSettings, network: Network) -> str:
    found, steps = "", settings.duration
    if "snn_accuracy" in values and _is_loss(values["ann_accuracy"], values["snn_accuracy"], values["num_samples"]):
        found = f", which loses {100 * (values['ann_accuracy'] - values['snn_accuracy']):.1f} points"
    return (
        f"--duration {steps}: the network is calibrated for {network.steps} time steps{found}; leave out --duration, "
        f"or calibrate for {steps} (parse --calibrate {steps}, or train --levels {steps})"
    )


def _other_output(values: Mapping[str, JsonValue]) -> str:
    if "random" in values["coding"].values():
        return "random spikes of a softmax; take --output spikes or membrane"
    return "--output membrane reads out"


def _remedies(values: Mapping[str, JsonValue], settings: SimulationSettings, network: Network) -> str:
    """Return what to try against a loss before the output: first what the accuracy over time shows, then the rest."""
    remedies = []
    gained = _gained(values)
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


def _gained(values: Mapping[str, JsonValue]) -> Optional[float]:
    """Return what the accuracy gained in the last half of the time; None for a simulation of one step."""
    by_step = values["readout_accuracy_by_timestep"] or values["snn_accuracy_by_timestep"]
    return float(by_step[-1] - by_step[len(by_step) // 2 - 1]) if len(by_step) > 1 else None
