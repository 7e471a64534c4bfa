"""Brian2, compiled to a C++ program that simulates all samples one after the other."""

import tempfile
import time

import brian2 as b
import numpy as np
from exported import currents, last_step, pixels, populations, read, steps, write

folder = tempfile.mkdtemp()
b.set_device("cpp_standalone", directory=folder, build_on_run=False)
b.defaultclock.dt = 1 * b.ms
period = steps + last_step + 1
drive = b.TimedArray(currents(), dt=period * b.ms)  # a row for each sample
neurons = b.NeuronGroup(
    drive.values.shape[1],
    """v : 1
    first : integer (constant)
    step = t_in_timesteps % period : integer""",
    threshold="v >= 1 and step < first + steps",
    reset="v -= 1",
    namespace={"steps": steps, "period": period, "drive": drive},
)
neurons.run_regularly(
    "v = v * int(step > 0) + drive(t, i) * int(step >= first)", when="groups"
)
for population in populations:
    neurons.first[
        population["first_id"] : population["first_id"] + population["size"]
    ] = population["first_step"]
source, target, weight, delay = read("snn_snn")
synapses = b.Synapses(neurons, neurons, "weight : 1", on_pre="v_post += weight")
synapses.connect(i=source, j=target)
synapses.weight = weight
synapses.delay = (
    (delay - 1) * b.ms
)  # a spike arrives after the thresholds of its step, which is a delay of one step
monitor = b.SpikeMonitor(neurons)
network = b.Network(neurons, synapses, monitor)
network.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
network.run(len(pixels) * period * b.ms)
b.device.build(directory=folder, compile=True, run=False)
began = time.perf_counter()
b.device.run(folder, with_output=False, run_args=[])
seconds = time.perf_counter() - began
ids, when = np.array(monitor.i), np.rint(np.array(monitor.t / b.ms)).astype(int)
write(
    seconds,
    [
        (ids[when // period == i], when[when // period == i] % period)
        for i in range(len(pixels))
    ],
)
