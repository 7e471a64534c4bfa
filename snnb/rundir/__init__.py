"""The run directory: manifest, hashing, directories that appear whole or not at all, lock, staleness, verification."""
