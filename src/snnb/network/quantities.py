"""Quantities of a network that several documents have."""

from typing_extensions import Literal

from snnb.core.quantities import Quantity

# What decays in a neuron
Decaying = Literal["potential", "current"]

NEURONS = Quantity("neurons")  # without the input
SYNAPSES = Quantity("synapses")  # including those from the input
# Time steps until a sample has passed all layers
LATENCY = Quantity("latency", unit="time steps")
# Time steps from the begin of a sample to that of the next
SAMPLE_INTERVAL = Quantity("sample interval", unit="time steps")
