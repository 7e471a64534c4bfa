"""Chips with a core for each layer, such as Speck: the assignment of layers to cores, its cost and figure."""
