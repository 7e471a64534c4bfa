"""Simulate the `sonata` export of a run in Brian2 2.5 to 2.11."""

import brian2 as b
import numpy as np
from exported import (
    compare,
    currents,
    last_step,
    neuron,
    parts,
    populations,
    read,
    samples,
    size,
    start,
    steps,
    threshold,
)

b.prefs.codegen.target = "numpy"  # "cython" is faster and needs a compiler
b.defaultclock.dt = 1 * b.ms
neurons = b.NeuronGroup(
    size,
    """v : 1
    current : 1 (constant)
    theta : 1 (constant)
    first : integer (constant)""",
    threshold="v >= theta and t_in_timesteps < first + steps",
    reset="v -= theta" if neuron["reset"] == "subtraction" else "v = 0",
    namespace={"steps": steps},
)
neurons.v, neurons.theta = start, threshold
neurons.run_regularly("v += current * int(t_in_timesteps >= first)", when="groups")
for population, part in zip(populations, parts):
    neurons.first[part] = population["first_step"]
source, target, weight, delay = read("snn_snn")
synapses = b.Synapses(neurons, neurons, "weight : 1", on_pre="v_post += weight")
synapses.connect(i=source, j=target)
synapses.weight = weight * neuron["spike_amplitude"]
synapses.delay = (delay - 1) * b.ms  # a spike arrives after the thresholds of its own step: one step is there already
monitor = b.SpikeMonitor(neurons)
network = b.Network(neurons, synapses, monitor)
network.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
network.store()

spikes = []
for sample in range(samples):
    network.restore()
    neurons.current = currents(sample)
    network.run((steps + last_step) * b.ms, namespace={})
    spikes.append((np.array(monitor.i), np.rint(np.array(monitor.t / b.ms)).astype(int)))
compare(spikes)
