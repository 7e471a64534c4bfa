"""A trained spiking network that was read from a file."""

from dataclasses import dataclass, field
from typing import Dict, List

from snnb.network.network import Network


@dataclass(frozen=True, eq=False)
class SpikingModel:
    """A network of a file, and what is not as in the file."""

    network: Network
    # Exponents of the weights that Lava stores, by population; empty for other files
    exponents: Dict[str, int] = field(default_factory=dict)
    # A sentence for each layer whose numbers are not those of the file
    notes: List[str] = field(default_factory=list)
