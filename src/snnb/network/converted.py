"""A network to simulate, and the network without spikes that it stands for."""

from dataclasses import dataclass
from typing import Optional, Union

from snnb.network.fidelity import Fidelity
from snnb.network.network import Network
from snnb.network.trained import TrainedNetwork


@dataclass(frozen=True, eq=False, repr=False)
class ConvertedNetwork:
    """A network to simulate, and what its spikes are compared with.

    Attributes
    ----------
    network : Network
        The spiking network.
    analogue : Network or TrainedNetwork or None
        The network whose outputs the spikes are compared with: the parsed one, or the
        trained one if the conversion replaced max pooling. None for a network that was
        trained with spikes.
    output_scale : float
        Activation of the trained output that corresponds to a rate of 1.
    multiply_accumulates : int or None
        Those of an inference of the trained network; None: not known.
    fidelity : Fidelity or None
        Accuracy after each change of the function of the network, if measured.
    """

    network: Network
    analogue: Union[Network, TrainedNetwork, None]
    output_scale: float
    multiply_accumulates: Optional[int]
    fidelity: Optional[Fidelity]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.network!r}>"

    @classmethod
    def of(cls, network: Network) -> "ConvertedNetwork":
        """Return a network that is compared with nothing."""
        return ConvertedNetwork(network, None, 1.0, None, None)
