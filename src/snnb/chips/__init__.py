"""Chips: descriptions with limits, energies and times; architectures of SANA-FE.

Imports no TensorFlow.
"""
