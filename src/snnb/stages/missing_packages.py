"""Name the extra of this package that installs what a stage needs."""

import sys
import traceback
from contextlib import contextmanager
from typing import Iterator

from snnb.core.errors import InputError, first_line, how_to_install


@contextmanager
def extra_named(stage: str) -> Iterator[None]:
    """Name the extra of the package to install when TensorFlow or Keras is missing, or cannot be imported."""
    try:
        yield
    except Exception as error:  # a library of another version, for example, raises errors of any type in an import
        modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
        packages = {name.split(".")[0] for name in (*modules, getattr(error, "name", None) or "")}
        package = next(
            (name for name in ("tensorflow", "tf_keras") if name in packages - sys.modules.keys()),
            None,
        )
        if package is None:  # the error has not ended their import
            raise
        remedy = how_to_install("train")
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise InputError(f"{stage} needs {package}, which is not installed; {remedy}") from error
        # TensorFlow's message has a traceback of the first error
        reason = first_line(error.__context__ if isinstance(error.__context__, ImportError) else error)
        raise InputError(
            f"{stage} needs {package}, which cannot be imported ({reason}); install it again: {remedy}"
        ) from error
