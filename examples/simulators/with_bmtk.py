"""Simulate the `sonata` export of a run in bmtk 1.2 (PointNet on NEST), which builds the network from the files."""

import json
from pathlib import Path

import h5py
import nest
import numpy as np
from bmtk.simulator import pointnet
from exported import (
    compare,
    currents,
    export,
    last_step,
    neuron,
    parts,
    populations,
    samples,
    size,
    start,
    steps,
    threshold,
)

nest.verbosity = nest.VerbosityLevel.ERROR
scratch = Path("bmtk_output")
circuit = json.loads((export / "circuit_config.json").read_text(encoding="utf-8"))
config = {
    "manifest": {"$BASE_DIR": str(export.absolute())},
    "components": circuit["components"],
    "networks": circuit["networks"],
    "run": {"tstop": steps + last_step + 3.0, "dt": 1.0},
    "target_simulator": "NEST",
    "output": {"output_dir": str(scratch.absolute()), "spikes_file": "spikes.h5", "log_to_console": False},
}
Path("bmtk.json").write_text(json.dumps(config), encoding="utf-8")

spikes = []
for sample in range(samples):
    nest.ResetKernel()
    configuration = pointnet.Config.from_json("bmtk.json")
    configuration.build_env(force=True)
    network = pointnet.PointNetwork.from_config(configuration)
    simulator = pointnet.PointSimulator.from_config(configuration, network)
    current = currents(sample) / neuron["threshold"]  # in these files the threshold is 1, or integers
    ids = np.array(network.gid_map.get_nestids("snn", np.arange(size)))
    order, own = np.argsort(ids), np.array([threshold, start]) / neuron["threshold"]
    # bmtk reads the parameters of node types, not those of nodes
    nest.NodeCollection(ids[order]).set(V_th=own[0, order], V_m=own[1, order])
    for population, part in zip(populations, parts):
        every_step = 1.0 + population["first_step"] + np.arange(steps)
        (generator,) = nest.Create("spike_generator", params={"spike_times": every_step}).tolist()
        weights = {"weight": current[part], "delay": np.ones(population["size"])}
        nest.Connect(np.full(population["size"], generator), ids[part], "one_to_one", weights)
    simulator.run()
    with h5py.File(scratch / "spikes.h5", "r") as file:
        found = file["spikes/snn"]
        spikes.append((found["node_ids"][()].astype(int), found["timestamps"][()].astype(int) - 2))
compare(spikes)
