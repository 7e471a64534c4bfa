"""Reading and writing files: atomic writes, HDF5, NPY, JSON, YAML and figures."""
