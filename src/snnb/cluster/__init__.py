"""Distribute work over processes of this machine, or machines of a cluster, with Dask."""
