"""The run directory: manifest, hashes, directories that are replaced atomically, lock."""
