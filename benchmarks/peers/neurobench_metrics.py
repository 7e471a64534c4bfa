"""NeuroBench's own package on one network, beside `sim_accuracies.json`.

python neurobench_metrics.py RUN/simulations/STAMP RUN/dataset/x_test.npy PIXEL

The simulation is of a chain of convolutions (strides of 1), average poolings and dense layers with the engine `event`,
`--output spikes` and a constant input: `snnb simulate --output spikes --engine event`. PIXEL is the value of a pixel
of 1. Needs neurobench 2.3.0 with torch and snntorch, and h5py, psutil, pydantic and pyyaml.

snnTorch's neuron spikes above the threshold and is reset a step later; here it spikes at the threshold and is reset at
once, as that of snnb. NeuroBench counts no operations of poolings, and the constant input in every step, without pixels
of 0. Its footprint includes the buffers of snnTorch's neurons (threshold, beta and others), which are subtracted.
"""

import json
import sys
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import snntorch
import torch
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import (
    ActivationSparsity,
    MembraneUpdates,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from snnb.network.layers import AveragePooling2D, Conv2D, Dense
from snnb.network.network import Network, Population
from snnb.network.read_network import read_network


class Neurons(snntorch.Leaky):
    """Integrate-and-fire neurons that spike at a threshold of 1, which is subtracted in the same step."""

    def __init__(self, population: Population) -> None:
        super().__init__(beta=1.0, init_hidden=True, reset_delay=False)
        start = (
            np.zeros(1)
            if population.initial_potential is None
            else population.initial_potential
        )
        self.start = np.resize(start, population.shape).astype(np.float32)

    def fire(self, mem: Any) -> Any:
        """Return spikes."""
        return (mem >= 1).float()

    def mem_reset(self, mem: Any) -> Any:
        """Return what is left of the last step to reset: nothing."""
        return torch.zeros_like(mem)


class Chain(nn.Module):
    """The layers in turn, each followed by its neurons."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        layers: List[nn.Module] = []
        for population in network.populations:
            layers += [_layer(population, network), Neurons(population)]
        self.layers = nn.Sequential(*layers)
        self.samples = 1

    def reset(self) -> None:
        """Set all membrane potentials to those before the first step."""
        for layer in self.layers:
            if isinstance(layer, Neurons):
                start = torch.from_numpy(layer.start)
                start = start.permute(2, 0, 1) if start.ndim == 3 else start
                layer.mem = start.expand(self.samples, *start.shape).clone()

    def forward(self, x: Any) -> Tuple[Any, None]:
        """Do a step."""
        return self.layers(x), None


def _layer(population: Population, network: Network) -> nn.Module:
    projection = population.only
    layer, before = projection.layer, network.volume(projection.input).shape
    if isinstance(layer, AveragePooling2D):
        return nn.AvgPool2d(layer.pool_size, layer.strides)
    assert projection.kernel is not None
    assert population.bias is not None
    kernel = torch.from_numpy(projection.kernel)
    if isinstance(layer, Conv2D):
        made: Any = nn.Conv2d(
            before[-1], population.shape[-1], layer.kernel_size, padding=layer.padding
        )
        made.weight = nn.Parameter(kernel.permute(3, 2, 0, 1).contiguous())
        made.bias = nn.Parameter(torch.from_numpy(population.bias))
        return made
    assert isinstance(layer, Dense), f"layer {population.name}: {population.kind}"
    sender = network.volume(next(iter(network.senders(population)))).shape
    order = np.arange(np.prod(sender)).reshape(sender)
    order = (
        order.transpose(2, 0, 1) if order.ndim == 3 else order
    )  # torch flattens channels first
    made = nn.Linear(order.size, population.size)
    made.weight = nn.Parameter(kernel[order.ravel()].T.contiguous())
    made.bias = nn.Parameter(torch.from_numpy(population.bias))
    return nn.Sequential(nn.Flatten(), made)


def main() -> None:
    """Print a table of both."""
    folder, pictures, pixel = (
        Path(sys.argv[1]),
        np.load(sys.argv[2]),
        float(sys.argv[3]),
    )
    said = json.loads((folder / "sim_accuracies.json").read_text(encoding="utf-8"))
    network = read_network(next(folder.glob("*_parsed.h5")))
    samples, steps = said["num_samples"], said["num_timesteps"]
    x = torch.from_numpy(
        pictures[:samples].astype(np.float32) / np.float32(pixel)
    ).permute(0, 3, 1, 2)
    net = Chain(network)
    net.samples = samples
    model = SNNTorchModel(net)
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in net.buffers())
    starts = [
        p.initial_potential
        for p in network.populations
        if p.initial_potential is not None
    ]
    found = {
        "footprint": Footprint()(model)
        - buffers
        + sum(start.nbytes for start in starts),
        "connection_sparsity": ConnectionSparsity()(model),
    }
    model.register_hooks()
    with torch.no_grad():
        spikes = model(x[:, None].expand(-1, steps, -1, -1, -1))
    data = (x, None)
    found["activation_sparsity"] = ActivationSparsity()(model, spikes, data)
    found["membrane_updates"] = MembraneUpdates()(model, spikes, data)
    operations = SynapticOperations()(model, spikes, data)
    found["additions, without poolings"] = operations["Effective_ACs"]
    found["multiply-accumulates of the input's pixels other than 0"] = (
        operations["Effective_MACs"] / steps
    )

    with np.load(folder / "spike_rate_sums.npz") as sums:
        counts = {name: sums[name] for name in sums.files if sums[name].ndim}
    fan_out = network.fan_out()
    pooled = [
        p.only.input
        for p in network.populations
        if isinstance(p.only.layer, AveragePooling2D)
    ]
    pooling = sum(
        counts[name].sum() / samples for name in pooled
    )  # windows that do not overlap
    reached = (pictures[:samples] != 0) * fan_out[network.input.name]
    own = {
        **{name: said[name] for name in list(found)[:4]},
        "additions, without poolings": said["synaptic_operations_per_sample"] - pooling,
        "multiply-accumulates of the input's pixels other than 0": reached.sum()
        / samples,
    }
    for name, value in found.items():
        print(f"{name:56} {value:14.6f} {own[name]:14.6f}")


if __name__ == "__main__":
    main()
