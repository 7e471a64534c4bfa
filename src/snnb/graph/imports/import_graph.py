"""Import a graph from outside as MODEL_graph.h5: find the reader by content and ending, read the spikes, write it."""

from pathlib import Path
from typing import Callable, Dict, NamedTuple, Optional, Tuple

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.graph.imports import graph_file
from snnb.graph.listed import ListedGraph, write_listed
from snnb.graph.populations import Recording
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import sha256_of

DT_MS = 1.0  # of a time step, where the file does not state it


class Reader(NamedTuple):
    """A kind of file that graphs are read from.

    Attributes
    ----------
    recognises : whether a file or folder is of this kind
    read : reads it
    """

    recognises: Callable[[Path], bool]
    read: Callable[[Path], ListedGraph]


READERS: Dict[str, Reader] = {}


class Imported(NamedTuple):
    """A graph that was imported: opened; the files outside that were read; and notes about what they do not hold."""

    graph: SynapseGraph
    files: Tuple[Path, ...]
    notes: Tuple[str, ...]


def import_graph(
    path: Path,
    target: Path,
    *,
    rates: Optional[Path] = None,
    samples: Optional[int] = None,
    steps: Optional[int] = None,
    progress: Progress = silent,
) -> Imported:
    """Read a graph from outside, write it as MODEL_graph.h5, and open it.

    Parameters
    ----------
    path : Path
        File or folder of one of `READERS`, or a MODEL_graph.h5, which is copied.
    target : Path
        The MODEL_graph.h5 to write; it appears when it is complete.
    rates : Path, optional
        File with the spikes of each neuron; by default those of the graph.
    samples, steps : int, optional
        Numbers of samples, and of time steps of each, that the spikes were counted in; by default as the file states,
        or 1.
    progress : Progress

    Raises
    ------
    InputError
        The file is of no known kind, or not valid.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if graph_file.recognises(path) and rates is None:
        return Imported(graph_file.copy(path, target), (path,), ())
    kind = next((name for name, reader in READERS.items() if reader.recognises(path)), None)
    if kind is None:
        raise InputError(f"{path}: not a graph that snnb reads; it reads MODEL_graph.h5, {', '.join(READERS)}")
    read = READERS[kind].read(path)
    stated = read.recording or Recording(1, 1, 0, DT_MS)
    recording = Recording(samples or stated.num_samples, steps or stated.num_timesteps, stated.warm_up, stated.dt_ms)
    return Imported(write_listed(read, target, recording, sha256_of(path), progress), (path,), read.notes)
