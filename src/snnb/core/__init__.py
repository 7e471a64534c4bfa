"""Options, errors, progress, compiled loops and memory checks: what every package may import."""
