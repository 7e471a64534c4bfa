"""Instances: graphs of trained networks to compare mapping algorithms on, with a description of each."""
