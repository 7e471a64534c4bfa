"""Prepare a process for TensorFlow: environment variables, and an import without messages.

The command line prepares its process at its start, and `snnb.model_files.keras` the
process that imports it. Importing `snnb` prepares nothing.
"""

import os
import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Callable, Iterator, Optional, Sequence

from snnb.core.errors import UsageError

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
ERRORS_ONLY = "3"


def set_tensorflow_variables() -> None:
    """Set the environment variables that TensorFlow reads, unless they are set.

    From TensorFlow 2.16 on, `tensorflow.keras` is Keras 2 only with `LEGACY_KERAS`. A
    process that has imported TensorFlow without it may use Keras 3 already: raise
    `UsageError`.
    """
    tensorflow = sys.modules.get("tensorflow")
    version = getattr(tensorflow, "__version__", "0.0")
    release = tuple(int(part) for part in version.split(".")[:2])
    if release >= (2, 16) and LEGACY_KERAS not in os.environ:
        raise UsageError(
            f"TensorFlow {version} was imported with Keras 3, but snnb uses Keras 2; "
            f"set the environment variable {LEGACY_KERAS}=1 before TensorFlow is imported"
        )
    os.environ.setdefault(LEGACY_KERAS, "1")
    os.environ.setdefault(LOG_LEVEL, ERRORS_ONLY)


@contextmanager
def import_messages_hidden() -> Iterator[None]:
    """Discard what is written to descriptor 2 in the block, if only errors are logged.

    TensorFlow 2.21 reads `LOG_LEVEL` only after its libraries have been loaded, which
    print before.
    """
    if os.environ.get(LOG_LEVEL) != ERRORS_ONLY:
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


class QuietFinder:
    """Finder that imports TensorFlow without messages, also where a user's file does."""

    @staticmethod
    def find_spec(
        name: str,
        path: Optional[Sequence[str]] = None,
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        """Return the spec of TensorFlow with a quiet loader, or None for other modules."""
        if name != "tensorflow":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute: Callable[[ModuleType], None] = spec.loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                with import_messages_hidden():
                    execute(module)

            spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec
