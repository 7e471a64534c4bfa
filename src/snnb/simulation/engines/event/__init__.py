"""The engine `event`: weights are added only where a neuron spikes, by loops that numba compiles."""
