"""Synapse graphs of real spiking networks: every neuron, every synapse, and how much traffic it carries."""

__version__ = "0.1.0"
