"""PyTorch: the dense loop as a user would write it, or with SpikingJelly's neuron, that of its `ann2snn`.

python torch_network.py PARSED SAMPLES RESULT STEPS {PyTorch,SpikingJelly}
"""

import sys
import time
from pathlib import Path

import numpy as np

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent / "src")]
from pytorch_loop import torch_loop  # noqa: E402

from snnb.network.read_network import read_network  # noqa: E402


def integrate_and_fire(softmax):
    """A fresh neuron that resets by subtraction; for the softmax layer too, whose spikes are not compared."""
    from spikingjelly.activation_based.neuron import IFNode

    return IFNode(v_threshold=1.0, v_reset=None).eval()


parsed, x, result, steps, kind = Path(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
network = read_network(parsed)
run = torch_loop(
    parsed, x.reshape(-1, *network.input.shape), steps, len(x), integrate_and_fire if kind == "SpikingJelly" else None
)
list(run())  # what is prepared at the first call
began = time.perf_counter()
[counts] = list(run())
seconds = time.perf_counter() - began
last = [np.moveaxis(layer.numpy(), 1, -1).reshape(len(x), -1) for layer in counts]
np.savez(result, seconds=seconds, **{p.name: layer for p, layer in zip(network.populations, last)})
