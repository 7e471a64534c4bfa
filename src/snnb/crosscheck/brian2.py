"""The exported network in Brian2, which carries a spike over each layer in a time step.

A population of a deep layer therefore begins `first_step` steps later, and a synapse that skips layers is delayed, as
the description of the export says. (Stimberg, Brette, Goodman, eLife 8:e47314, 2019.)
"""

from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from snnb.core.errors import UsageError, how_to_install
from snnb.crosscheck.exported import ExportedNetwork, ExportedPopulation, Simulate


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    try:
        import brian2
    except ImportError as error:
        raise UsageError(f"--with brian2 needs Brian2: {how_to_install('crosscheck')}") from error
    network.refuse_late("brian2")
    brian2.prefs.codegen.target = "numpy"  # it needs no compiler
    brian2.prefs.core.default_float_dtype = np.float64
    groups, monitors, built, generator = _build(brian2, network)
    built.store()
    ms, changing = brian2.ms, network.input.coding != "current" and generator is None
    last_step = max(population.first_step for population in network.simulated)

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        spikes: Dict[str, List[np.ndarray]] = {population.name: [] for population in network.simulated}
        for sample, values in enumerate(inputs):
            built.restore()
            for population in network.simulated:
                groups[population.name].current = network.input_current(population, values[np.newaxis])[:, 0]
                if changing:
                    arriving = network.changing_current(population, values)
                    groups[population.name].namespace["arriving"] = brian2.TimedArray(arriving, dt=1 * ms)
                groups[population.name].last = population.first_step + min(steps, _window(population, steps)[1])
            if generator is not None:
                neurons, times = np.nonzero(values)
                generator.set_spikes(neurons, times * ms)
            built.run((steps + last_step) * ms, namespace={})
            for population in network.simulated:
                monitor = monitors[population.name]
                step = np.rint(np.asarray(monitor.t / ms)).astype(np.int64) - population.first_step
                rows = np.stack([np.full_like(step, sample), np.asarray(monitor.i, np.int64), step], axis=1)
                spikes[population.name].append(rows)
        return {name: np.concatenate(rows) for name, rows in spikes.items()}

    return simulate


def _build(brian2: Any, network: ExportedNetwork) -> Tuple[Dict[str, Any], Dict[str, Any], Any, Any]:
    """Return groups and spike monitors by population, Brian2's network, and the generator of an input that spikes."""
    ms = brian2.ms
    brian2.defaultclock.dt = 1 * ms
    groups: Dict[str, Any] = {}
    monitors: Dict[str, Any] = {}
    parts: List[Any] = []
    generator = None
    if network.input.coding != "current" and not network.leaky:
        generator = brian2.SpikeGeneratorGroup(network.input.size, [], [] * ms)
        groups[network.input.name] = generator
        parts.append(generator)
    for population in network.simulated:
        group = _group(brian2, network, population)
        groups[population.name] = group
        monitors[population.name] = brian2.SpikeMonitor(group)
        parts += [group, monitors[population.name]]
        receiving = "v_post += weight" if population.numbers is None else "x_post += weight"
        for projection in network.spiking_inbound(population.name):
            if (
                projection.source not in groups
            ):  # several events in a step are one spike of their number, see `simulate`
                continue
            weights = projection.weights.tocoo()
            synapses = brian2.Synapses(groups[projection.source], group, "weight : 1", on_pre=receiving)
            synapses.connect(i=weights.col, j=weights.row)
            synapses.weight = weights.data * network.amplitude_of(projection.source)
            # A spike arrives after the thresholds of the same step, so a delay of one step needs no delay here.
            synapses.delay = (projection.delay_steps - 1) * ms
            parts.append(synapses)
    built = brian2.Network(*parts)
    built.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
    return groups, monitors, built, generator


def _group(brian2: Any, network: ExportedNetwork, population: ExportedPopulation) -> Any:
    if population.numbers is not None:
        return _group_of_model(brian2, network, population, population.numbers)
    first, never = population.first_step, 1 << 30
    acting = {"first": first, "input_ends": never, "bias_begins": first, "bias_ends": never}
    if population.window is not None:
        begins, length = first + population.window[0], population.steps
        acting.update(input_ends=first + length, bias_begins=begins - length, bias_ends=begins)
    group = brian2.NeuronGroup(
        population.size,
        """v : 1
        current : 1 (constant)
        bias : 1 (constant)
        theta : 1 (constant)
        last : integer (shared, constant)""",
        threshold="v >= theta and t_in_timesteps >= opens and t_in_timesteps < last",
        reset="v = 0" if network.resets_to_zero else "v -= theta",
        namespace={"opens": first + _window(population, 1)[0], **acting},
    )
    group.v = population.start
    group.bias = population.bias
    group.theta = population.threshold
    group.run_regularly(
        "v += current * int(t_in_timesteps >= first and t_in_timesteps < input_ends) "
        "+ bias * int(t_in_timesteps >= bias_begins and t_in_timesteps < bias_ends)",
        when="groups",
    )
    return group


def _group_of_model(
    brian2: Any, network: ExportedNetwork, population: ExportedPopulation, numbers: Mapping[str, np.ndarray]
) -> Any:
    """Return neurons with a neuron model, which integrate their input `x` once a step."""
    names = ["bias", "later_bias", "theta", *numbers]
    group = brian2.NeuronGroup(
        population.size,
        "\n".join(["v : 1", "i_syn : 1", "x : 1", "current : 1 (constant)", "last : integer (shared, constant)"])
        + "".join(f"\n{name} : 1 (constant)" for name in names),
        threshold="v >= theta and t_in_timesteps >= first and t_in_timesteps < last",
        reset="v = reset" if "reset" in numbers else "v -= subtrahend",
        namespace={"first": population.first_step, "ms": brian2.ms},
    )
    for name, values in numbers.items():
        setattr(group, name, values[:, 0])
    group.v, group.bias, group.theta = population.start, population.bias, population.threshold
    group.later_bias = 0 if population.later_bias is None else population.later_bias
    changing = " + arriving(t - first * ms, i)" if network.input.coding != "current" else ""
    synaptic = "i_syn += current_gain * total - (1 - current_leak) * i_syn\n" if "current_leak" in numbers else ""
    integrated = "i_syn" if "current_leak" in numbers else "total"
    group.run_regularly(
        f"total = (x + bias + later_bias * int(t_in_timesteps > first) + current{changing}) "
        "* int(t_in_timesteps >= first)\n"
        f"{synaptic}"
        f"v += (gain * {integrated} + offset - (1 - leak) * v) * int(t_in_timesteps >= first)\n"
        "x = 0",
        when="groups",
    )
    return group


def _window(population: ExportedPopulation, steps: int) -> Tuple[int, int]:
    """Return the steps in which a population can fire, of `steps` if it has no window."""
    return (0, steps) if population.window is None else population.window
