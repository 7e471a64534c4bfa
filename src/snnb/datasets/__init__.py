"""Data sets: where they come from, and how they become arrays. Only `preparation` and what it calls need numpy."""
