"""The network that a run was exported as (format sonata), and where its counts go: for simulators that read edges.

    python PROGRAM SONATA SAMPLES RESULT

SONATA is the directory of the export, SAMPLES a file of pixels, float32 (samples, neurons of the input), RESULT a file
for the seconds that the simulation took, without building and compiling, and the counts of each population.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

export, pixels, result = (
    Path(sys.argv[1]),
    np.load(sys.argv[2]).astype(float),
    sys.argv[3],
)
stated = json.loads((export / "description.json").read_text(encoding="utf-8"))
steps = stated["simulation"]["duration"]
populations, last_step = (
    stated["populations"][1:],
    max(p["first_step"] for p in stated["populations"]),
)


def read(name):
    """Source, target (ids from 0), weight in float64 and delay in steps of an edge population of the export."""
    with h5py.File(export / "edges.h5", "r") as file:
        edges = file[f"edges/{name}"]
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


def currents():
    """What is added to each neuron's potential in every step, float64 (samples, neurons): bias and constant input."""
    with h5py.File(export / "nodes.h5", "r") as file:
        bias = file["nodes/snn/0/bias"][()].astype(float)
    source, target, weight, _ = read("input_snn")
    current = np.tile(bias, (len(pixels), 1))
    for row, picture in zip(current, pixels):
        np.add.at(row, target, weight * picture[source])
    return current


def write(seconds, spikes):
    """Write the seconds, and of each sample's spikes (ids from 0, steps) the counts by population."""
    counts = {}
    for population in populations:
        first, size = population["first_id"], population["size"]
        rows = []
        for neurons, when in spikes:
            step = when - population["first_step"]
            here = (
                (neurons >= first)
                & (neurons < first + size)
                & (step >= 0)
                & (step < steps)
            )
            rows.append(np.bincount(neurons[here] - first, minlength=size))
        counts[population["name"]] = np.array(rows)
    np.savez(result, seconds=seconds, **counts)
