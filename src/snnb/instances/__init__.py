"""Instances: graphs of trained networks for comparing mapping algorithms, with a description of each."""
