"""Parameters of a simulation that another simulator needs."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Simulated:
    """Parameters of the simulation whose spikes the graph has.

    Attributes
    ----------
    threshold : threshold of the membrane potential, and amplitude of a spike
    reset : {"subtraction", "zero"}
    input : {"constant", "poisson"}
    input_rate_hz : Poisson rate of a pixel of value 1
    pixel_scale : a pixel is value / scale, in float32
    samples_file : path in the run of the samples, shape (samples, height, width, channels)
    samples_sha256 : str
    duration : time steps of a sample
    recorded_samples : number of samples whose spike times were recorded
    seed : int
    first_sample : index of the first sample
    initial_potential : membrane potential before the first step, as a fraction of the threshold
    """

    threshold: float
    reset: str
    input: str
    input_rate_hz: Optional[float]
    pixel_scale: Optional[float]
    samples_file: Optional[str]
    samples_sha256: Optional[str]
    duration: int
    recorded_samples: int
    seed: int
    first_sample: int = 0
    initial_potential: float = 0.0
