"""Simulate the `sonata` export of a run in Brian2 2.5 to 2.11."""

import brian2 as b
import exported as run
import numpy as np

b.prefs.codegen.target = "numpy"  # "cython" is faster and needs a compiler
b.defaultclock.dt = 1 * b.ms
neurons = b.NeuronGroup(
    run.size,
    """v : 1
    current : 1 (constant)
    theta : 1 (constant)
    first : integer (constant)""",
    threshold="v >= theta and t_in_timesteps < first + steps",
    reset="v -= theta" if run.neuron["reset"] == "subtraction" else "v = 0",
    namespace={"steps": run.steps},
)
neurons.v, neurons.theta = run.start, run.threshold
neurons.run_regularly("v += current * int(t_in_timesteps >= first)", when="groups")
for population, part in zip(run.populations, run.parts):
    neurons.first[part] = population["first_step"]
source, target, weight, delay = run.read("snn_snn")
synapses = b.Synapses(neurons, neurons, "weight : 1", on_pre="v_post += weight")
synapses.connect(i=source, j=target)
synapses.weight = weight * run.neuron["spike_amplitude"]
synapses.delay = (
    (delay - 1) * b.ms
)  # a spike arrives after the thresholds of its own step: one step is there already
monitor = b.SpikeMonitor(neurons)
network = b.Network(neurons, synapses, monitor)
network.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
network.store()

spikes = []
for sample in range(run.samples):
    network.restore()
    neurons.current = run.currents(sample)
    network.run((run.steps + run.last_step) * b.ms, namespace={})
    spikes.append(
        (np.array(monitor.i), np.rint(np.array(monitor.t / b.ms)).astype(int))
    )
run.compare(spikes)
