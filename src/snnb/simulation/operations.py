"""Operations, energy and size of a network, in the units of publications.

They are counts of arithmetic, and metrics of NeuroBench.

Energies are taken from Horowitz (2014, Computing's energy problem, ISSCC), for 32-bit
floating point in 45 nm: an addition 0.9 pJ, a multiplication 3.7 pJ. Memory accesses,
the leak, biases and updates of neurons are not included.

`footprint`, `connection_sparsity`, `activation_sparsity` and `membrane_updates` are
defined by NeuroBench (Yik et al. 2025, The neurobench framework for benchmarking
neuromorphic computing algorithms and systems, Nature Communications; package
`neurobench` 2.3.0, `neurobench.metrics`), whose package rounds connection sparsity to
four digits.
"""

import math
from typing import Iterator, Mapping

import numpy as np

from snnb.network.network import Network

ADDITION_PJ = 0.9
MULTIPLY_ACCUMULATE_PJ = 3.7 + ADDITION_PJ
FLOAT_BYTES = 4


def energy_45nm(multiply_accumulates: float, additions: float = 0.0) -> float:
    """Return the energy of the arithmetic in pJ.

    A multiply-accumulate takes 4.6 pJ, an addition 0.9 pJ.
    """
    return MULTIPLY_ACCUMULATE_PJ * multiply_accumulates + ADDITION_PJ * additions


def footprint(network: Network) -> int:
    """Return the bytes of the parameters of a network.

    NeuroBench counts all parameters and buffers of the torch module.

    Parameters are weights, including zeros, once for all synapses that share them;
    biases; initial potentials and thresholds of channels; and the numbers of a neuron
    model. Each takes 4 bytes, a weight of an integer network its bit width. Membrane
    potentials are not included, since snnTorch allocates them when the network runs.
    """
    numbers = 0
    for population in network.populations:
        neuron = {} if population.neuron is None else population.neuron.stored_numbers
        arrays = [
            population.bias,
            *(projection.bias for projection in population.projections),
            population.initial_potential,
            population.integer_threshold,
            *neuron.values(),
        ]
        numbers += sum(array.size for array in arrays if array is not None)
    weights = sum(kernel.size for kernel in _kernels(network))
    bits = 8 * FLOAT_BYTES if network.weight_bits is None else network.weight_bits
    return FLOAT_BYTES * numbers + math.ceil(bits * weights / 8)


def connection_sparsity(network: Network) -> float:
    """Return the fraction of the weights that are 0.

    NeuroBench counts the weights of convolutions and dense layers.

    A weight counts once for all synapses that share it. An average pooling has weights
    after calibration only.
    """
    kernels = list(_kernels(network))
    weights = sum(kernel.size for kernel in kernels)
    return sum(int((kernel == 0).sum()) for kernel in kernels) / max(1, weights)


def activation_sparsity(
    network: Network,
    counts: Mapping[str, np.ndarray],
    max_count: int,
) -> float:
    """Return the fraction of activations that are 0.

    It is over all populations that spike, all steps and all samples. The activation of
    a neuron in a step is its spike. `counts` has the spikes of each neuron by
    population, `max_count` is their largest possible number. The input is not included.
    """
    populations = [
        population for population in network.populations if population.is_spiking
    ]
    activations = max_count * sum(population.size for population in populations)
    spikes = sum(int(counts[population.name].sum()) for population in populations)
    return 1 - spikes / max(1, activations)


def _kernels(network: Network) -> Iterator[np.ndarray]:
    """Yield the kernel of each projection that has one."""
    for population in network.populations:
        for projection in population.projections:
            if projection.kernel is not None:
                yield projection.kernel
