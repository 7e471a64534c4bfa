"""NEST: `eprop_iaf`, which resets by subtraction; biases and the constant input come as spikes in every step."""

import time

import nest
import numpy as np
from exported import currents, last_step, pixels, populations, read, steps, write

nest.verbosity = nest.VerbosityLevel.ERROR
parameters = {
    "C_m": 1.0,
    "E_L": 0.0,
    "V_m": 0.0,
    "V_th": 1.0,
    "tau_m": 1e18,
    "t_ref": 0.0,
}  # so long that nothing leaks
source, target, weight, delay = read("snn_snn")
seconds, spikes, current = 0.0, [], currents()
for sample in range(len(pixels)):
    nest.ResetKernel()
    nest.local_num_threads = 1
    nest.resolution = 1.0
    neurons = nest.Create("eprop_iaf", current.shape[1], parameters)
    for population in populations:
        part = slice(
            population["first_id"], population["first_id"] + population["size"]
        )
        every_step = 1.0 + population["first_step"] + np.arange(steps)
        generator = nest.Create("spike_generator", params={"spike_times": every_step})
        nest.Connect(
            generator,
            neurons[part],
            syn_spec={"weight": current[sample][part][:, None], "delay": 1.0},
        )
    nest.Connect(
        source + 1,
        target + 1,
        "one_to_one",
        {"weight": weight, "delay": delay.astype(float)},
    )
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    nest.Prepare()
    began = time.perf_counter()
    nest.Run(steps + last_step + 3.0)
    seconds += time.perf_counter() - began
    nest.Cleanup()
    events = recorder.events
    spikes.append((events["senders"] - 1, events["times"].astype(int) - 2))
write(seconds, spikes)
