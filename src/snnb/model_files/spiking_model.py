"""A trained spiking network that was read from a file."""

from dataclasses import dataclass, field
from typing import Dict, List, Tuple

import numpy as np

from snnb.network.network import Network
from snnb.network.neuron import Neuron, Numbers
from snnb.network.quantities import Decaying

# The smallest number above a threshold of 0
LEAST_THRESHOLD = np.finfo(np.float32).tiny


@dataclass(frozen=True, eq=False)
class SpikingModel:
    """A network, and how it differs from the numbers of its file."""

    network: Network
    # Exponent of the weights that Lava stores, by name of a population with dense
    # weights, see `StoredWeights`; empty for NIR
    exponents: Dict[str, int] = field(default_factory=dict)
    # Lines for the user, each on a layer whose numbers are not those of the file: other
    # weights, truncated numbers, shorter delays; a layer can have several
    notes: List[str] = field(default_factory=list)

    @property
    def decay_factors(self) -> Dict[str, Dict[Decaying, Tuple[float, float]]]:
        """Smallest and largest decay factors of a step, by population.

        They are those of the membrane potential, and of a synaptic current.
        """
        return {name: _decay_factors(neuron) for name, neuron in self._neurons.items()}

    @property
    def thresholds(self) -> Dict[str, str]:
        """Threshold of each population of fixed-point neurons that spike, as text."""
        texts: Dict[str, str] = {}
        for name, neuron in self._neurons.items():
            if neuron.fixed_point and neuron.is_spiking:
                texts[name], _ = neuron.describe()
        return texts

    @property
    def warnings(self) -> List[str]:
        """The notes, and a line for each decay factor or threshold that is unusual."""
        lines = list(self.notes)
        for name, neuron in self._neurons.items():
            if any(low < 0 for low, _ in _decay_factors(neuron).values()):
                lines.append(
                    f"{name}: --time-step is longer than a time constant, so that its "
                    "decay factor is negative; give a shorter one, or --integration "
                    "exponential"
                )
            threshold = float(np.min(neuron.threshold))
            if neuron.is_spiking and threshold <= LEAST_THRESHOLD:
                lines.append(
                    f"{name}: a threshold of {min(threshold, 0):g} is not above 0, the "
                    "initial potential: neurons spike with little input or none; check "
                    "v_threshold in the file"
                )
        return lines

    @property
    def _neurons(self) -> Dict[str, Neuron]:
        """Neuron model of each population."""
        neurons: Dict[str, Neuron] = {}
        for population in self.network.populations:
            assert population.neuron is not None  # a spiking network
            neurons[population.name] = population.neuron
        return neurons


def _decay_factors(neuron: Neuron) -> Dict[Decaying, Tuple[float, float]]:
    """Return the smallest and largest decay factors of a neuron model."""
    factors: Dict[Decaying, Tuple[float, float]] = {
        "potential": _range(neuron.decay_factor)
    }
    if neuron.current_decay_factor is not None:
        factors["current"] = _range(neuron.current_decay_factor)
    return factors


def _range(numbers: Numbers) -> Tuple[float, float]:
    """Return the smallest and the largest of some numbers."""
    return float(np.min(numbers)), float(np.max(numbers))
