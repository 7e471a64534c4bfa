"""The exported network in Brian2, in which a spike passes one layer per time step.

Starting a run of Brian2 takes about a second, so all samples of a batch run at once,
each in a copy of the network. A population of a deep layer therefore begins
`first_step` steps later, and a synapse that skips layers is delayed, as stated in the
description of the export. (Stimberg, Brette, Goodman, eLife 8:e47314, 2019.)
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError, how_to_install
from snnb.crosscheck.exported import (
    ExportedNetwork,
    ExportedPopulation,
    ExportedProjection,
    Simulate,
)

NEVER = 1 << 30  # a step after all others


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    try:
        import brian2
    except ImportError as error:
        remedy = how_to_install("crosscheck")
        raise UsageError(f"--with brian2 needs Brian2: {remedy}") from error
    network.refuse_fixed_point("brian2")
    network.refuse_late("brian2")
    brian2.prefs.codegen.target = "numpy"  # it needs no compiler
    brian2.prefs.core.default_float_dtype = np.float64
    return _Simulator(brian2, network).simulate


class _Copies(NamedTuple):
    """Copies of a network in Brian2, one for each sample of a batch.

    A group has the neurons of all copies of its population, copy by copy.
    """

    copies: int  # number of copies
    groups: Dict[str, Any]  # neuron group of each population
    monitors: Dict[str, Any]  # spike monitor of each population
    network: Any  # Brian2's network of all of them, with its initial state stored


class _Simulator:
    """Simulates batches of samples; a batch of the same size uses the same copies."""

    def __init__(self, brian2: Any, network: ExportedNetwork) -> None:
        self._brian2 = brian2
        self._network = network
        first_steps = [p.first_step for p in network.simulated_populations]
        self._largest_first_step = max(first_steps)
        self._copies: Optional[_Copies] = None

    def simulate(self, inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        """See `Simulate`."""
        if self._copies is None or self._copies.copies != len(inputs):
            self._copies = _make_copies(self._brian2, self._network, len(inputs))
        copies = self._copies
        copies.network.restore()
        for population in self._network.simulated_populations:
            group = copies.groups[population.name]
            self._set_input(population, group, inputs)
            _, window_end = _window(population, steps)
            group.last = population.first_step + min(steps, window_end)
        millisecond = self._brian2.ms
        run_steps = steps + self._largest_first_step
        copies.network.run(run_steps * millisecond, namespace={})
        spikes: Dict[str, np.ndarray] = {}
        for population in self._network.simulated_populations:
            monitor = copies.monitors[population.name]
            index = np.asarray(monitor.i, np.int64)
            sample, neuron = np.divmod(index, population.size)
            milliseconds = np.asarray(monitor.t / millisecond)
            run_step = np.rint(milliseconds).astype(np.int64)
            step = run_step - population.first_step
            spikes[population.name] = np.stack([sample, neuron, step], axis=1)
        return spikes

    def _set_input(
        self,
        population: ExportedPopulation,
        group: Any,
        inputs: np.ndarray,
    ) -> None:
        """Set the current of the input of a population in all samples."""
        network = self._network
        group.current = network.input_current(population, inputs).T.ravel()
        if network.input.coding == "current":
            return
        currents = [network.changing_current(population, x) for x in inputs]
        table = np.concatenate(currents, axis=1)
        step_time = 1 * self._brian2.ms
        group.namespace["arriving"] = self._brian2.TimedArray(table, dt=step_time)


def _make_copies(brian2: Any, network: ExportedNetwork, copies: int) -> _Copies:
    """Return copies of a network; the input is a current of its targets."""
    brian2.defaultclock.dt = 1 * brian2.ms
    groups = {}
    for population in network.simulated_populations:
        groups[population.name] = _make_group(brian2, network, population, copies)
    monitors = {name: brian2.SpikeMonitor(group) for name, group in groups.items()}
    synapses = []
    for projection in network.projections:
        if projection.source in groups and projection.target in groups:
            synapses.append(_connect(brian2, network, projection, groups, copies))
    brian2_network = brian2.Network(*groups.values(), *monitors.values(), *synapses)
    brian2_network.schedule = [
        "start",
        "groups",
        "thresholds",
        "resets",
        "synapses",
        "end",
    ]
    brian2_network.store()
    return _Copies(copies, groups, monitors, brian2_network)


def _connect(
    brian2: Any,
    network: ExportedNetwork,
    projection: ExportedProjection,
    groups: Dict[str, Any],
    copies: int,
) -> Any:
    """Return the synapses of a projection in all copies."""
    source = groups[projection.source]
    target = groups[projection.target]
    if network.population(projection.target).counts_largest:
        # The number of synapses whose count exceeds the largest one
        variables = "weight : 1\ncounted : 1"
        rule = "counted += 1\nx_post += int(counted > v_post)"
    else:
        variables = "weight : 1"
        rule = "x_post += weight"
    synapses = brian2.Synapses(source, target, variables, on_pre=rule)
    weights = projection.weights.tocoo()
    target_size, source_size = projection.weights.shape
    copy = np.arange(copies)[:, np.newaxis]
    synapses.connect(
        i=(copy * source_size + weights.col).ravel(),
        j=(copy * target_size + weights.row).ravel(),
    )
    synapses.weight = np.tile(weights.data, copies)
    # A spike arrives after the thresholds of the same step, so a delay of one step
    # needs no delay here.
    synapses.delay = (projection.delay_steps - 1) * brian2.ms
    return synapses


def _make_group(
    brian2: Any,
    network: ExportedNetwork,
    population: ExportedPopulation,
    copies: int,
) -> Any:
    """Return the neurons of all copies of a population.

    They integrate their input `x` once a step.
    """
    if population.counts_largest:
        return _make_pooling(brian2, population, copies)
    numbers = population.numbers
    # Numbers of each neuron of the population, by name: float64 (size,)
    values = {name: column[:, 0] for name, column in numbers.items()}
    values["bias"] = population.bias
    values["theta"] = population.threshold
    values["later_bias"] = np.zeros(population.size)
    if population.later_bias is not None:
        values["later_bias"] = population.later_bias
    variables = [
        "v : 1",
        "i_syn : 1",
        "x : 1",
        "current : 1 (constant)",
        "last : integer (shared, constant)",
    ]
    for name in values:
        variables.append(f"{name} : 1 (constant)")
    window_start, _ = _window(population, 1)
    namespace = {
        "first": population.first_step,
        "opens": population.first_step + window_start,
        "ms": brian2.ms,
        **_input_bounds(population),
    }
    group = brian2.NeuronGroup(
        population.size * copies,
        "\n".join(variables),
        threshold="v >= theta and t_in_timesteps >= opens and t_in_timesteps < last",
        reset="v = reset" if "reset" in numbers else "v -= subtrahend",
        namespace=namespace,
    )
    group.v = np.tile(population.start, copies)
    for name, neuron_values in values.items():
        setattr(group, name, np.tile(neuron_values, copies))
    rule = _integration_rule(
        has_synaptic_current="current_leak" in numbers,
        is_input_constant=network.input.coding == "current",
    )
    group.run_regularly(rule, when="groups")
    return group


def _make_pooling(brian2: Any, population: ExportedPopulation, copies: int) -> Any:
    """Return the neurons of a max pooling: `v` is the largest count of the inputs."""
    return brian2.NeuronGroup(
        population.size * copies,
        "v : 1\nx : 1\ncurrent : 1 (constant)\nlast : integer (shared, constant)",
        threshold="x > 0",
        reset="v += 1\nx = 0",
    )


def _input_bounds(population: ExportedPopulation) -> Dict[str, int]:
    """Return the steps of a run at which constant input and bias begin and end."""
    first_step = population.first_step
    if population.window is None:
        return {"input_ends": NEVER, "bias_begins": first_step, "bias_ends": NEVER}
    window_start = first_step + population.window[0]
    return {
        "input_ends": first_step + population.window_steps,
        "bias_begins": window_start - population.window_steps,
        "bias_ends": window_start,
    }


def _integration_rule(*, has_synaptic_current: bool, is_input_constant: bool) -> str:
    """Return the statements of Brian2 with which neurons integrate their input."""
    terms: List[str] = [
        "x",
        "bias * int(t_in_timesteps >= bias_begins and t_in_timesteps < bias_ends)",
        "later_bias * int(t_in_timesteps > first)",
        "current * int(t_in_timesteps < input_ends)",
    ]
    if not is_input_constant:
        terms.append("arriving(t - first * ms, i)")
    has_begun = "int(t_in_timesteps >= first)"
    statements = [f"total = ({' + '.join(terms)}) * {has_begun}"]
    current = "total"
    if has_synaptic_current:
        current = "i_syn"
        statements.append("i_syn += current_gain * total - (1 - current_leak) * i_syn")
    rise = f"gain * {current} + offset - (1 - leak) * v"
    statements.append(f"v += ({rise}) * {has_begun}")
    statements.append("x = 0")
    return "\n".join(statements)


def _window(population: ExportedPopulation, steps: int) -> Tuple[int, int]:
    """Return the steps in which a population can fire.

    Without a window, these are all of the `steps` steps.
    """
    if population.window is None:
        return 0, steps
    return population.window
