"""What a cluster computes, and the part of it that runs in a worker."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Callable, Dict, Generic, Mapping, Sequence, Set, TypeVar

from snnb.cluster.versions import refuse_others, versions
from snnb.core.processors import processors

S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")
Stopped = Callable[[], bool]


@dataclass(frozen=True)
class Work(Generic[S, T, A, R]):
    """What a cluster computes: functions of modules of this package, which travel by their names.

    Attributes
    ----------
    shared : S
        What every call needs. It travels once to each worker.
    prepare : callable
        From `shared` and the number of threads that a call may use, what a worker keeps for all of its calls.
    call : callable
        From what `prepare` returned, an argument and whether nobody waits any more, the result of a call.
    packages : sequence of str
        Whose versions decide what is computed, beside those that always do.
    """

    shared: S
    prepare: Callable[[S, int], T]
    call: Callable[[T, A, Stopped], R]
    packages: Sequence[str]


_at_work = threading.Lock()  # a call uses all threads of its worker, so there is one at a time
_kept: Dict[str, object] = {}  # by work, what it prepared; that of the last work only
_stopped: Set[str] = set()


def carry_out(
    key: str,
    here: Mapping[str, str],
    packages: Sequence[str],
    prepare: Callable[[S, int], T],
    call: Callable[[T, A, Stopped], R],
    shared: S,
    argument: A,
) -> R:
    """Compute a call in a worker.

    Parameters
    ----------
    key : str
        Of the work.
    here : mapping of str to str
        The versions that the worker must have, of what `versions(packages)` tells.
    packages : sequence of str
    prepare, call : callable
        Of the work.
    shared : S
    argument : A
    """
    from distributed import get_worker

    worker = get_worker()
    refuse_others(worker.address, versions(packages), here)
    with _at_work:
        if key not in _kept:
            _kept.clear()
            _kept[key] = prepare(shared, min(worker.state.nthreads, processors()))
        return call(_kept[key], argument, lambda: key in _stopped)  # type: ignore[arg-type]


async def forget(key: str) -> None:
    """Let a worker free what it keeps for a work, and stop its call if there is one; wait a second for that."""
    _stopped.add(key)
    for _ in range(50):
        if not (_at_work.locked() and key in _kept):
            break
        await asyncio.sleep(0.02)
    _kept.pop(key, None)
