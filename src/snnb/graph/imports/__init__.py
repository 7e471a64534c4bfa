"""Read graphs from outside: one module for each kind of file."""
