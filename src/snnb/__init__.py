"""Synapse graphs of real spiking networks: all neurons and synapses, with the traffic of each synapse."""

import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from snnb.version import __version__

# Before TensorFlow is imported: from 2.16 on, `tensorflow.keras` is Keras 2 only with
# this, see `snnb.model_files.keras`.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# No messages of TensorFlow about processors and drivers
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class _QuietImport:
    """Finder that imports TensorFlow, wherever it is imported first, without the messages of its libraries.

    TensorFlow 2.21 reads TF_CPP_MIN_LOG_LEVEL only after its libraries have been
    loaded, which print before.
    """

    @staticmethod
    def find_spec(
        name: str,
        path: Any = None,
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        if name != "tensorflow" or os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute: Callable[[ModuleType], None] = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _without_stderr(execute, module)  # type: ignore[method-assign]
        return spec


def _without_stderr(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        stderr = os.dup(2)
    except OSError:  # closed
        return execute(module)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        return execute(module)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


sys.meta_path.insert(0, _QuietImport)

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
