"""A trained spiking network that was read from a file."""

from dataclasses import dataclass, field
from typing import Dict, List

from snnb.network.network import Network


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
