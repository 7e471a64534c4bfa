"""Simulate the `sonata` export of a run in bmtk 1.2 (PointNet on NEST), which builds the network from the files."""

import json
from pathlib import Path

import exported as run
import h5py
import nest
import numpy as np
from bmtk.simulator import pointnet

nest.verbosity = nest.VerbosityLevel.ERROR
scratch = Path("bmtk_output")
circuit = json.loads((run.export / "circuit_config.json").read_text(encoding="utf-8"))
config = {
    "manifest": {"$BASE_DIR": str(run.export.absolute())},
    "components": circuit["components"],
    "networks": circuit["networks"],
    "run": {"tstop": run.steps + run.last_step + 3.0, "dt": 1.0},
    "target_simulator": "NEST",
    "output": {
        "output_dir": str(scratch.absolute()),
        "spikes_file": "spikes.h5",
        "log_to_console": False,
    },
}
Path("bmtk.json").write_text(json.dumps(config), encoding="utf-8")

spikes = []
for sample in range(run.samples):
    nest.ResetKernel()
    configuration = pointnet.Config.from_json("bmtk.json")
    configuration.build_env(force=True)
    network = pointnet.PointNetwork.from_config(configuration)
    simulator = pointnet.PointSimulator.from_config(configuration, network)
    current = (
        run.currents(sample) / run.neuron["threshold"]
    )  # in these files the threshold is 1, or integers
    ids = np.array(network.gid_map.get_nestids("snn", np.arange(run.size)))
    order, own = (
        np.argsort(ids),
        np.array([run.threshold, run.start]) / run.neuron["threshold"],
    )
    # bmtk reads the parameters of node types, not those of nodes
    nest.NodeCollection(ids[order]).set(V_th=own[0, order], V_m=own[1, order])
    for population, part in zip(run.populations, run.parts):
        every_step = 1.0 + population["first_step"] + np.arange(run.steps)
        (generator,) = nest.Create(
            "spike_generator", params={"spike_times": every_step}
        ).tolist()
        weights = {"weight": current[part], "delay": np.ones(population["size"])}
        nest.Connect(
            np.full(population["size"], generator), ids[part], "one_to_one", weights
        )
    simulator.run()
    with h5py.File(scratch / "spikes.h5", "r") as file:
        found = file["spikes/snn"]
        spikes.append(
            (found["node_ids"][()].astype(int), found["timestamps"][()].astype(int) - 2)
        )
run.compare(spikes)
