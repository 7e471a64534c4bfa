"""Exit codes of what is no `SnnbError`; it imports nothing, since the entry point needs them before anything else."""

OUT_OF_MEMORY = 6
INTERRUPTED = 130
