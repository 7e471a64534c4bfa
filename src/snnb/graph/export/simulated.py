"""Parameters of a simulation that another simulator needs."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Simulated:
    """Parameters of the simulation whose spikes the graph has.

    Attributes
    ----------
    threshold : float
        Threshold of the membrane potential, and amplitude of a spike.
    reset : {"subtraction", "zero"}
    input : {"constant", "poisson"}
    input_rate_hz : float or None
        Poisson rate of a pixel of value 1.
    pixel_scale : float or None
        A pixel is value / scale, in float32.
    samples_file : str or None
        Path in the run of the samples, float or integer, shape (samples, height, width, channels).
    samples_sha256 : str or None
    duration : int
        Time steps of a sample.
    recorded_samples : int
        Number of samples whose spike times were recorded.
    seed : int
    initial_potential : float
        Membrane potential before the first step, as a fraction of the threshold.
    first_sample : int
        Index of the first sample.
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
