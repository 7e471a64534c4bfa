"""The graph on hardware: which neuron is on which core, and what that costs."""
