"""The graph that `export`, `crosscheck` and `report` read; `map`, a stage, follows the same rule."""

from typing import Optional

from snnb.core.progress import Say, say_nothing
from snnb.pipeline import graph, simulate
from snnb.pipeline.plan import bring_up_to_date
from snnb.rundir.directory import RunDirectory


def graph_in_force(run: RunDirectory, simulation: Optional[str] = None, say: Say = say_nothing) -> Optional[str]:
    """Return the name of the graph of a simulation, which is made first if it is missing.

    Parameters
    ----------
    run : RunDirectory
        Not locked.
    simulation : str, optional
        Stamp of the simulation; by default the one in force. In a run without simulations the graph is that of the
        weights, in one that begins with a graph from outside that graph; None if there is none either.
    say : callable
        Called with the message that the graph is made.
    """
    name, graphs = graph.KIND.name, run.records_of(graph.KIND.name)
    if run.manifest.run.imported:
        return run.in_force(name)
    stamp = simulation or run.in_force(simulate.KIND.name)
    if stamp is None:
        return graph.WEIGHTS if graph.WEIGHTS in graphs else None
    if stamp not in graphs:
        with run.locked(say=say):
            bring_up_to_date(run, name, {name: {"simulation": stamp}}, say=say)
    return stamp
