"""The exported network in Brian2, in which a spike passes one layer per time step.

Starting a run of Brian2 takes about a second, so all samples of a batch run at once, each in a copy of the network. A
population of a deep layer therefore begins `first_step` steps later, and a synapse that skips layers is delayed, as
stated in the description of the export. (Stimberg, Brette, Goodman, eLife 8:e47314, 2019.)
"""

from functools import lru_cache, partial
from typing import Any, Dict, Tuple

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
    copied = lru_cache(maxsize=1)(partial(_build, brian2, network))
    last_step = max(population.first_step for population in network.simulated)

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        groups, monitors, built = copied(len(inputs))
        built.restore()
        for population in network.simulated:
            group = groups[population.name]
            group.current = network.input_current(population, inputs).T.ravel()
            if network.input.coding != "current":
                arriving = [network.changing_current(population, values) for values in inputs]
                group.namespace["arriving"] = brian2.TimedArray(np.concatenate(arriving, axis=1), dt=1 * brian2.ms)
            group.last = population.first_step + min(steps, _window(population, steps)[1])
        built.run((steps + last_step) * brian2.ms, namespace={})
        spikes: Dict[str, np.ndarray] = {}
        for population in network.simulated:
            monitor = monitors[population.name]
            sample, neuron = np.divmod(np.asarray(monitor.i, np.int64), population.size)
            step = np.rint(np.asarray(monitor.t / brian2.ms)).astype(np.int64) - population.first_step
            spikes[population.name] = np.stack([sample, neuron, step], axis=1)
        return spikes

    return simulate


def _build(brian2: Any, network: ExportedNetwork, copies: int) -> Tuple[Dict[str, Any], Dict[str, Any], Any]:
    """Return groups and spike monitors by population, and Brian2's network; the input is a current of its targets.

    A group has the neurons of all copies of its population, copy by copy.
    """
    brian2.defaultclock.dt = 1 * brian2.ms
    groups = {population.name: _group(brian2, network, population, copies) for population in network.simulated}
    monitors = {name: brian2.SpikeMonitor(group) for name, group in groups.items()}
    parts = [*groups.values(), *monitors.values()]
    for projection in network.projections:
        if projection.source not in groups or projection.target not in groups:
            continue
        weights = projection.weights.tocoo()
        ends = groups[projection.source], groups[projection.target]
        if network.population(projection.target).counts_largest:
            # The number of synapses whose count exceeds the largest one
            rule = "counted += 1\nx_post += int(counted > v_post)"
            synapses = brian2.Synapses(*ends, "weight : 1\ncounted : 1", on_pre=rule)
        else:
            synapses = brian2.Synapses(*ends, "weight : 1", on_pre="x_post += weight")
        copy, (targets, sources) = np.arange(copies)[:, np.newaxis], projection.weights.shape
        synapses.connect(i=(copy * sources + weights.col).ravel(), j=(copy * targets + weights.row).ravel())
        synapses.weight = np.tile(weights.data, copies)
        # A spike arrives after the thresholds of the same step, so a delay of one step needs no delay here.
        synapses.delay = (projection.delay_steps - 1) * brian2.ms
        parts.append(synapses)
    built = brian2.Network(*parts)
    built.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
    built.store()
    return groups, monitors, built


def _group(brian2: Any, network: ExportedNetwork, population: ExportedPopulation, copies: int) -> Any:
    """Return the neurons of all copies of a population, which integrate their input `x` once a step."""
    numbers, first, never = population.numbers, population.first_step, 1 << 30
    if population.counts_largest:  # v is the largest count of the inputs
        return brian2.NeuronGroup(
            population.size * copies,
            "v : 1\nx : 1\ncurrent : 1 (constant)\nlast : integer (shared, constant)",
            threshold="x > 0",
            reset="v += 1\nx = 0",
        )
    acting = {"input_ends": never, "bias_begins": first, "bias_ends": never}
    if population.window is not None:
        begins, length = first + population.window[0], population.steps
        acting = {"input_ends": first + length, "bias_begins": begins - length, "bias_ends": begins}
    names = ["bias", "later_bias", "theta", *numbers]
    group = brian2.NeuronGroup(
        population.size * copies,
        "\n".join(["v : 1", "i_syn : 1", "x : 1", "current : 1 (constant)", "last : integer (shared, constant)"])
        + "".join(f"\n{name} : 1 (constant)" for name in names),
        threshold="v >= theta and t_in_timesteps >= opens and t_in_timesteps < last",
        reset="v = reset" if "reset" in numbers else "v -= subtrahend",
        namespace={"first": first, "opens": first + _window(population, 1)[0], "ms": brian2.ms, **acting},
    )
    values = {name: of_neurons[:, 0] for name, of_neurons in numbers.items()}
    values.update(v=population.start, bias=population.bias, theta=population.threshold)
    if population.later_bias is not None:
        values["later_bias"] = population.later_bias
    for name, of_neurons in values.items():
        setattr(group, name, np.tile(of_neurons, copies))
    changing = " + arriving(t - first * ms, i)" if network.input.coding != "current" else ""
    synaptic = "i_syn += current_gain * total - (1 - current_leak) * i_syn\n" if "current_leak" in numbers else ""
    integrated = "i_syn" if "current_leak" in numbers else "total"
    group.run_regularly(
        "total = (x + bias * int(t_in_timesteps >= bias_begins and t_in_timesteps < bias_ends) "
        "+ later_bias * int(t_in_timesteps > first) "
        f"+ current * int(t_in_timesteps < input_ends){changing}) * int(t_in_timesteps >= first)\n"
        f"{synaptic}"
        f"v += (gain * {integrated} + offset - (1 - leak) * v) * int(t_in_timesteps >= first)\n"
        "x = 0",
        when="groups",
    )
    return group


def _window(population: ExportedPopulation, steps: int) -> Tuple[int, int]:
    """Return the steps in which a population can fire, of `steps` if it has no window."""
    return (0, steps) if population.window is None else population.window
