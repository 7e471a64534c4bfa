"""Simulate the `sonata` export of a run in NEST 3.10."""

import nest
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

nest.verbosity = nest.VerbosityLevel.ERROR
model = {"subtraction": "eprop_iaf", "zero": "iaf_psc_delta"}[neuron["reset"]]
# tau_m is so long that nothing leaks. A current (I_e) does nothing then: biases come as spikes.
parameters = {"C_m": 1.0, "E_L": 0.0, "V_m": start, "V_th": threshold, "tau_m": 1e18, "t_ref": 0.0}  # of each neuron
if neuron["reset"] == "zero":
    parameters["V_reset"] = 0.0

spikes = []
for sample in range(samples):
    nest.ResetKernel()
    nest.resolution = 1.0
    current = currents(sample)
    neurons = nest.Create(model, size, parameters)
    for population, part in zip(populations, parts):
        every_step = 1.0 + population["first_step"] + np.arange(steps)
        generator = nest.Create("spike_generator", params={"spike_times": every_step})
        nest.Connect(generator, neurons[part], syn_spec={"weight": current[part][:, None], "delay": 1.0})
    source, target, weight, delay = read("snn_snn")
    weight = weight * neuron["spike_amplitude"]
    nest.Connect(source + 1, target + 1, "one_to_one", {"weight": weight, "delay": delay.astype(float)})
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    nest.Simulate(steps + last_step + 3.0)
    events = recorder.events
    spikes.append((events["senders"] - 1, events["times"].astype(int) - 2))
compare(spikes)
