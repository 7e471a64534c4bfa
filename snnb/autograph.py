"""TensorFlow's autograph, kept from leaving files behind.

It writes the code that it makes of a function to $TMPDIR and removes it when the process ends, which a process that is
killed does not do; and Python keeps a compiled copy beside it.
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
    """As TensorFlow's own: a module of this code, and the name of its file."""
    name = f"autograph_{next(_numbers)}"
    file = f"<{name}>"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    module.__file__ = file
    # Where tracebacks and autograph, when it converts a function within a converted one, look for the text.
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), vars(module))
    sys.modules[name] = module
    return module, file
