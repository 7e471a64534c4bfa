"""The run directory: manifest with hashes, directories that are replaced atomically, lock."""
