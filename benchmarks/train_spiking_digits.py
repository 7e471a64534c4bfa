"""Train the network `spiking_digits` with snnTorch and write it as a NIR file.

    python benchmarks/train_spiking_digits.py src/snnb/architectures/spiking_digits.nir

Needs an environment with torch, snntorch, nir and snnb, without TensorFlow. The file of the package was written with
Python 3.11.7, torch 2.13.0 (CPU), snntorch 1.0.0, nir 1.0.8 and numpy 2.4.6.

Leaky neurons that are reset to 0: 288 events – 64 – 32, connected to themselves – 10 classes by their spikes. The epoch
is chosen on a sixth of the training samples, which are not trained on. Weights are multiples of 1 / 256.
"""

import sys
from pathlib import Path

import nir
import numpy as np
import snntorch
import torch
from torch.nn import Linear, Module
from torch.nn.functional import cross_entropy

from snnb.datasets import digit_events, digits

BIN_US = 1000  # a time step
BETA = (
    0.875,
    0.875,
    0.9375,
)  # fraction of the potential that remains after a time step
EPOCHS, BATCH, RATE, SEED = 40, 32, 2e-3, 0
HELD_OUT = 6  # of so many training samples, one is not trained on
GRID = 256  # weights are multiples of 1 / GRID


def frames(part):
    """Return the counts of events: float32 (samples, steps, 288), channels first; and the classes."""
    read = [
        part.read(position, digit_events.SENSOR, BIN_US)
        for position in range(len(part.labels))
    ]
    size = int(np.prod(digit_events.SENSOR))
    x = np.zeros((len(read), max(sample.length for sample in read), size), np.float32)
    for counts, sample in zip(x, read):
        counts[sample.step, sample.neuron] = sample.value
    x = (
        x.reshape(*x.shape[:2], *digit_events.SENSOR)
        .transpose(0, 1, 4, 2, 3)
        .reshape(x.shape)
    )
    return torch.from_numpy(x), torch.from_numpy(np.asarray(part.labels, np.int64))


class Network(Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (
            Linear(*n, bias=False) for n in ((288, 64), (64, 32), (32, 10))
        )
        options = {"reset_mechanism": "zero", "reset_delay": False}
        self.hidden, self.out = (
            snntorch.Leaky(beta, **options) for beta in (BETA[0], BETA[2])
        )
        self.recurrent = snntorch.RLeaky(BETA[1], linear_features=32, **options)
        self.recurrent.recurrent = Linear(32, 32, bias=False)
        with torch.no_grad():
            for layer in (self.first, self.second, self.third):
                layer.weight *= 2  # so that neurons spike

    def forward(self, x):
        """Return the spikes of the output in all steps."""
        first, out, total = torch.zeros(len(x), 64), torch.zeros(len(x), 10), 0
        spikes, potential = torch.zeros(len(x), 32), torch.zeros(len(x), 32)
        for current in self.first(x).unbind(1):
            hidden, first = self.hidden(current, first)
            spikes, potential = self.recurrent(self.second(hidden), spikes, potential)
            classes, out = self.out(self.third(spikes), out)
            total = total + classes
        return total


def rounded(weights):
    return {
        name: torch.round(w * GRID) / GRID if w.ndim == 2 else w
        for name, w in weights.items()
    }


def accuracy(network, weights, x, y):
    kept = {name: w.clone() for name, w in network.state_dict().items()}
    network.load_state_dict(weights)
    with torch.no_grad():
        right = (network(x).argmax(1) == y).float().mean().item()
    network.load_state_dict(kept)
    return right


def trained(network, x, y):
    """Train; return the rounded weights of the epoch that is best on the samples that are held out."""
    held = torch.arange(len(x)) % HELD_OUT == 0
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    best, chosen = 0.0, {}
    for epoch in range(EPOCHS):
        for rows in torch.nonzero(~held)[:, 0][
            torch.randperm(int((~held).sum()))
        ].split(BATCH):
            optimizer.zero_grad()
            cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        weights = rounded(network.state_dict())
        found = accuracy(network, weights, x[held], y[held])
        print(f"epoch {epoch + 1}: {found:.1%} of the held out samples", flush=True)
        if found > best:
            best, chosen = found, weights
    return chosen


def graph(weights):
    """Return the NIR graph, with time constants in seconds."""

    def neurons(count, beta):
        tau, ones = BIN_US * 1e-6 / (1 - beta), np.ones(count)
        # NIR multiplies a current by r dt / tau, snnTorch by 1.
        return nir.LIF(tau * ones, ones / (1 - beta), 0 * ones, ones, 0 * ones)

    def matrix(name):
        return nir.Linear(weights[f"{name}.weight"].numpy())

    nodes = {
        "input": nir.Input({"input": np.array([2, 12, 12])}),
        "flat": nir.Flatten({"input": np.array([2, 12, 12])}, start_dim=0, end_dim=-1),
        "first": matrix("first"),
        "hidden": neurons(64, BETA[0]),
        "second": matrix("second"),
        "recurrent": neurons(32, BETA[1]),
        "third": matrix("third"),
        "out": neurons(10, BETA[2]),
        "output": nir.Output({"output": np.array([10])}),
    }
    edges = [*zip(nodes, list(nodes)[1:]), ("recurrent", "back"), ("back", "recurrent")]
    nodes["back"] = matrix("recurrent.recurrent")
    return nir.NIRGraph(nodes, edges, type_check=False)


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the same sums on every machine
    parts = digit_events.load(digits.locate(Path()))
    network = Network()
    weights = trained(network, *frames(parts.train))
    print(f"{accuracy(network, weights, *frames(parts.test)):.1%} of the test samples")
    nir.write(sys.argv[1], graph(weights))


if __name__ == "__main__":
    main()
