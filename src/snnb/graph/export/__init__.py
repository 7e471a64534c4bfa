"""The graph in another program's format: a file a format."""
