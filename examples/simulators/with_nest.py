"""Simulate the `sonata` export of a run in NEST 3.10."""

import exported as run
import nest
import numpy as np

nest.verbosity = nest.VerbosityLevel.ERROR
model = {"subtraction": "eprop_iaf", "zero": "iaf_psc_delta"}[run.neuron["reset"]]
# V_m and V_th have a value for each neuron. With this tau_m nothing leaks, and a current (I_e) has no effect, so biases
# are spikes.
parameters = {
    "C_m": 1.0,
    "E_L": 0.0,
    "V_m": run.start,
    "V_th": run.threshold,
    "tau_m": 1e18,
    "t_ref": 0.0,
}
if run.neuron["reset"] == "zero":
    parameters["V_reset"] = 0.0

spikes = []
for sample in range(run.samples):
    nest.ResetKernel()
    nest.resolution = 1.0
    current = run.currents(sample)
    neurons = nest.Create(model, run.size, parameters)
    for population, part in zip(run.populations, run.parts):
        every_step = 1.0 + population["first_step"] + np.arange(run.steps)
        generator = nest.Create("spike_generator", params={"spike_times": every_step})
        nest.Connect(
            generator,
            neurons[part],
            syn_spec={"weight": current[part][:, None], "delay": 1.0},
        )
    source, target, weight, delay = run.read("snn_snn")
    weight = weight * run.neuron["spike_amplitude"]
    nest.Connect(
        source + 1,
        target + 1,
        "one_to_one",
        {"weight": weight, "delay": delay.astype(float)},
    )
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    nest.Simulate(run.steps + run.last_step + 3.0)
    events = recorder.events
    spikes.append((events["senders"] - 1, events["times"].astype(int) - 2))
run.compare(spikes)
