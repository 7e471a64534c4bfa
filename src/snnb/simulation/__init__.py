"""Spiking networks are simulated over test samples, by one of several engines, and their spikes counted."""
