"""The engine `torch`: every synapse in every step, in PyTorch."""
