"""The stages: each finds its inputs in the run, calls the domain, and records the outputs."""
