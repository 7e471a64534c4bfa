"""Chips with a core for each layer, such as Speck: assignment of layers, and cost."""
