"""Simulation of spiking networks on test samples, with several engines."""
