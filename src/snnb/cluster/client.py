"""A Dask client without a finaliser. Imports Dask, so only `connect` imports it, where a cluster is used."""

from distributed import Client


class ContextClient(Client):
    """A Dask client that only its context closes.

    The finaliser of Dask's client takes a lock that Dask holds while it starts and stops event loops. A client that is
    collected as garbage in that time, in whatever thread, would wait forever.
    """

    def __del__(self) -> None:
        """Do nothing."""
