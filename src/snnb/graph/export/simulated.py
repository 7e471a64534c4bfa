"""What another simulator must know of the simulation whose spikes a graph holds."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Simulated:
    """The simulation whose spikes the graph holds, as far as another simulator must know it.

    Attributes
    ----------
    threshold : float
        Membrane potential at which a neuron spikes; also what the spike of a neuron weighs.
    reset : {"subtraction", "zero"}
    input : {"constant", "poisson"}
    input_rate_hz : float or None
        Poisson rate of a pixel of value 1.
    pixel_scale : float or None
        A pixel is value / scale, in float32.
    samples_file : str or None
        Path in the run of the pictures, float or integer, shape (samples, height, width, channels).
    samples_sha256 : str or None
    duration : int
        Time steps of a sample.
    recorded_samples : int
        Samples whose spike times were kept.
    seed : int
    initial_potential : float
        Membrane potential of neurons with a threshold before the first step, as a share of it.
    first_sample : int
        Number in the file of the first picture that is simulated; the others follow it.
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
