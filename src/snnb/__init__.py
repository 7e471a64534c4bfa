"""Synapse graphs of real spiking networks: all neurons and synapses, with the traffic of each synapse."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Dict, List

from snnb.version import __version__

__all__ = ["Mapping", "Run", "SynapseGraph", "__version__", "read_spikes"]

if TYPE_CHECKING:
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.files import Mapping
    from snnb.run import Run
    from snnb.simulation.files import read_spikes

_MODULES: Dict[str, str] = {
    "Mapping": "snnb.mapping.files",
    "Run": "snnb.run",
    "SynapseGraph": "snnb.graph.synapse_graph",
    "read_spikes": "snnb.simulation.files",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that `import snnb` takes no time."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return [
        *__all__,
        *(name for name in globals() if name.startswith("__") and name not in __all__),
    ]
