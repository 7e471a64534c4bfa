"""Work shared among the processes of this machine, or the machines of a cluster, through Dask."""
