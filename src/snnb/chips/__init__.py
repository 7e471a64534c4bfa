"""Chips: descriptions with their limits and figures of energy and time, and architectures of SANA-FE. No TensorFlow."""
