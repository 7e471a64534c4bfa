"""Keras, imported at its first use.

The import takes seconds, and a list of the models does not need it.

Import this module as `keras`.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # asked of all modules, as by `inspect`
        raise AttributeError(name)
    from snnb.model_files.keras import keras

    return getattr(keras, name)
