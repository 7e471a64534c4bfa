"""The calls of one work on their way: sent a few ahead, taken in order, sent again where a worker took them along."""

import uuid
from collections import deque
from typing import TYPE_CHECKING, Deque, Generic, Tuple, TypeVar

from snnb.cluster.versions import versions
from snnb.cluster.work import Work, carry_out

if TYPE_CHECKING:
    from distributed import Client, Future

S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")


class Calls(Generic[S, T, A, R]):
    """The calls of a work that are sent and not yet taken.

    Parameters
    ----------
    client : Client
    work : Work

    Attributes
    ----------
    key : str
        Of the work.
    here : dict of str to str
        The versions that a worker must have.
    """

    def __init__(self, client: "Client", work: "Work[S, T, A, R]") -> None:
        self.key, self.here = f"snnb-{uuid.uuid4().hex}", versions(work.packages)
        self._client, self._work, self._number = client, work, 0
        self._waiting: Deque[Tuple[A, Future]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def share(self) -> None:
        """Send what all calls need to all workers. One that comes later gets it from another."""
        self._shared = self._client.scatter(self._work.shared, broadcast=True, hash=False)

    def send(self, argument: A) -> None:
        """Send a call."""
        self._waiting.append((argument, self._sent(argument)))

    def again(self) -> None:
        """Send anew what all calls need, which is lost, and the calls without a result."""
        self.share()
        self._waiting = deque(
            (argument, future if future.status == "finished" else self._sent(argument))
            for argument, future in self._waiting
        )

    @property
    def first(self) -> "Future":
        """The first of them."""
        return self._waiting[0][1]

    def take(self) -> None:
        """Leave the first behind."""
        self._waiting.popleft()

    def _sent(self, argument: A) -> "Future":
        self._number += 1
        return self._client.submit(
            carry_out,
            self.key,
            self.here,
            self._work.packages,
            self._work.prepare,
            self._work.call,
            self._shared,
            argument,
            key=f"{self.key}-{self._number}",
            pure=False,
        )
