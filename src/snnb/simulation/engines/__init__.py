"""Engines that simulate a network.

Only this package depends on layer kinds, kernels and the arrays of engines.
"""
