"""Simulate the `pynn` export of a run, the fourth argument, in PyNN 0.13 on NEST."""

import sys
from pathlib import Path

import exported as run
import numpy as np
import pyNN.nest as sim

lists = Path(sys.argv[4])  # the export of format pynn, made with --exact
model = {"subtraction": "eprop_iaf", "zero": "iaf_psc_delta"}[run.neuron["reset"]]
# PyNN multiplies weights by 1000 for NEST (nA to pA), so the threshold is 1000 times as high too.
parameters = {
    "C_m": 1.0,
    "E_L": 0.0,
    "V_th": 1000 * run.threshold.max(),
    "tau_m": 1e18,
    "t_ref": 0.0,
}
if run.neuron["reset"] == "zero":
    parameters["V_reset"] = 0.0

spikes = []
for sample in range(run.samples):
    sim.setup(timestep=1.0, min_delay=1.0, verbosity="error")
    current, neurons = run.currents(sample), {}
    for population, part in zip(run.populations, run.parts):
        cells = sim.Population(
            population["size"], sim.native_cell_type(model)(**parameters)
        )
        cells.node_collection.V_th = 1000 * run.threshold[part]
        cells.initialize(V_m=1000 * run.start[part])
        cells.record("spikes")
        neurons[population["name"]] = cells
        times = 2.0 + population["first_step"] + np.arange(run.steps)
        every_step = sim.Population(1, sim.SpikeSourceArray(spike_times=times))
        biases = sim.FromListConnector(
            [(0, i, bias, 1.0) for i, bias in enumerate(current[part])]
        )
        sim.Projection(every_step, cells, biases, sim.StaticSynapse())
    for number, projection in enumerate(run.stated["projections"]):
        if projection["source"] == "input":  # a current, which is in `current`
            continue
        for path in sorted(lists.glob(f"{number:04d}_*.txt")):
            connector = sim.FromFileConnector(str(path))
            sim.Projection(
                neurons[projection["source"]],
                neurons[projection["target"]],
                connector,
                sim.StaticSynapse(),
            )
    sim.run(run.steps + run.last_step + 3.0)
    senders, when = [], []
    for population in run.populations:
        for i, train in enumerate(
            neurons[population["name"]].get_data().segments[0].spiketrains
        ):
            senders += [population["first_id"] + i] * len(train)
            when += np.rint(train.magnitude).astype(int).tolist()
    spikes.append((np.array(senders), np.array(when) - 3))
    sim.end()
run.compare(spikes)
