"""A Dask client that only its context closes. Imports Dask, so only `connect` imports it, where a cluster is used."""

from contextlib import suppress
from typing import Any

from distributed import Client


class ContextClient(Client):
    """A Dask client without a finaliser, which can be closed when its event loop has ended.

    The finaliser of Dask's client takes a lock that Dask holds while it starts and stops event loops. A client that is
    collected as garbage in that time, in whatever thread, would wait forever.
    """

    def __del__(self) -> None:
        """Do nothing."""

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the connection; an event loop that has ended has closed it already."""
        with suppress(RuntimeError):  # the loop is closed
            super().close(*args, **kwargs)
