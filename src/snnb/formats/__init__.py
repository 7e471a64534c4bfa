"""Graphs in the files of other programs: one file per format, which writes it, and reads it if it can be read."""
