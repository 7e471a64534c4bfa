"""Data sets: their origin, and their conversion to arrays. Importing the catalogue does not import numpy."""
