"""Options, errors, progress, compiled loops and memory checks: the base of all other packages."""
