"""Keep TensorFlow's autograph from leaving files behind.

It writes the code that it makes of a function to $TMPDIR, where Python adds a compiled copy. It removes these files
when the process ends, but not when the process is killed.
"""

import importlib.util
import linecache
import sys
from itertools import count
from types import ModuleType
from typing import Tuple

_numbers = count()


def keep_in_memory() -> None:
    """Let autograph load its code from memory, from now on in this process."""
    from tensorflow.python.autograph.pyct import loader

    loader.load_source = _load_source


def _load_source(source: str, delete_on_exit: bool) -> Tuple[ModuleType, str]:
    """Return a module of this code and the name of its file, as TensorFlow's own function does."""
    name = f"autograph_{next(_numbers)}"
    file = f"<{name}>"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    module.__file__ = file
    # Tracebacks look here for the text, and so does autograph when it converts a function within a converted one.
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), vars(module))
    sys.modules[name] = module
    return module, file
