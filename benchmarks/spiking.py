"""Time of a network that was trained as a spiking one, beside SpikingJelly and Norse, each on one thread.

    python benchmarks/spiking.py --python OTHER/bin/python [--samples 64] [--steps 300] [--rounds 3]

OTHER is an environment with torch, numpy, spikingjelly and norse. The network has the layers of Sinabs's example for
N-MNIST (34×34×2: three convolutions, two sums of 2×2, two dense layers, neurons without leak that are reset to 0), with
random weights; the input is random events. In each round all simulate the same samples in turn, `snnb` from the NIR
file; printed are the spikes, ms of the processor a sample (median and range over the rounds), and the ratio of medians.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

TOOLS = ("spikingjelly", "norse")
SHAPE = (2, 34, 34)
EVENTS = 14 / np.prod(SHAPE)  # of an input in a step: as many as in N-MNIST
CONVOLUTIONS = {
    "0": (16, 2, 5, 2),
    "2": (16, 16, 3, 1),
    "5": (8, 16, 3, 1),
}  # filters, channels, taps, stride
DENSE = {"9": (256, 128), "11": (10, 256)}
POOLS = ("4", "7")
SCALE = 2  # of the weights, so that neurons spike


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="of the other environment")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--tool", nargs=2, metavar=("TOOL", "FOLDER"), help=argparse.SUPPRESS
    )
    given = parser.parse_args()
    if given.tool:
        print(*measure_tool(given.tool[0], Path(given.tool[1])))
        return
    from machine import machine, spread

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, given.samples, given.steps)
        found = {tool: [] for tool in ("snnb", *(TOOLS if given.python else ()))}
        for _ in range(given.rounds):
            for tool, measured in found.items():
                if tool == "snnb":
                    measured.append(measure_snnb(folder))
                else:
                    command = [given.python, __file__, "--tool", tool, name]
                    output = subprocess.run(
                        command, check=True, stdout=subprocess.PIPE, text=True
                    ).stdout
                    measured.append(tuple(map(float, output.splitlines()[-1].split())))
    print(f"{machine()}; {given.samples} samples of {given.steps} steps")
    own = np.median([ms for _, ms in found["snnb"]])
    for tool, measured in found.items():
        times = [ms for _, ms in measured]
        print(
            f"| {tool} | {measured[0][0]:,.0f} | {spread(times, 2)} | {np.median(times) / own:.1f} |"
        )


def write(folder, samples, steps):
    """Write weights, samples (samples, steps, channels, rows, columns) and the network as a NIR file."""
    import h5py

    random = np.random.default_rng(0)
    np.save(
        str(folder / "x.npy"),
        random.random((samples, steps, *SHAPE), np.float32) < EVENTS,
    )
    weights = {
        name: random.normal(0, SCALE / np.sqrt(n * k * k), (m, n, k, k))
        for name, (m, n, k, _) in CONVOLUTIONS.items()
    }
    weights.update(
        {
            name: random.normal(0, SCALE / np.sqrt(n), (m, n))
            for name, (m, n) in DENSE.items()
        }
    )
    weights = {name: weight.astype(np.float32) for name, weight in weights.items()}
    np.savez(str(folder / "weights.npz"), **weights)
    names = ["input", *map(str, range(13)), "output"]
    with h5py.File(str(folder / "net.nir"), "w") as file:
        file["node/type"] = "NIRGraph"
        file["node/edges"] = np.array(
            list(zip(names, names[1:])), h5py.special_dtype(vlen=str)
        )
        for name in names:
            node = file.create_group(f"node/nodes/{name}")
            for key, value in nir_node(name, weights).items():
                node[key] = value


def nir_node(name, weights):
    if name == "input":
        return {"type": "Input", "shape": SHAPE}
    if name == "output":
        return {"type": "Output", "shape": (10,)}
    if name in CONVOLUTIONS:
        filters, _, _, stride = CONVOLUTIONS[name]
        rest = {
            "stride": (stride, stride),
            "padding": (1, 1),
            "dilation": (1, 1),
            "groups": 1,
        }
        return {
            "type": "Conv2d",
            "weight": weights[name],
            "bias": np.zeros(filters),
            **rest,
        }
    if name in DENSE:
        return {"type": "Linear", "weight": weights[name]}
    if name in POOLS:
        return {
            "type": "SumPool2d",
            "kernel_size": (2, 2),
            "stride": (2, 2),
            "padding": (0, 0),
        }
    if name == "8":
        return {"type": "Flatten", "start_dim": 0, "end_dim": -1}
    return {"type": "IF", "r": 1.0, "v_threshold": 1.0, "v_reset": 0.0}


def measure_snnb(folder):
    """Return the spikes of all populations, and ms per sample."""
    from snnb.model_files.nir_network import NirSettings, read_nir
    from snnb.network.event_samples import InputSteps
    from snnb.simulation.engines.event.event_engine import EventEngine
    from snnb.simulation.settings import SimulationSettings

    x = np.load(str(folder / "x.npy"))
    steps = InputSteps.dense(x.transpose(0, 1, 3, 4, 2))
    settings = SimulationSettings(samples=len(x), duration=x.shape[1], input="events")
    engine = EventEngine(
        read_nir(folder / "net.nir", NirSettings()), settings, threads=1
    )
    engine.simulate(
        steps[:8], 0, lambda *_: None
    )  # compiles, for groups of several samples
    start = time.process_time()
    counts = engine.simulate(steps, 0, lambda *_: None).counts
    seconds = time.process_time() - start
    return sum(
        int(c.sum()) for name, c in counts.items() if name != "input"
    ), seconds / len(x) * 1000


def measure_tool(tool, folder):
    """Return the spikes of all layers, and ms per sample, with all samples in one batch."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    if tool == "spikingjelly":
        from spikingjelly.activation_based.neuron import IFNode as Neurons
    else:
        from norse.torch import IAFCell as Neurons
    x, weights = (
        torch.from_numpy(np.load(str(folder / "x.npy"))),
        np.load(str(folder / "weights.npz")),
    )
    layers = []
    for name in map(str, range(13)):
        if name in CONVOLUTIONS:
            filters, channels, taps, stride = CONVOLUTIONS[name]
            layers.append(nn.Conv2d(channels, filters, taps, stride, 1, bias=False))
        elif name in DENSE:
            layers.append(nn.Linear(*DENSE[name][::-1], bias=False))
        elif name in POOLS:
            layers.append(nn.LPPool2d(1, 2))  # sums of what is not negative
        else:
            layers.append(nn.Flatten() if name == "8" else Neurons())
        if name in weights:
            layers[-1].weight.data = torch.from_numpy(weights[name])
    states, spikes = [None] * len(layers), 0
    start = time.process_time()
    with torch.no_grad():
        for step in range(x.shape[1]):
            value = x[:, step].float()
            for number, layer in enumerate(layers):
                if not isinstance(layer, Neurons):
                    value = layer(value)
                    continue
                if tool == "norse":
                    value, states[number] = layer(value, states[number])
                else:
                    value = layer(value)
                spikes += int(value.sum())
    return spikes, (time.process_time() - start) / len(x) * 1000


if __name__ == "__main__":
    main()
