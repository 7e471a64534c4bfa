"""Synapse graphs of real spiking networks: all neurons and synapses, with the traffic of each synapse."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Dict, List

from snnb.version import __version__

__all__ = [
    "Mapping",
    "Run",
    "SnnbWarning",
    "SynapseGraph",
    "__version__",
    "build_graph",
    "convert",
    "from_keras",
    "from_torch",
    "load_dataset",
    "map_graph",
    "map_layers",
    "read",
    "read_spikes",
    "simulate",
]

if TYPE_CHECKING:
    from snnb.api import (
        build_graph,
        convert,
        from_keras,
        from_torch,
        load_dataset,
        map_graph,
        map_layers,
        read,
        simulate,
    )
    from snnb.core.errors import SnnbWarning
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.files import Mapping
    from snnb.run import Run
    from snnb.simulation.files import read_spikes

_MODULES: Dict[str, str] = {
    "Mapping": "snnb.mapping.files",
    "Run": "snnb.run",
    "SynapseGraph": "snnb.graph.synapse_graph",
    "SnnbWarning": "snnb.core.errors",
    "build_graph": "snnb.api",
    "convert": "snnb.api",
    "from_keras": "snnb.api",
    "from_torch": "snnb.api",
    "load_dataset": "snnb.api",
    "map_graph": "snnb.api",
    "map_layers": "snnb.api",
    "read": "snnb.api",
    "read_spikes": "snnb.simulation.files",
    "simulate": "snnb.api",
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
