"""What a simulation computes: a network, its reference, and settings."""

from dataclasses import dataclass
from typing import Optional, Union

import numpy as np

from snnb.network.network import Network
from snnb.network.trained import TrainedNetwork
from snnb.simulation.settings import SimulationSettings


@dataclass(frozen=True)
class SimulationJob:
    """Network and settings of a simulation, without the samples."""

    network: Network  # the network that is simulated
    # Network whose outputs are compared with the spikes, see `ConvertedNetwork`
    trained: Union[Network, TrainedNetwork, None]
    settings: SimulationSettings
    engine: str
    scale: float  # divisor from stored values to pixels
    classifies: bool  # the output is a class, not a reconstruction of the image
    labelled: bool  # the classes of the samples are known
    # Activation of the trained output that corresponds to a rate of 1
    output_scale: float
    dt_ms: float = 1.0  # time step
    # Multiply-accumulates of the trained network; None: not known
    multiply_accumulates: Optional[int] = None

    def pixels(self, values: np.ndarray) -> np.ndarray:
        """Return images of stored values as pixels: float32, of the same shape."""
        pixels: np.ndarray = values.astype(np.float32) / np.float32(self.scale)
        return pixels
