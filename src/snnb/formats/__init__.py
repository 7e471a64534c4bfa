"""Exporters of the graph to formats of other programs, one file per format."""
