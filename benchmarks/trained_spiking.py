"""Networks that snnTorch, Norse, SpikingJelly and Sinabs train, beside `snnb` with the NIR files that they write.

    python benchmarks/trained_spiking.py --python OTHER/bin/python [--network NAME ...] [--epochs 8]

OTHER is an environment with torch, numpy, nir and the four tools. Each network is trained on `digit_events` with time
steps of 1 ms, and simulates the 360 test samples, in float32 and in float64. Printed are for each its accuracy, the
spikes of its layers in the tool and here, and the pairs of sample and neuron whose numbers of spikes differ: between
the tool and `snnb`, and between the tool in float32 and in float64, which is the rounding.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SHAPE, CLASSES, HIDDEN = (2, 12, 12), 10, 64
BATCH, RATE = 128, 1e-2
SUBTRACT, DELAYED = {"nir_reset": "subtract"}, {"nir_reset": "subtract_delayed"}
# Options of `parse` by network.
NETWORKS = {
    "snntorch zero": {"time_step": 1e-4},
    "snntorch default": {"time_step": 1e-4, **DELAYED},
    "snntorch RLeaky": {"time_step": 1e-4},
    "snntorch RLeaky default": {"time_step": 1e-4, **DELAYED},
    "snntorch RSynaptic": {"time_step": 1e-4, **DELAYED},
    "norse LIFBoxCell": {"time_step": 1e-3},
    "norse LIFCell": {"time_step": 1e-3},
    "spikingjelly LIFNode": {"time_step": 1e-4},
    "spikingjelly CUBALIFNode": {"time_step": 1e-4},
    "sinabs IAF SingleSpike": SUBTRACT,
    "sinabs IAF": SUBTRACT,
    "sinabs LIF": {"time_step": 1.0, "integration": "exponential", **SUBTRACT},
}


ZERO = {"init_hidden": True, "reset_mechanism": "zero"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="of the other environment")
    parser.add_argument(
        "--network", nargs="*", choices=NETWORKS, default=list(NETWORKS)
    )
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        for network in given.network:
            try:
                in_the_tool(network, given.folder, given.epochs)
            except Exception as error:  # of the tool
                message = f"{type(error).__name__}: {error}".splitlines()[0]
                (given.folder / f"{network}.txt").write_text(message, encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        write_samples(folder)
        command = [
            given.python,
            __file__,
            "--train",
            "--folder",
            folder,
            "--epochs",
            given.epochs,
            "--network",
        ]
        subprocess.run(
            [*map(str, command), *given.network], check=True, stdout=subprocess.DEVNULL
        )
        print(
            "| network | accuracy | in the tool | here | pairs that differ | in float64 |",
            "|---" * 6 + "|",
            sep="\n",
        )
        for network in given.network:
            print("|", " | ".join([network, *compared(folder, network)]), "|")


def compared(folder, network):
    """Return the cells of a network."""
    if not (folder / f"{network}.npz").exists():
        return [(folder / f"{network}.txt").read_text(encoding="utf-8")]
    tool, x = (
        np.load(str(folder / f"{network}.npz")),
        np.load(str(folder / "x_test.npy")),
    )
    wanted, exact = (
        [tool[f"{kind} {n}"] for n in range(2)] for kind in ("float32", "float64")
    )
    right = (wanted[-1].argmax(1) == np.load(str(folder / "y_test.npy"))).mean()
    here = counts_here(folder / f"{network}.nir", NETWORKS[network], x)
    return [
        f"{right:.1%}",
        sums(wanted),
        sums(here),
        differing(wanted, here),
        differing(wanted, exact),
    ]


def sums(counts):
    return ", ".join(f"{int(of_layer.sum()):,}" for of_layer in counts)


def differing(counts, others):
    return ", ".join(
        f"{int((a != b).sum()):,}" if a.shape == b.shape else "shape"
        for a, b in zip(counts, others)
    )


def write_samples(folder):
    """Write events, uint8 (samples, steps, channels, rows, columns), and classes."""
    from snnb.datasets import digit_events, digits

    parts = digit_events.load(digits.locate(Path()))
    for name, part in (("train", parts.train), ("test", parts.test)):
        read = [
            part.read(position, digit_events.SENSOR, 1000)
            for position in range(len(part.labels))
        ]
        x = np.zeros(
            (len(read), max(sample.length for sample in read), np.prod(SHAPE)), np.uint8
        )
        for counts, sample in zip(x, read):
            counts[sample.step, sample.neuron] = sample.value
        x = x.reshape(*x.shape[:2], *digit_events.SENSOR).transpose(0, 1, 4, 2, 3)
        np.save(str(folder / f"x_{name}.npy"), x)
        np.save(str(folder / f"y_{name}.npy"), np.asarray(part.labels, np.int64))


def counts_here(path, options, x):
    """Return the spikes of each layer in the tool's order: int (samples, neurons)."""
    from snnb.model_files.kinds import NirSettings
    from snnb.model_files.nir_network import read_nir
    from snnb.network.event_samples import InputSteps
    from snnb.simulation.engines.event.event_engine import EventEngine
    from snnb.simulation.settings import SimulationSettings

    x = x.transpose(0, 1, 3, 4, 2)
    network = read_nir(path, NirSettings(**options), x.shape[2:])
    settings = SimulationSettings(samples=len(x), duration=x.shape[1], input="events")
    steps = InputSteps.dense(x.reshape(*x.shape[:2], *network.input.shape))
    counts = EventEngine(network, settings).simulate(steps, 0, lambda *_: None).counts
    found = [counts[population.name] for population in network.populations]
    return [
        (c.transpose(0, 3, 1, 2) if c.ndim == 4 else c).reshape(len(x), -1)
        for c in found
    ]


def in_the_tool(network, folder, epochs):
    """Train a network; write its NIR file, and the spikes of each layer in float32 and float64."""
    import nir
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)
    x, y, tests = (
        torch.from_numpy(np.load(str(folder / f"{n}.npy")))
        for n in ("x_train", "y_train", "x_test")
    )
    tool, kind = network.split(" ", 1)
    module, layers, graph = globals()[tool](kind, x.shape[1])
    optimizer = torch.optim.Adam(module.parameters(), RATE)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(
                layers(x[rows].float())[-1].flatten(2).sum(1), y[rows]
            ).backward()
            optimizer.step()
    written = graph(tests[:1, 0].float())
    nir.write(str(folder / f"{network}.nir"), written)
    counts = {}
    with torch.no_grad():
        for name, samples in (("float32", tests.float()), ("float64", tests.double())):
            torch.set_default_dtype(samples.dtype)  # of states that the tools create
            module.to(samples.dtype)
            for number, spikes in enumerate(layers(samples)):
                counts[f"{name} {number}"] = spikes.sum(1).flatten(1).numpy()
    np.savez(str(folder / f"{network}.npz"), **counts)


def dense(scale=1.0):
    """Return the layers of 288 inputs – 64 – 10."""
    from torch import nn

    first, second = nn.Linear(int(np.prod(SHAPE)), HIDDEN), nn.Linear(HIDDEN, CLASSES)
    for layer in (first, second):
        layer.weight.data *= scale
    return first, second


def convolutional(scale=1.0):
    from torch import nn

    first, second = nn.Conv2d(2, 8, 3, padding=1), nn.Linear(8 * 6 * 6, CLASSES)
    for layer in (first, second):
        layer.weight.data *= scale
    return first, second


def step_by_step(module, kinds, reset):
    """Return a function from samples (samples, steps, …) to the spikes of layers of these kinds, likewise."""
    import torch

    def layers(x):
        reset()
        steps = []
        for value in x.unbind(1):
            spikes = []
            for layer in module:
                value = layer(value)
                if isinstance(layer, kinds):
                    spikes.append(value)
            steps.append(spikes)
        return [torch.stack(spikes, 1) for spikes in zip(*steps)]

    return layers


def snntorch(kind, steps):
    import snntorch as snn
    import torch
    from snntorch.export_nir import export_to_nir
    from torch import nn

    first, second = dense(2.0)
    options = (
        {"init_hidden": True}
        if DELAYED.items() <= NETWORKS[f"snntorch {kind}"].items()
        else ZERO
    )
    values = {"beta": torch.full((HIDDEN,), 0.9), "threshold": torch.ones(HIDDEN)}
    out = snn.Leaky(
        torch.full((CLASSES,), 0.9), threshold=torch.ones(CLASSES), **options
    )
    if "RLeaky" in kind:
        hidden = snn.RLeaky(
            linear_features=HIDDEN, reset_delay="default" in kind, **values, **options
        )
    elif kind == "RSynaptic":
        hidden = snn.RSynaptic(
            torch.full((HIDDEN,), 0.5), linear_features=HIDDEN, **values, **options
        )
    else:
        hidden = snn.Leaky(**values, **options)
    if kind in ("RLeaky", "RSynaptic"):
        hidden.recurrent = nn.Linear(HIDDEN, HIDDEN, bias=False)
    module = nn.Sequential(nn.Flatten(), first, hidden, second, out)

    def reset():
        for neurons in (hidden, out):
            neurons.reset_mem()
            if (
                first.weight.dtype == torch.float64
            ):  # snnTorch's functions of spikes return float32
                neurons.spike_grad = lambda v: (v > 0).to(v.dtype)

    def graph(sample):
        reset()
        return export_to_nir(module, sample, ignore_dims=[0])

    return (
        module,
        step_by_step(module, (snn.Leaky, snn.RLeaky, snn.RSynaptic), reset),
        graph,
    )


def norse(kind, steps):
    import norse.torch as nt
    import torch
    from norse.torch.utils.export_nir import to_nir

    def neurons(size):
        values = {
            "tau_mem_inv": torch.full((size,), 100.0),
            "v_th": torch.ones(size),
            "alpha": torch.tensor(10.0),
        }
        values.update(v_leak=torch.zeros(size), v_reset=torch.zeros(size))
        if kind == "LIFCell":
            return nt.LIFCell(
                nt.LIFParameters(tau_syn_inv=torch.full((size,), 200.0), **values)
            )
        return nt.LIFBoxCell(nt.LIFBoxParameters(**values))

    first, second = dense(12.0)
    hidden, out = neurons(HIDDEN), neurons(CLASSES)
    module = nt.SequentialState(first, hidden, second, out)

    def layers(x):
        states, spikes = [None, None], []
        for value in x.flatten(2).unbind(1):
            between, states[0] = hidden(first(value), states[0])
            value, states[1] = out(second(between), states[1])
            spikes.append((between, value))
        return [torch.stack(of_layer, 1) for of_layer in zip(*spikes)]

    return module, layers, lambda sample: to_nir(module, sample.flatten(), dt=1)


def spikingjelly(kind, steps):
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir
    from torch import nn

    def neurons():
        if kind == "CUBALIFNode":
            return neuron.CUBALIFNode(c_decay=0.5, v_decay=0.8, v_reset=0.0)
        return neuron.LIFNode(tau=4.0, decay_input=False)

    if kind == "LIFNode":
        first, second = convolutional(2.0)
        module = nn.Sequential(
            first, neurons(), nn.AvgPool2d(2), nn.Flatten(), second, neurons()
        )
    else:
        first, second = dense(0.5)
        module = nn.Sequential(nn.Flatten(), first, neurons(), second, neurons())

    def reset():
        functional.reset_net(module)

    def graph(sample):
        reset()
        return export_to_nir(module, sample)

    return (
        module,
        step_by_step(module, (neuron.LIFNode, neuron.CUBALIFNode), reset),
        graph,
    )


def sinabs(kind, steps):
    import nir
    import sinabs.activation as sa
    import sinabs.layers as sl
    import torch
    from sinabs.nir import to_nir
    from torch import nn

    def neurons(size):
        options = {"spike_fn": sa.MultiSpike if kind == "IAF" else sa.SingleSpike}
        if kind.startswith("IAF"):
            return sl.IAFSqueeze(num_timesteps=steps, **options)
        options.update(
            tau_mem=torch.full((size,), 8.0), spike_threshold=torch.ones(size)
        )
        return sl.LIFSqueeze(num_timesteps=steps, **options)

    if kind.startswith("IAF"):
        first, second = convolutional()
        module = nn.Sequential(
            first,
            neurons(None),
            sl.SumPool2d(2),
            nn.Flatten(),
            second,
            neurons(CLASSES),
        )
    else:
        first, second = dense(8.0)
        module = nn.Sequential(
            nn.Flatten(), first, neurons(HIDDEN), second, neurons(CLASSES)
        )
    populations = [one for one in module if isinstance(one, sl.StatefulLayer)]

    def layers(x):
        for one in populations:
            one.reset_states()
        value, spikes = x.flatten(0, 1), []
        for one in module:
            value = one(value).to(x.dtype)
            if one in populations:
                spikes.append(value.reshape(*x.shape[:2], *value.shape[1:]))
        return spikes

    def graph(sample):
        for one in populations:
            one.reset_states()
        written = to_nir(module, sample.repeat(steps, 1, 1, 1))
        for (
            node
        ) in written.nodes.values():  # which to_nir leaves out, and nir.write needs
            if isinstance(node, nir.Conv2d):
                node.input_shape = SHAPE[1:]
            elif isinstance(node, nir.Flatten):
                node.input_type = {
                    "input": np.array([8, 6, 6] if kind.startswith("IAF") else SHAPE)
                }
        return written

    return module, layers, graph


if __name__ == "__main__":
    main()
