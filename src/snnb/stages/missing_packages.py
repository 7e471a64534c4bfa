"""Name the extra of this package that installs what a stage needs."""

import sys
import traceback
from contextlib import contextmanager
from typing import Iterator, Optional

from snnb.core.errors import InputError, first_line, how_to_install

PACKAGES = ("tensorflow", "tf_keras")


@contextmanager
def extra_named(stage: str) -> Iterator[None]:
    """Name the extra of the package to install if the block cannot import TensorFlow.

    TensorFlow or Keras is not installed, or its import has failed.
    """
    try:
        yield
    except Exception as error:
        # A library of another version raises errors of any type in an import
        package = _package_without_import(error)
        if package is None:
            raise
        remedy = how_to_install("train")
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise InputError(
                f"{stage} needs {package}, which is not installed; {remedy}"
            ) from error
        cause: BaseException = error
        if isinstance(error.__context__, ImportError):
            # TensorFlow's message has a traceback of this error
            cause = error.__context__
        reason = first_line(cause)
        raise InputError(
            f"{stage} needs {package}, which cannot be imported ({reason}); install it "
            f"again: {remedy}"
        ) from error


def _package_without_import(error: Exception) -> Optional[str]:
    """Return the package whose import an error has ended; None for other errors."""
    modules = [getattr(error, "name", None) or ""]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        modules.append(str(frame.f_globals.get("__name__")))
    packages = {module.split(".")[0] for module in modules}
    for package in PACKAGES:
        if package in packages and package not in sys.modules:
            return package
    return None
