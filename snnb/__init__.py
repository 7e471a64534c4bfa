"""Synapse graphs of real spiking networks: every neuron, every synapse, and how much traffic it carries."""

from typing import TYPE_CHECKING, Any

from snnb.version import __version__

__all__ = ["Run", "__version__"]

if TYPE_CHECKING:
    from snnb.stages.run import Run


def __getattr__(name: str) -> Any:
    """Import `Run` when it is first used, so that `import snnb` takes no time."""
    if name == "Run":
        from snnb.stages.run import Run

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
