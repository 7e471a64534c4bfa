"""The run directory: manifest, hashes, directories that are replaced as a whole, lock, staleness, verification."""
