"""The exported network and images of a run, and the comparison of spikes. The other programs import this module."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

run, export, samples = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
stated = json.loads((export / "description.json").read_text(encoding="utf-8"))
neuron, simulation = stated["neuron"], stated["simulation"]
steps, populations = simulation["duration"], stated["populations"][1:]
last_step, size = (
    max(p["first_step"] for p in populations),
    sum(p["size"] for p in populations),
)
parts = [slice(p["first_id"], p["first_id"] + p["size"]) for p in populations]


def of_neurons(name):
    """Values of each neuron, float64: those of the channels of its population, else that of `neuron`."""
    values = [
        np.array(population.get(name, neuron[name]), float)
        for population in populations
    ]
    return np.concatenate(
        [
            np.resize(own, population["size"])
            for own, population in zip(values, populations)
        ]
    )


threshold, start = of_neurons("threshold"), of_neurons("initial_potential")

number = simulation["first_sample"]
values = np.load(run / simulation["samples_file"])[number : number + samples].astype(
    np.float32
)
pixels = (
    (values / np.float32(simulation["pixel_scale"])).reshape(samples, -1).astype(float)
)
if "threshold" in populations[0]:  # integers
    pixels = np.rint(pixels * neuron["input_spike_amplitude"])


def read(name):
    """Source, target (ids from 0), weight in float64 and delay in steps of an edge population of the export."""
    with h5py.File(export / "edges.h5", "r") as file:
        edges = file.get(f"edges/{name}")
        if edges is None:
            return [np.empty(0, kind) for kind in (int, int, float, int)]
        delays = np.array([p["delay_steps"] for p in stated["projections"]])
        source, target = (
            edges[f"{end}_node_id"][()].astype(int) for end in ("source", "target")
        )
        return (
            source,
            target,
            edges["0/syn_weight"][()].astype(float),
            delays[edges["edge_type_id"][()]],
        )


def currents(sample):
    """Current of each neuron in every step: its bias, and the constant input."""
    with h5py.File(export / "nodes.h5", "r") as file:
        current = file["nodes/snn/0/bias"][()].astype(float)
    source, target, weight, _ = read("input_snn")
    np.add.at(current, target, weight * pixels[sample][source])
    return current


def compare(spikes):
    """Compare with the run. `spikes`: for each sample, neurons (ids from 0) and the steps in which they spike."""
    times = np.load(run / "simulations" / stated["graph"]["stamp"] / "spike_times.npz")
    pairs = differing = 0
    for population in populations:
        if (
            population["coding"] != "spikes"
        ):  # random in a softmax layer; an output may have none
            continue
        first, size = population["first_id"], population["size"]
        for sample, (neurons, when) in enumerate(spikes):
            step = when - population["first_step"]
            here = (
                (neurons >= first)
                & (neurons < first + size)
                & (step >= 0)
                & (step < steps)
            )
            found = np.bincount(neurons[here] - first, minlength=size)
            table = times[population["name"]]
            expected = np.bincount(
                table[table[:, 0] == number + sample, 1], minlength=size
            )
            assert expected.sum() > 0 or size < 20, population["name"]
            pairs, differing = (
                pairs + size,
                differing + np.count_nonzero(found != expected),
            )
    print(f"{differing} of {pairs} pairs of sample and neuron differ")
