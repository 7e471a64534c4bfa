"""Simulate the exported graph in another simulator, and compare the spikes."""
