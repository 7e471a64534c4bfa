"""The exported graph, and nothing else, in another simulator: whether it spikes as in the simulation of the run."""
